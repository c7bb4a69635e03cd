"""Writes that are written together: the same rows on both stores, and locks in the order in which they were added."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from app.db.joined_writes import JoinedWrites
from app.db.operator_tables import usage_days
from app.db.session import Database
from app.db.tables import slots, spending, timeline
from tests.tasks.conftest import until

SUMS = {"requests": 1, "failed": 0, "input_tokens": 2, "output_tokens": 3, "cost": Decimal("0.25")}
DAY = {"day": 20_000, "key_id": "k", "account_id": "a", "model": "m", **SUMS}
DAYS = [{**DAY, "model": "m1"}, {**DAY, "model": "m2"}]
BOOKED = {"key_id": "k", "period": "total", "reserved": Decimal(-1), "spent": Decimal("0.000000001")}
ROW = {"task_id": "t", "at": 1.5, "epoch": 1, "event": "completed", "detail": '{"quote": "\\" é"}'}


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
async def postgres(postgres_url: str) -> AsyncIterator[Database]:
    opened = Database(postgres_url.replace("postgresql://", "postgresql+asyncpg://"))
    yield opened
    await opened.close()


async def rows_of(database: Database, table: sa.Table) -> list[dict[str, Any]]:
    async with database.read() as connection:
        found = (await connection.execute(sa.select(table).order_by(*table.primary_key))).mappings()
        return [{name: value for name, value in row.items() if name != "id"} for row in found]


async def test_each_kind_of_write_does_what_it_says(database: Database) -> None:
    taken = {"task_id": "t", "account_id": "a", "kind": "video", "at": 1.0}
    kept = {**taken, "task_id": "u"}
    for _ in range(2):
        writes = JoinedWrites()
        writes.add_to_sums(spending, [BOOKED])
        writes.insert(timeline, [ROW])
        writes.insert(slots, [taken, kept])
        writes.add_to_sums(usage_days, [])
        async with database.write() as connection:
            await writes.write(connection)
        writes.change(slots, [{"task_id": "u", "kind": "image"}])
        writes.delete(slots, [{"task_id": "t"}, {"task_id": "no such"}])
        async with database.write() as connection:
            await writes.write(connection)
        assert await rows_of(database, slots) == [{**kept, "kind": "image"}]
        writes.delete(slots, [{"task_id": "u"}])
        async with database.write() as connection:
            await writes.write(connection)
            await writes.write(connection)  # nothing is left to write
    assert await rows_of(database, spending) == [BOOKED | {"reserved": -2, "spent": Decimal("0.000000002")}]
    assert await rows_of(database, timeline) == [ROW, ROW]
    assert await rows_of(database, usage_days) == []


@pytest.mark.parametrize("first", ["spending", "usage_days"])
async def test_rows_are_locked_in_the_order_in_which_the_writes_were_added(
    postgres: Database, first: str
) -> None:
    """While the first is held up by a lock, the rows of the second are free."""
    writes = JoinedWrites()
    for name in (first, "usage_days" if first == "spending" else "spending"):
        if name == "spending":
            writes.add_to_sums(spending, [BOOKED])
        else:
            writes.add_to_sums(usage_days, DAYS)
    seeded = JoinedWrites()
    seeded.add_to_sums(spending, [BOOKED])
    seeded.add_to_sums(usage_days, DAYS)
    async with postgres.write() as connection:
        await seeded.write(connection)

    async def write() -> None:
        async with postgres.write() as connection:
            await writes.write(connection)

    held, other = (spending, usage_days) if first == "spending" else (usage_days, spending)
    async with postgres.write() as holder:
        await holder.execute(sa.select(held).with_for_update())
        writing = asyncio.create_task(write())
        await until(lambda: somebody_waits(postgres))
        async with postgres.write() as second:
            await second.execute(sa.select(other).with_for_update(nowait=True))
        assert not writing.done()
    await writing


async def somebody_waits(database: Database) -> bool:
    waiting = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    async with database.read() as connection:
        return bool((await connection.execute(waiting)).scalar_one())
