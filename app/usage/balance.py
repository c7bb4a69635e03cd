"""Whether the sums of the ledger are what its rows add up to."""

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from itertools import product

import sqlalchemy as sa

from app.db.connection import AsyncConnection
from app.db.operator_tables import usage_days, usage_hours
from app.db.tables import BILLION, ledger, spending, usage
from app.usage.ledger import NOTHING, PRUNED, TOTAL, period_names
from app.usage.sums import daily_sums, fold_usage, sums_by_hour


def _entries(holder: str) -> str:
    """What each key's or project's rows add up to, by the column that names it. No value of a client is in it."""
    own = f"{holder} IS NOT NULL"
    return f"""
    SELECT {holder} AS holder, amount AS reserved, 0 AS spent FROM ledger WHERE kind = 'reserve' AND {own}
    UNION ALL
    SELECT closing.{holder}, -held.amount, CASE closing.kind WHEN 'settle' THEN closing.amount ELSE 0 END
    FROM ledger AS closing JOIN ledger AS held ON held.task_id = closing.task_id AND held.kind = 'reserve'
    WHERE closing.kind IN ('settle', 'release') AND closing.{own}
    UNION ALL
    SELECT {holder}, 0, amount FROM ledger WHERE kind = 'attempt' AND {own}
    UNION ALL
    SELECT {holder}, 0, cost FROM usage WHERE task_id IS NULL AND {own}
    """  # noqa: S608


# One statement reads everything at the same moment.
BALANCE_QUERY = sa.text(f"""
SELECT holder, SUM(reserved), SUM(spent) FROM (
    {_entries("key_id")} UNION ALL {_entries("project_id")}
    UNION ALL
    SELECT key_id, reserved, spent FROM spending WHERE period = 'pruned'
    UNION ALL
    SELECT key_id, -reserved, -spent FROM spending WHERE period = 'total'
) AS entries GROUP BY holder HAVING SUM(reserved) <> 0 OR SUM(spent) <> 0 ORDER BY holder
""")  # noqa: S608


@dataclass(frozen=True, slots=True)
class LedgerImbalance:
    """By how many US dollars the rows of a key, or of a project, exceed its sums."""

    key_id: str
    reserved: Decimal
    spent: Decimal


async def find_imbalances(connection: AsyncConnection) -> list[LedgerImbalance]:
    """Keys and projects whose sums are not what their rows add up to: none, unless the database was edited by hand.

    Also right while a gateway writes, and fast with many rows.
    """
    rows = await connection.execute(BALANCE_QUERY)
    return [LedgerImbalance(row[0], Decimal(row[1]) / BILLION, Decimal(row[2]) / BILLION) for row in rows]


async def find_differences(connection: AsyncConnection) -> list[str]:
    """Where sums are not what the rows add up to, by key and period, in words. For tests: it reads every row."""
    expected: dict[tuple[str, str], list[Decimal]] = defaultdict(lambda: [NOTHING, NOTHING])
    held = {}
    for row in await connection.execute(sa.select(ledger).order_by(ledger.c.id)):
        if row.kind == "reserve":
            held[row.task_id] = row
        opened = held[row.task_id]
        holders = filter(None, (row.key_id, row.project_id))
        for holder_id, period in product(holders, period_names(opened.at)):
            sums = expected[(holder_id, period)]
            if row.kind != "attempt":
                sums[0] += row.amount if row.kind == "reserve" else -opened.amount
            sums[1] += row.amount if row.kind in ("settle", "attempt") else NOTHING
    columns = usage.c.key_id, usage.c.project_id, usage.c.at, usage.c.cost
    relayed = sa.select(*columns).where(usage.c.task_id.is_(None), usage.c.cost > NOTHING)
    for row in await connection.execute(relayed):
        for place in product(filter(None, (row.key_id, row.project_id)), period_names(row.at)):
            expected[place][1] += row.cost
    stored = {
        (r.key_id, r.period): [r.reserved, r.spent] for r in await connection.execute(sa.select(spending))
    }
    for (key_id, period), (_, spent) in stored.items():
        if period == PRUNED:
            expected[(key_id, TOTAL)][1] += spent
            expected[(key_id, PRUNED)][1] = spent
    zero = [NOTHING, NOTHING]
    return await _daily_differences(connection) + [
        f"{key_id} {period}: {stored.get((key_id, period), zero)} instead of {expected.get((key_id, period), zero)}"
        for key_id, period in sorted(stored.keys() | expected.keys())
        if stored.get((key_id, period), zero) != expected.get((key_id, period), zero)
    ]


async def _daily_differences(connection: AsyncConnection) -> list[str]:
    folded = fold_usage(row._asdict() for row in await connection.execute(sa.select(usage)))
    days = [dict(row._mapping) for row in await connection.execute(sa.select(usage_days))]
    hours = [dict(row._mapping) for row in await connection.execute(sa.select(usage_hours))]
    found = [f"usage of a day: {row} is not in the sums" for row in daily_sums(folded) if row not in days]
    return found + [
        f"usage of an hour: {row} is not in the sums" for row in sums_by_hour(folded) if row not in hours
    ]
