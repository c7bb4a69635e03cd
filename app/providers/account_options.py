"""Reads ``account.options`` into a typed form."""

from app.providers.base import Account
from app.validation import Form, validate_document


def read_options(account: Account, form: type[Form]) -> Form:
    """Raises ``InvalidRequest`` that names the option which can't be read."""
    return validate_document(form, dict(account.options), whole="options", below="options")
