"""Reads ``account.options`` into a typed form."""

from typing import TypeVar

from pydantic import BaseModel

from app.documents import read
from app.providers.base import Account

Form = TypeVar("Form", bound=BaseModel)


def options_of(account: Account, form: type[Form]) -> Form:
    """Raises ``InvalidRequest`` that names the option which can't be read."""
    return read(form, dict(account.options), whole="options", below="options")
