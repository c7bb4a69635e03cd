"""Options: what amounts are called where people read them."""

from typing import Annotated, ClassVar

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from app.options import OptionsDocument

LETTERS = 3


def _currency_code(text: str) -> str:
    code = text.strip().upper()
    if len(code) != LETTERS or not (code.isascii() and code.isalpha()):
        raise PydanticCustomError(
            "currency", "must be the three letters of a currency (ISO 4217), like USD, CNY or EUR"
        )
    return code


class MoneyOptions(OptionsDocument):
    """``currency`` is only a label: no amount is converted, so prices and budgets are to be set in it."""

    document: ClassVar[str] = "money"
    currency: Annotated[str, AfterValidator(_currency_code)] = "USD"
