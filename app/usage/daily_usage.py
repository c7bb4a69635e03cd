"""Usage added up by day, key, account and model as it is written, so that reports cost the same whatever the history."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.money import round_money
from app.db.operator_tables import usage_days
from app.db.session import add_to_sums

DAY_SECONDS = 86_400
FAILED_STATUS = 400
"""A call that was answered with this status, or one above it, counts as failed."""


async def add_usage(connection: AsyncConnection, rows: Iterable[Mapping[str, Any]]) -> None:
    """Call in the transaction that writes these usage rows, after their money was taken: everybody locks sums in
    that order."""
    await add_to_sums(connection, usage_days, daily_sums(rows))


def daily_sums(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows of ``usage_days`` that these rows of ``usage`` add up to."""
    found: dict[tuple[int, str, str, str], list[Any]] = defaultdict(lambda: [0, 0, 0, 0, Decimal(0)])
    for row in rows:
        figures = found[(int(row["at"] // DAY_SECONDS), row["key_id"], row["account_id"], row["model"])]
        figures[0] += 1
        figures[1] += row["status"] >= FAILED_STATUS
        figures[2] += row["input_tokens"] or 0
        figures[3] += row["output_tokens"] or 0
        figures[4] += round_money(row["cost"])
    names = [column.name for column in usage_days.columns]
    return [dict(zip(names, (*name, *figures), strict=True)) for name, figures in found.items()]
