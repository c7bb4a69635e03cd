"""Usage rows: in batches, bounded, and kept while the database is away."""

import asyncio
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from app.db.session import Database
from app.db.tables import metadata, usage
from app.usage.recorder import UsageRecorder, UsageRow


def row(number: int, **given: Any) -> UsageRow:
    fields = {"account_id": "a", "model": "bot", "path": "/v1/x", "status": 200, "milliseconds": 1.5} | given
    return UsageRow(at=float(number), key_id="k", **fields)


async def make_tables(database: Database) -> None:
    async with database.write() as connection:
        await connection.run_sync(metadata.create_all)


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
