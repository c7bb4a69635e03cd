"""Reads ``account.options`` into a typed form."""

from app.documents import Form, read
from app.providers.base import Account


def options_of(account: Account, form: type[Form]) -> Form:
    """Raises ``InvalidRequest`` that names the option which can't be read."""
    return read(form, dict(account.options), whole="options", below="options")
