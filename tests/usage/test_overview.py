"""Hourly counts of ended tasks are read back as figures."""

import asyncio
import random
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from app.db.operator_tables import rollup
from app.db.session import Database
from app.usage.closed_days import ClosedDays
from app.usage.overview import UsageOverview, percentile
from app.usage.recorder import HOUR, EndedTask, bucket_of, count_ended, seconds_of
from app.usage.zones import read_zone

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


async def test_days_that_are_over_are_read_once_an_hour(database: Database) -> None:
    """A month of a busy gateway is hundreds of thousands of rows; two days of it are read again for each look."""
    day = 24 * HOUR
    for back in range(30):
        await counted(
            database, one(at=NOW - back * day, cost=Decimal(1)), one(at=NOW - back * day, outcome="x")
        )
    overview, read = UsageOverview(database), list[tuple[float, float]]()
    whole, sums_between = await overview.summarize("30d", now=NOW), overview._sums_between

    async def noted(begin: float, end: float) -> list[Any]:
        read.append((begin, end))
        return await sums_between(begin, end)

    overview._sums_between = noted  # type: ignore[method-assign]
    assert (whole.tasks, whole.cost) == (60, Decimal(30))
    await counted(database, one(cost=Decimal(5)), one(at=NOW - 20 * day))
    again = await overview.summarize("30d", now=NOW)
    assert (again.tasks, again.cost) == (61, Decimal(35))  # the bill of a day long past comes within an hour
    assert len(read) <= 3 and min(begin for begin, _ in read) >= NOW - 3 * day
    assert (await UsageOverview(database).summarize("30d", now=NOW)).tasks == 62
    assert [(each.code, each.model, each.tasks) for each in again.failures] == [("x", "film", 30)]
    assert again.failures[0].hour == int(NOW // HOUR)
    forgetful = UsageOverview(database, remembered=ClosedDays(seconds=0))
    assert (await forgetful.summarize("30d", now=NOW)).tasks == 62
    await counted(database, one(at=NOW - 20 * day))
    assert (await forgetful.summarize("30d", now=NOW)).tasks == 63


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/New_York"])
async def test_a_remembered_month_is_the_month(database: Database, zone: str) -> None:
    chance = random.Random(5)
    for _ in range(120):
        at = NOW - chance.uniform(0, 29.5 * 24 * HOUR)
        word = chance.choice(["completed", "completed", "cancelled", "x"])
        await counted(database, one(at=at, outcome=word, seconds=chance.uniform(2, 90), cost=Decimal("0.1")))
    overview = UsageOverview(database)
    first = await overview.summarize("30d", now=NOW, zone=read_zone(zone))
    assert first == await overview.summarize("30d", now=NOW, zone=read_zone(zone))
    assert (
        sum(point.completed + point.failed + point.cancelled for point in first.points) == first.tasks == 120
    )
    assert first.cost == Decimal(12) == sum(point.cost for point in first.points)
