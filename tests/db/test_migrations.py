"""Migrations: up and down on both stores, with rows, and equal to the tables that the code knows."""

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import create_async_engine

from app.db import migrate, revision
from app.db.operator_tables import metadata, usage_days
from app.db.session import Database
from app.db.tables import tasks, timeline, usage
from tests import stores

pytestmark = pytest.mark.slow

TASK = {
    "id": "0" * 32,
    "owner": "key:a",
    "key_id": "a",
    "dialect": "test",
    "kind": "video",
    "model": "sora-2",
    "request": "{}",
    "state": "completed",
    "fingerprint": "f",
    "created_at": 1.5,
    "deadline_at": 2.5,
}


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path / 'test.db'}"
        return
    request.getfixturevalue("postgres_server")
    url = stores.empty_postgres_store()
    yield url.replace("postgresql://", "postgresql+asyncpg://")
    stores.drop(url)


async def on(url: str, work: Any) -> Any:
    engine = create_async_engine(url)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(work)
    finally:
        await engine.dispose()


def differences(connection: sa.Connection) -> list[Any]:
    def ours(_object: Any, name: str | None, kind: str, _reflected: bool, _compared: Any) -> bool:
        return not (kind == "table" and (name or "").startswith("pgqueuer"))

    context = MigrationContext.configure(
        connection, opts={"include_object": ours, "compare_type": True, "compare_server_default": False}
    )
    return list(compare_metadata(context, metadata))


async def test_the_migrated_store_is_what_the_code_knows(empty_url: str) -> None:
    await asyncio.to_thread(migrate.upgrade, empty_url)
    assert await on(empty_url, differences) == []


async def test_up_down_and_up_again_with_rows(empty_url: str) -> None:
    await asyncio.to_thread(migrate.upgrade, empty_url)
    row = {"task_id": TASK["id"], "at": 1.0, "epoch": 1, "event": "received"}

    def fill(connection: sa.Connection) -> None:
        connection.execute(sa.insert(tasks), TASK)
        connection.execute(sa.insert(timeline), row)

    def read(connection: sa.Connection) -> Any:
        return connection.execute(sa.text("SELECT id, state, created_at FROM tasks")).all()

    await on(empty_url, fill)
    await asyncio.to_thread(migrate.downgrade, empty_url, revision="0001")
    assert await on(empty_url, read) == [(TASK["id"], "completed", 1.5)]
    await asyncio.to_thread(migrate.upgrade, empty_url)
    assert await on(empty_url, read) == [(TASK["id"], "completed", 1.5)]
    await asyncio.to_thread(migrate.downgrade, empty_url, revision="base")
    left = await on(empty_url, lambda connection: sa.inspect(connection).get_table_names())
    assert [name for name in left if name != "alembic_version"] == []
    await asyncio.to_thread(migrate.upgrade, empty_url)
    assert await on(empty_url, read) == []


async def test_several_processes_may_start_at_once(empty_url: str) -> None:
    async def start() -> None:
        database = Database(empty_url)
        try:
            await revision.upgrade_if_needed(database)
        finally:
            await database.close()

    await asyncio.gather(*(start() for _ in range(3)))
    assert await on(empty_url, differences) == []


def test_the_code_names_the_newest_revision() -> None:
    assert ScriptDirectory(str(migrate.MIGRATIONS)).get_current_head() == revision.NEWEST


async def test_usage_of_an_older_store_is_added_up(empty_url: str) -> None:
    call = {
        "key_id": "k",
        "account_id": "a",
        "model": "m",
        "path": "x",
        "milliseconds": 1.0,
        "cost": Decimal(2),
    }
    rows = [
        call | {"at": 86_400.0 * day + 86_399.9, "status": status, "input_tokens": tokens}
        for day, status, tokens in ((3, 200, 5), (3, 500, None), (4, 200, 7))
    ]
    await asyncio.to_thread(migrate.upgrade, empty_url, revision="0009")
    await on(empty_url, lambda connection: connection.execute(sa.insert(usage), rows))
    await asyncio.to_thread(migrate.upgrade, empty_url)
    found = await on(empty_url, lambda connection: connection.execute(sa.select(usage_days)).all())
    assert sorted(found) == [
        (3, "k", "a", "m", 2, 1, 5, 0, Decimal(4)),
        (4, "k", "a", "m", 1, 0, 7, 0, Decimal(2)),
    ]
