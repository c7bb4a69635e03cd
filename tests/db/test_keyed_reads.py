"""Rows by their key: the same values as SQLAlchemy reads, and as fresh as a read of one's own."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest_asyncio
import sqlalchemy as sa

from app.db.keyed_reads import GatheredReads, KeyedReads
from app.db.session import Database
from app.db.tables import keys

COUNT = 20


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    rows = [
        {
            "id": f"key{number}",
            "name": f"Key {number}",
            "hash": f"hash{number}",
            "budget_total": Decimal(number) / 7,
            "enabled": number % 2 == 0,
            "created_at": number + 0.25,
        }
        for number in range(COUNT)
    ]
    async with opened.write() as connection:
        await connection.execute(sa.insert(keys), rows)
    yield opened
    await opened.close()


def reads_of(database: Database) -> KeyedReads:
    return database.keyed_reads(list(keys.c), key=keys.c.id)


async def test_every_value_is_what_sqlalchemy_reads(database: Database) -> None:
    reads = reads_of(database)
    async with database.read() as connection:
        wanted = {row.id: tuple(row) for row in await connection.execute(sa.select(keys))}
    found = await asyncio.gather(*(reads.get(key) for key in wanted), reads.get("another"))
    assert reads.names == [column.name for column in keys.c]
    assert [None if values is None else tuple(values) for values in found] == [*wanted.values(), None]
    assert isinstance(dict(zip(reads.names, found[1] or (), strict=True))["budget_total"], Decimal)


async def test_a_read_sees_what_was_written_before_it_although_others_are_under_way(
    database: Database,
) -> None:
    reads = reads_of(database)
    name = reads.names.index("name")
    others = [asyncio.create_task(reads.get(f"key{number}")) for number in range(COUNT)]
    await asyncio.sleep(0)  # they begin
    for text in ("first", "second"):
        async with database.write() as connection:
            await connection.execute(sa.update(keys).where(keys.c.id == "key1").values(name=text))
        values = await reads.get("key1")
        assert values is not None
        assert values[name] == text
    assert all(await asyncio.gather(*others))


async def test_one_who_leaves_takes_the_answer_from_nobody(database: Database) -> None:
    reads = reads_of(database)
    leaving, staying = (asyncio.create_task(reads.get("key1")) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying is not None


async def test_many_reads_at_once_are_few_statements(database: Database) -> None:
    reads = reads_of(database)
    statements: list[str] = []
    if isinstance(reads, GatheredReads):
        engine = database.writing_engine
        sa.event.listen(engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    found = await asyncio.gather(*(reads.get(f"key{number}") for number in range(COUNT)))
    assert all(found)
    assert len(statements) == (1 if isinstance(reads, GatheredReads) else 0)
