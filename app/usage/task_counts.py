"""Ended tasks counted by hour as they end, so that overviews cost the same whatever the history."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.operator_tables import rollup
from app.db.session import add_to_sums
from app.usage.ledger import NOTHING

HOUR = 3600
STEPS_PER_DOUBLING = 8
"""Buckets to each doubling of the time: what is read back is at most 5 % off."""
COMPLETED = "completed"
HOURS_PER_DAY = 24
CountKey = tuple[int, str, str, int]


@dataclass(frozen=True, slots=True)
class EndedTask:
    """One task's end: when (UTC seconds), how, how long after its creation (seconds) and at what cost."""

    at: float
    model: str
    outcome: str
    seconds: float
    cost: Decimal = NOTHING

    @property
    def row_key(self) -> CountKey:
        """Its row in the table."""
        bucket = bucket_of(self.seconds) if self.outcome == COMPLETED else 0
        return int(self.at // HOUR), self.model, self.outcome[:64], bucket


def bucket_of(seconds: float) -> int:
    """The eighth of a power of two that a time falls into; up to a second is all one."""
    return math.floor(math.log2(seconds) * STEPS_PER_DOUBLING) if seconds > 1 else 0


def seconds_of(bucket: int) -> float:
    """The middle of a bucket."""
    return float(2 ** ((bucket + 0.5) / STEPS_PER_DOUBLING))


async def count_ended(connection: AsyncConnection, ended: Iterable[EndedTask], *, tasks: int = 1) -> None:
    """Call in the transaction that ends these tasks; with ``tasks=0`` it only adds their cost."""
    counts: Counter[CountKey] = Counter()
    costs: dict[CountKey, Decimal] = defaultdict(lambda: NOTHING)
    for one in ended:
        counts[one.row_key] += tasks
        costs[one.row_key] += one.cost
    if not costs:
        return
    await _add_counts(connection, counts, costs)


async def compact_oldest_day(connection: AsyncConnection, *, before: float) -> bool:
    """Count the oldest day that is still counted by the hour, and ended ``before`` a moment, in its first hour.

    False when there is none. May be repeated, and by several processes at once.
    """
    by_hour = rollup.c.hour < day_of(before), rollup.c.hour % HOURS_PER_DAY != 0
    oldest = (await connection.execute(sa.select(sa.func.min(rollup.c.hour)).where(*by_hour))).scalar()
    if oldest is None:
        return False
    day = oldest // HOURS_PER_DAY * HOURS_PER_DAY
    hours = rollup.c.hour > day, rollup.c.hour < day + HOURS_PER_DAY
    # Whoever deletes a row has its count; somebody else finds it gone.
    gone = (await connection.execute(sa.delete(rollup).where(*hours).returning(rollup))).all()
    counts: Counter[CountKey] = Counter()
    costs: dict[CountKey, Decimal] = defaultdict(lambda: NOTHING)
    for row in gone:
        name = day, row.model, row.outcome, row.bucket
        counts[name] += row.tasks
        costs[name] += row.cost
    await _add_counts(connection, counts, costs)
    return True


def day_of(moment: float) -> int:
    """The first hour of its UTC day."""
    return int(moment // HOUR) // HOURS_PER_DAY * HOURS_PER_DAY


async def _add_counts(
    connection: AsyncConnection, counts: Counter[CountKey], costs: dict[CountKey, Decimal]
) -> None:
    columns = [column.name for column in rollup.primary_key]
    rows = [
        {**dict(zip(columns, name, strict=True)), "tasks": counts[name], "cost": cost}
        for name, cost in costs.items()
    ]
    await add_to_sums(connection, rollup, rows)
