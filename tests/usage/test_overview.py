"""Hourly counts of ended tasks are read back as figures."""

import asyncio
import random
from collections import Counter
from decimal import Decimal

import pytest
import sqlalchemy as sa

from app.db.operator_tables import rollup
from app.db.session import Database
from app.usage.overview import UsageOverview, percentile
from app.usage.recorder import HOUR, EndedTask, bucket_of, count_ended, seconds_of

NOW = 1_795_000_000.0


def one(**given: object) -> EndedTask:
    fields = {"at": NOW, "model": "film", "outcome": "completed", "seconds": 40.0}
    return EndedTask(**(fields | given))  # type: ignore[arg-type]


async def counted(database: Database, *ended: EndedTask) -> None:
    async with database.write() as connection:
        await count_ended(connection, ended)


async def test_counts_rates_times_and_spending(database: Database) -> None:
    await counted(database, *(one(seconds=float(n), cost=Decimal("0.1")) for n in range(1, 101)))
    await counted(
        database, one(outcome="upstream_error"), one(outcome="cancelled"), one(model="clip", seconds=3.0)
    )
    await counted(database, one(at=NOW - 40 * 24 * HOUR), one(at=NOW - 5 * HOUR))
    found = await UsageOverview(database).summarize("1h", now=NOW)
    assert (found.tasks, found.cost) == (103, Decimal(10))
    assert found.outcomes == {"completed": 101, "upstream_error": 1, "cancelled": 1}
    assert found.success_rate == pytest.approx(101 / 102)
    film, clip = found.models
    assert (film.model, film.tasks, film.completed) == ("film", 102, 100)
    assert film.p50 == pytest.approx(50, rel=0.06)
    assert film.p95 == pytest.approx(95, rel=0.06)
    assert (clip.model, clip.success_rate) == ("clip", 1.0)
    assert sum(point.completed for point in found.points) == 101
    assert found.since <= NOW - HOUR
    day = await UsageOverview(database).summarize("24h", now=NOW)
    assert day.tasks == 104
    assert [point.completed for point in day.points] == [1, 101]
    assert (await UsageOverview(database).summarize("30d", now=NOW)).tasks == 104
    assert (await UsageOverview(database).summarize(now=NOW + 50 * 24 * HOUR)).success_rate is None


async def test_replicas_count_together(database: Database) -> None:
    await asyncio.gather(*(counted(database, one(), one(outcome="x"), one(model="b")) for _ in range(40)))
    async with database.read() as connection:
        rows = (await connection.execute(sa.select(rollup))).all()
    assert sorted(row.tasks for row in rows) == [40, 40, 40]


async def test_a_later_bill_adds_cost_and_no_task(database: Database) -> None:
    await counted(database, one(outcome="submission_unknown"))
    async with database.write() as connection:
        await count_ended(connection, [one(outcome="submission_unknown", cost=Decimal(3))], tasks=0)
    found = await UsageOverview(database).summarize("24h", now=NOW)
    assert (found.tasks, found.cost) == (1, Decimal(3))


def test_buckets_are_close_enough() -> None:
    chance = random.Random(7)
    for seconds in (chance.uniform(1.1, 4000) for _ in range(500)):
        assert seconds_of(bucket_of(seconds)) == pytest.approx(seconds, rel=0.05)
    assert bucket_of(0.0) == bucket_of(-3.0) == bucket_of(1.0) == 0


def test_no_percentile_without_tasks() -> None:
    assert percentile(Counter(), 0.5) is None
