"""Ended tasks counted by hour as they end, so that overviews cost the same whatever the history."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.operator_tables import rollup
from app.db.upsert import add_up
from app.usage.ledger import NOTHING

HOUR = 3600
STEPS = 8
"""Buckets to each doubling of the time: what is read back is at most 5 % off."""
COMPLETED = "completed"
HOURS = 24
Name = tuple[int, str, str, int]


@dataclass(frozen=True, slots=True)
class Ended:
    """One task's end: when (UTC seconds), how, how long after its creation (seconds) and at what cost."""

    at: float
    model: str
    outcome: str
    seconds: float
    cost: Decimal = NOTHING

    @property
    def name(self) -> Name:
        """Its row in the table."""
        bucket = bucket_of(self.seconds) if self.outcome == COMPLETED else 0
        return int(self.at // HOUR), self.model, self.outcome[:64], bucket


def bucket_of(seconds: float) -> int:
    """The eighth of a power of two that a time falls into; up to a second is all one."""
    return math.floor(math.log2(seconds) * STEPS) if seconds > 1 else 0


def seconds_of(bucket: int) -> float:
    """The middle of a bucket."""
    return float(2 ** ((bucket + 0.5) / STEPS))


async def count(connection: AsyncConnection, ended: Iterable[Ended], *, tasks: int = 1) -> None:
    """Call in the transaction that ends these tasks; with ``tasks=0`` it only adds their cost."""
    counts: Counter[Name] = Counter()
    costs: dict[Name, Decimal] = defaultdict(lambda: NOTHING)
    for one in ended:
        counts[one.name] += tasks
        costs[one.name] += one.cost
    if not costs:
        return
    await _add(connection, counts, costs)


async def compact(connection: AsyncConnection, *, before: float) -> bool:
    """Count the oldest day that is still counted by the hour, and ended ``before`` a moment, in its first hour.

    False when there is none. May be repeated, and by several processes at once.
    """
    by_hour = rollup.c.hour < day_of(before), rollup.c.hour % HOURS != 0
    oldest = (await connection.execute(sa.select(sa.func.min(rollup.c.hour)).where(*by_hour))).scalar()
    if oldest is None:
        return False
    day = oldest // HOURS * HOURS
    hours = rollup.c.hour > day, rollup.c.hour < day + HOURS
    # Whoever deletes a row has its count; somebody else finds it gone.
    gone = (await connection.execute(sa.delete(rollup).where(*hours).returning(rollup))).all()
    counts: Counter[Name] = Counter()
    costs: dict[Name, Decimal] = defaultdict(lambda: NOTHING)
    for row in gone:
        name = day, row.model, row.outcome, row.bucket
        counts[name] += row.tasks
        costs[name] += row.cost
    await _add(connection, counts, costs)
    return True


def day_of(moment: float) -> int:
    """The first hour of its UTC day."""
    return int(moment // HOUR) // HOURS * HOURS


async def _add(connection: AsyncConnection, counts: Counter[Name], costs: dict[Name, Decimal]) -> None:
    columns = [column.name for column in rollup.primary_key]
    rows = [
        {**dict(zip(columns, name, strict=True)), "tasks": counts[name], "cost": cost}
        for name, cost in costs.items()
    ]
    await add_up(connection, rollup, rows)
