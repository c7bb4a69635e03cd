"""Reads ``account.options`` into a typed form."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from app.errors import InvalidRequest
from app.providers.base import Account

Form = TypeVar("Form", bound=BaseModel)


def options_of(account: Account, form: type[Form]) -> Form:
    """Raises ``InvalidRequest`` that names the option which can't be read."""
    try:
        return form.model_validate(dict(account.options))
    except ValidationError as error:
        found = error.errors()[0]
        where = ".".join(["options", *(str(part) for part in found["loc"])])
        raise InvalidRequest(f"{where} can't be read: {found['msg']}", param=where) from error
