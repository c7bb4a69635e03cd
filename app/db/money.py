"""Money as a column type: a Decimal in US dollars, stored as whole billionths, so that both stores add it exactly."""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from sqlalchemy import BigInteger
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

BILLION = 1_000_000_000
STEP = Decimal("0.000000001")


class Money(TypeDecorator[Decimal]):
    """At most 9 billion dollars either way; finer than a billionth is rounded half to even."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        if value is None:
            return None
        return to_billionths(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(int(value)) / BILLION


def round_money(value: Decimal) -> Decimal:
    """Round to the precision of the column."""
    return value.quantize(STEP, rounding=ROUND_HALF_EVEN)


def to_billionths(value: Decimal) -> int:
    return int(round_money(value) * BILLION)


def format_money(value: Decimal) -> str:
    """As text for people and JSON, with at least two decimal places and no trailing zeros beyond."""
    text = format(round_money(value).normalize(), "f")
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.ljust(2, '0')}"
