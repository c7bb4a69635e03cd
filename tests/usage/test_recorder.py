"""Usage rows: in batches, bounded, and kept while the database is away."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.session import Database
from app.db.tables import metadata, spending, usage
from app.usage.recorder import UsageRecorder, UsageRow


def row(number: int, **given: Any) -> UsageRow:
    fields = {"account_id": "a", "model": "bot", "path": "/v1/x", "status": 200, "milliseconds": 1.5} | given
    return UsageRow(at=float(number), key_id="k", **fields)


async def make_tables(database: Database) -> None:
    metadata.create_all(database.writing_engine)


async def rows(database: Database) -> list[Any]:
    async with database.read() as connection:
        return list((await connection.execute(sa.select(usage).order_by(usage.c.id))).all())


async def test_rows_are_written_as_they_were_added(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'usage.db'}")
    await make_tables(database)
    recorder = UsageRecorder(database)
    recorder.add_row(row(1, input_tokens=3, output_tokens=0))
    recorder.add_row(row(2, model="模型" * 200, path="/" * 100))
    recorder.add_row(row(3, model="bad \0 \ud800"))
    assert await recorder.flush()
    first, second, third = await rows(database)
    assert (first.at, first.key_id, first.account_id, first.status) == (1.0, "k", "a", 200)
    assert (first.input_tokens, first.output_tokens, first.milliseconds) == (3, 0, 1.5)
    assert (second.input_tokens, len(second.model), len(second.path)) == (None, 200, 64)
    assert third.model == "'bad \\x00 \\ud800'"
    await database.close()


async def test_run_writes_and_close_writes_the_rest(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'usage.db'}")
    await make_tables(database)
    recorder = UsageRecorder(database)
    running = asyncio.create_task(recorder.run())
    recorder.add_row(row(1))
    for _ in range(1000):
        if await rows(database):
            break
        await asyncio.sleep(0.02)
    running.cancel()
    recorder.add_row(row(2))
    await recorder.close()
    assert [found.at for found in await rows(database)] == [1.0, 2.0]
    await database.close()


async def test_rows_whose_commit_is_under_way_at_the_end_are_written_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, committed = database.write_many, asyncio.Event()

    @asynccontextmanager
    async def write_many() -> AsyncIterator[AsyncConnection]:
        async with plain() as connection:
            yield connection
        committed.set()
        await asyncio.sleep(0.05)

    monkeypatch.setattr(database, "write_many", write_many)
    recorder = UsageRecorder(database)
    running = asyncio.create_task(recorder.run())
    recorder.add_row(row(1, cost=Decimal(1)))
    await committed.wait()
    running.cancel()
    await recorder.close()
    assert [found.at for found in await rows(database)] == [1.0]


async def test_a_steady_load_is_written_in_batches(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'usage.db'}")
    await make_tables(database)
    recorder = UsageRecorder(database)

    async def call() -> None:
        while True:
            recorder.add_row(row(1))
            await asyncio.sleep(0)

    calling = asyncio.create_task(call())
    await asyncio.sleep(0.1)
    async with asyncio.timeout(30):  # it ends, though there are always more
        assert await recorder.flush()
    calling.cancel()
    await recorder.close()
    await database.close()


async def test_rows_wait_while_the_database_is_away(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'usage.db'}")
    recorder = UsageRecorder(database, kept=3)
    for number in range(5):
        recorder.add_row(row(number))
    assert not await recorder.flush()
    recorder.add_row(row(5))
    assert not await recorder.flush()
    assert recorder.dropped == 3
    await make_tables(database)
    assert await recorder.flush()
    assert [found.at for found in await rows(database)] == [3.0, 4.0, 5.0]
    await database.close()


async def test_a_row_that_no_store_takes_costs_none_of_the_others(database: Database) -> None:
    recorder = UsageRecorder(database)
    told: list[Mapping[str, str]] = []
    recorder.on_refused = told.append
    spoiled = {
        17: row(17, account_id=None, cost=Decimal(7)),
        40: row(40, status=2**40),
    }  # asyncpg itself refuses the second
    for number in range(60):
        recorder.add_row(spoiled.get(number, row(number, cost=Decimal("0.5"))))
    recorder.add_row(row(60, input_tokens=2**31 + 5, output_tokens=-3, cost=Decimal("0.5")))
    assert await recorder.flush()
    refused = {17, 40} if database.is_postgres else {17}
    assert [found.at for found in await rows(database)] == [n for n in range(61) if n not in refused]
    assert (await rows(database))[-1].input_tokens == 2**31 - 1
    assert recorder.refused == len(told) == len(refused)
    assert told[0] == {"key": "k", "account": None, "model": "bot", "path": "/v1/x", "cost": "7"}
    async with database.read() as connection:
        total = sa.select(spending.c.spent).where(spending.c.period == "total")
        assert (await connection.execute(total)).scalar_one() == Decimal("29.5")
