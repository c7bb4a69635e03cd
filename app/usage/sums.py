"""Sums of usage by day and by hour, written beside the rows that they add up, so that reports cost the same for any history.

``usage_days``: by UTC day, key, account and model. ``usage_hours``: by hour and model, once for each key and once for each
account; their bounds are where a day begins somewhere on earth, so that days can be those of any zone.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

import sqlalchemy as sa

from app.db.connection import AsyncConnection
from app.db.operator_tables import usage_days, usage_hours
from app.db.session import add_to_sums
from app.db.tables import round_money, usage

DAY_SECONDS = 86_400
NOTHING = Decimal(0)
FAILED_STATUS = 400
"""A call that was answered with this status or a higher one counts as failed."""
SIDES = {"key": "key_id", "account": "account_id"}
FIGURES = tuple(column.name for column in usage_days.columns if not column.primary_key)
ATTEMPT_PATH = "attempts/"
"""Begins the path of what an attempt cost after which a task went on elsewhere."""
UsageRows = Iterable[Mapping[str, Any]]

MINUTES_OF_HOURS = {
    **dict.fromkeys((10, 11, 15, 18), 15),
    **dict.fromkeys((2, 3, 9, 13, 14, 17, 19, 20), 30),
}
"""How many minutes these UTC hours are cut into, as a day of some zone begins within them: India's at 18:30 UTC, Nepal's at
18:15, Iran's at 20:30. ``tests/usage/test_zones.py`` asks every zone."""


def hour_of(at: float) -> int:
    """The minute (since 1970) in which the hour, or part of one, begins that a moment belongs to."""
    minute = int(at // 60)
    step = _step_at(minute)
    return minute // step * step


def hour_after(at: float) -> int:
    """The minute of the first of them that does not begin before a moment."""
    minute = hour_of(at)
    return minute if minute * 60 >= at else minute + _step_at(minute)


def _step_at(minute: int) -> int:
    return MINUTES_OF_HOURS.get(minute // 60 % 24, 60)


async def add_usage(connection: AsyncConnection, rows: UsageRows) -> None:
    """Add rows of ``usage`` to their days and hours.

    Call it in the transaction that writes the rows, after their money was booked: every writer locks sums in this order.
    """
    rows = list(rows)
    await add_to_sums(connection, usage_days, daily_sums(rows))
    await add_to_sums(connection, usage_hours, sums_by_hour(rows))


async def remove_usage(
    connection: AsyncConnection, task_id: str, key_id: str, *, at: float
) -> Decimal | None:
    """Take back the row of a task whose end changes, and what it added to its day and hour. Returns what its vendor
    charged, as far as that was known."""
    its = usage.c.task_id == task_id, ~usage.c.path.startswith(ATTEMPT_PATH)
    mine = usage.c.key_id == key_id, usage.c.at == at, *its
    removed = (await connection.execute(sa.delete(usage).where(*mine).returning(usage))).all()
    rows = [dict(row._mapping) for row in removed]
    for table, sums in ((usage_days, daily_sums(rows)), (usage_hours, sums_by_hour(rows))):
        taken = [row | {name: -row[name] for name in FIGURES} for row in sums]
        await add_to_sums(connection, table, taken)
    return next((row["vendor_cost"] for row in rows), None)


def daily_sums(rows: UsageRows) -> list[dict[str, Any]]:
    """The rows of ``usage_days`` that these rows of ``usage`` add up to."""
    return _summed(rows, ("day", "key_id", "account_id", "model"), _day_group)


def sums_by_hour(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows of ``usage_hours`` that these rows of ``usage`` add up to."""
    names = ("side", "minute", "party", "model")
    return [line for side in SIDES for line in _summed(rows, names, partial(_hour_group, side))]


def _day_group(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return int(row["at"] // DAY_SECONDS), row["key_id"], row["account_id"], row["model"]


def _hour_group(side: str, row: Mapping[str, Any]) -> tuple[Any, ...]:
    return side, hour_of(row["at"]), row[SIDES[side]], row["model"]


def _summed(
    rows: UsageRows, names: Sequence[str], group_of: Callable[[Mapping[str, Any]], tuple[Any, ...]]
) -> list[dict[str, Any]]:
    sums: dict[tuple[Any, ...], list[Any]] = defaultdict(lambda: [0, 0, 0, 0, NOTHING, 0, 0, NOTHING, 0])
    for row in rows:
        figures, charged = sums[group_of(row)], row["cost"] or NOTHING
        figures[0] += 1
        figures[1] += row["status"] >= FAILED_STATUS
        figures[2] += row["input_tokens"] or 0
        figures[3] += row["output_tokens"] or 0
        figures[5] += row.get("films") or 0
        figures[6] += row.get("film_milliseconds") or 0
        vendor_cost = row.get("vendor_cost")
        figures[8] += vendor_cost is None and (row["status"] < FAILED_STATUS or charged > 0)
        if charged:
            figures[4] += round_money(charged)
        if vendor_cost:
            figures[7] += round_money(vendor_cost)
    return [dict(zip((*names, *FIGURES), (*key, *figures), strict=True)) for key, figures in sums.items()]


def row_figures(table: sa.FromClause = usage) -> Mapping[str, sa.ColumnElement[Any]]:
    """The same sums in SQL, over rows of ``usage``."""
    failed = table.c.status >= FAILED_STATUS
    unknown = sa.and_(table.c.vendor_cost.is_(None), sa.or_(~failed, table.c.cost > NOTHING))
    found: dict[str, sa.ColumnElement[Any]] = {
        name: sa.func.coalesce(sa.func.sum(table.c[name]), 0) for name in FIGURES if name in table.c
    }
    return found | {
        "requests": sa.func.count(),
        "failed": sa.func.coalesce(sa.func.sum(sa.case((failed, 1), else_=0)), 0),
        "cost": sa.func.sum(table.c.cost),
        "vendor_cost": sa.func.coalesce(
            sa.func.sum(table.c.vendor_cost), sa.literal(NOTHING, table.c.vendor_cost.type)
        ),
        "unknown_costs": sa.func.coalesce(sa.func.sum(sa.case((unknown, 1), else_=0)), 0),
    }
