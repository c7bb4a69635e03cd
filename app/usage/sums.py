"""Sums of usage by day and by hour, written beside the rows that they add up, so that reports cost the same for any history.

``usage_days``: by UTC day, key, account and model. ``usage_hours``: by hour and model, once for each key and once for each
account; their bounds are where a day begins somewhere on earth, so that days can be those of any zone.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeAlias

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
FoldedUsage: TypeAlias = dict[tuple[int, str, str, str], list[Any]]
"""The ``FIGURES`` by hour (``hour_of``), key, account and model."""

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
    folded = fold_usage(rows)
    await add_to_sums(connection, usage_days, daily_sums(folded))
    await add_to_sums(connection, usage_hours, sums_by_hour(folded))


async def remove_usage(
    connection: AsyncConnection, task_id: str, key_id: str, *, at: float
) -> Decimal | None:
    """Take back the row of a task whose end changes, and what it added to its day and hour. Returns what its vendor
    charged, as far as that was known."""
    its = usage.c.task_id == task_id, ~usage.c.path.startswith(ATTEMPT_PATH)
    mine = usage.c.key_id == key_id, usage.c.at == at, *its
    removed = (await connection.execute(sa.delete(usage).where(*mine).returning(usage))).all()
    folded = fold_usage(row._asdict() for row in removed)
    for table, sums in ((usage_days, daily_sums(folded)), (usage_hours, sums_by_hour(folded))):
        taken = [row | {name: -row[name] for name in FIGURES} for row in sums]
        await add_to_sums(connection, table, taken)
    return next((row.vendor_cost for row in removed), None)


def fold_usage(rows: UsageRows) -> FoldedUsage:
    """The figures of rows of ``usage``, each looked at once: both sums are made of these."""
    folded: FoldedUsage = defaultdict(lambda: [0, 0, 0, 0, NOTHING, 0, 0, NOTHING, 0])
    for row in rows:
        figures = folded[hour_of(row["at"]), row["key_id"], row["account_id"], row["model"]]
        charged, vendor_cost = row["cost"], row.get("vendor_cost")
        has_failed = row["status"] >= FAILED_STATUS
        figures[0] += 1
        figures[1] += has_failed
        figures[2] += row["input_tokens"] or 0
        figures[3] += row["output_tokens"] or 0
        if charged:
            figures[4] += round_money(charged)
        figures[5] += row.get("films") or 0
        figures[6] += row.get("film_milliseconds") or 0
        if vendor_cost:
            figures[7] += round_money(vendor_cost)
        figures[8] += vendor_cost is None and (not has_failed or (charged or NOTHING) > 0)
    return folded


def daily_sums(folded: FoldedUsage) -> list[dict[str, Any]]:
    """The rows of ``usage_days`` that they add up to."""
    return _summed(
        ("day", "key_id", "account_id", "model"),
        (((minute * 60 // DAY_SECONDS, *rest), figures) for (minute, *rest), figures in folded.items()),
    )


def sums_by_hour(folded: FoldedUsage) -> list[dict[str, Any]]:
    """The rows of ``usage_hours`` that they add up to."""
    sides = (
        ((side, minute, party, model), figures)
        for (minute, key, account, model), figures in folded.items()
        for side, party in zip(SIDES, (key, account), strict=True)
    )
    return _summed(("side", "minute", "party", "model"), sides)


def _summed(
    names: Sequence[str], groups: Iterable[tuple[tuple[Any, ...], Sequence[Any]]]
) -> list[dict[str, Any]]:
    sums: dict[tuple[Any, ...], Sequence[Any]] = {}
    for key, figures in groups:
        sums[key] = [a + b for a, b in zip(sums[key], figures, strict=True)] if key in sums else figures
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
