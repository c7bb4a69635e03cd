"""Migrations: up and down on both stores, with rows, and equal to the tables that the code knows."""

import asyncio
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import create_async_engine

from app.db import migrate, revision
from app.db.operator_tables import metadata
from app.db.session import Database
from app.db.tables import tasks, timeline

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


async def test_the_migrated_store_is_what_the_code_knows(database_url: str) -> None:
    await asyncio.to_thread(migrate.upgrade, database_url)
    assert await on(database_url, differences) == []


async def test_up_down_and_up_again_with_rows(database_url: str) -> None:
    await asyncio.to_thread(migrate.upgrade, database_url)
    row = {"task_id": TASK["id"], "at": 1.0, "epoch": 1, "event": "received"}

    def fill(connection: sa.Connection) -> None:
        connection.execute(sa.insert(tasks), TASK)
        connection.execute(sa.insert(timeline), row)

    def read(connection: sa.Connection) -> Any:
        return connection.execute(sa.text("SELECT id, state, created_at FROM tasks")).all()

    await on(database_url, fill)
    await asyncio.to_thread(migrate.downgrade, database_url, revision="0001")
    assert await on(database_url, read) == [(TASK["id"], "completed", 1.5)]
    await asyncio.to_thread(migrate.upgrade, database_url)
    assert await on(database_url, read) == [(TASK["id"], "completed", 1.5)]
    await asyncio.to_thread(migrate.downgrade, database_url, revision="base")
    left = await on(database_url, lambda connection: sa.inspect(connection).get_table_names())
    assert [name for name in left if name != "alembic_version"] == []
    await asyncio.to_thread(migrate.upgrade, database_url)
    assert await on(database_url, read) == []


async def test_several_processes_may_start_at_once(database_url: str) -> None:
    async def start() -> None:
        database = Database(database_url)
        try:
            await revision.bring_up(database)
        finally:
            await database.close()

    await asyncio.gather(*(start() for _ in range(3)))
    assert await on(database_url, differences) == []


def test_the_code_names_the_newest_revision() -> None:
    assert ScriptDirectory(str(migrate.MIGRATIONS)).get_current_head() == revision.NEWEST
