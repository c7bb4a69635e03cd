"""Old rows are deleted, newer ones stay, and counts stay correct when hours are merged into days."""

import asyncio
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from app.db.operator_tables import audit, rollup
from app.db.session import Database
from app.db.tables import usage
from app.usage import recorder
from app.usage.overview import UsageOverview
from app.usage.recorder import COUNTED_DAYS, HOUR, HOURLY_DAYS, EndedTask, count_ended, delete_old_rows
from app.usage.reports import UsageReports, UsageSpan

DAY = 86_400.0
NOW = 20_778 * DAY + 5 * HOUR


async def forgotten(database: Database, *, now: float = NOW) -> None:
    await delete_old_rows(database, now=now, request_days=90, audit_days=365)


async def days_of(database: Database, table: sa.Table) -> list[float]:
    async with database.read() as connection:
        found = (await connection.execute(sa.select(table.c.at))).scalars()
        return sorted(round((NOW - at) / DAY, 3) for at in found)


async def test_old_rows_are_deleted(database: Database, monkeypatch: Any) -> None:
    monkeypatch.setattr(recorder, "DELETE_ROWS", 3)
    request = {
        "key_id": "k",
        "account_id": "a",
        "model": "m",
        "path": "x",
        "status": 200,
        "milliseconds": 1.0,
    }
    change = {"actor": "admin", "action": "key.made", "target": "keys/1"}
    async with database.write() as connection:
        rows = [request | {"at": NOW - days * DAY} for days in (0, 1, 89.9, *range(91, 101))]
        await connection.execute(sa.insert(usage), rows)
        summed = [row | {"cost": Decimal(1), "input_tokens": 1, "output_tokens": 1} for row in rows]
        await recorder.add_usage(connection, [*summed, summed[0] | {"at": NOW - 402 * DAY}])
        rows = [change | {"at": NOW - days * DAY} for days in (0, 364.9, *range(366, 373))]
        await connection.execute(sa.insert(audit), rows)
    await forgotten(database)
    assert await days_of(database, usage) == [0, 1, 89.9]
    assert await days_of(database, audit) == [0, 364.9]
    [line] = await UsageReports(database).usage_lines((), UsageSpan(since=0, until=NOW + DAY))
    # What is reported outlives the log.
    assert (line.requests, line.cost) == (len(summed), Decimal(len(summed)))


async def test_hours_become_days_and_no_count_is_lost(database: Database) -> None:
    async with database.write() as connection:
        await count_ended(
            connection,
            [
                EndedTask(NOW - hours * HOUR, f"m{hours % 2}", "completed", 10.0 + hours % 5, Decimal("0.5"))
                for hours in range(40 * 24)
            ],
        )
    overview = UsageOverview(database)
    before = [await overview.summarize(window, now=NOW) for window in ("1h", "24h", "7d", "30d")]
    # Several workers do it at the same time, each of them again and again.
    await asyncio.gather(*(forgotten(database) for _ in range(3)))
    assert [await overview.summarize(window, now=NOW) for window in ("1h", "24h", "7d", "30d")] == before
    assert before[-1].tasks == 30 * 24 + 6
    async with database.read() as connection:
        hours = (await connection.execute(sa.select(rollup.c.hour).distinct())).scalars().all()
    assert len([hour for hour in hours if hour % 24]) <= (HOURLY_DAYS + 1) * 24
    await forgotten(database)
    assert await overview.summarize("30d", now=NOW) == before[-1]


async def test_a_late_bill_is_added_to_a_day_that_was_compacted(database: Database) -> None:
    late = EndedTask(NOW - 5 * DAY, "m", "submission_unknown", 10.0, Decimal(3))
    async with database.write() as connection:
        await count_ended(connection, [EndedTask(late.at, "m", "submission_unknown", 10.0)])
    await forgotten(database)
    async with database.write() as connection:
        await count_ended(connection, [late], tasks=0)
    await forgotten(database)
    found = await UsageOverview(database).summarize("7d", now=NOW)
    assert (found.tasks, found.cost) == (1, Decimal(3))


async def test_days_beyond_the_reports_are_deleted(database: Database) -> None:
    async with database.write() as connection:
        await count_ended(connection, [EndedTask(NOW, "m", "completed", 1.0)])
    await forgotten(database, now=NOW + (COUNTED_DAYS - 1) * DAY)
    async with database.read() as connection:
        assert len((await connection.execute(sa.select(rollup))).all()) == 1
    await forgotten(database, now=NOW + (COUNTED_DAYS + 1) * DAY)
    async with database.read() as connection:
        assert (await connection.execute(sa.select(rollup))).all() == []
