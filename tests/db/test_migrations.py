"""Migrations: up and down on both stores, with rows, and equal to the tables that the code knows."""

import asyncio
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import create_async_engine

from app import __version__
from app.db import migrate, revision
from app.db.operator_tables import metadata, usage_days, usage_hours
from app.db.session import Database
from app.db.tables import tasks, timeline, usage
from app.errors import SettingsInvalid
from tests import stores
from tests.cli.running import inside

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


def test_the_newest_revision_is_found_by_its_file() -> None:
    known = ScriptDirectory(str(migrate.MIGRATIONS))
    assert known.get_current_head() == revision.NEWEST
    assert {known.get_revision(number) for number in revision.RELEASES.values()}.isdisjoint({None})


def test_each_release_of_the_list_of_changes_has_its_revision() -> None:
    changes = (migrate.MIGRATIONS.parent / "CHANGELOG.md").read_text()
    assert re.findall(r"^## (\S+)", changes, re.MULTILINE) == [*reversed(revision.RELEASES)]
    assert next(reversed(revision.RELEASES)) == __version__


def test_a_store_of_a_newer_version_is_refused_and_taken_back(empty_url: str, tmp_path: Path) -> None:
    migrate.upgrade(empty_url)

    def changed(work: Any) -> Any:
        return asyncio.run(on(empty_url, work))

    newer = str(int(revision.NEWEST) + 1).zfill(4)
    mark = sa.text("UPDATE alembic_version SET version_num = :number")
    changed(lambda connection: connection.execute(mark, {"number": newer}))
    data = tmp_path / "data"
    refused = inside("keys", "list", data=data, FILMGATE_DATABASE_URL=empty_url)
    assert isinstance(refused.exception, SettingsInvalid)
    assert f"revision {newer} of a newer Filmgate" in str(refused.exception)
    assert f"filmgate downgrade {__version__}" in str(refused.exception)
    changed(lambda connection: connection.execute(mark, {"number": revision.NEWEST}))
    changed(lambda connection: connection.execute(sa.insert(tasks), TASK))
    unconfirmed = inside("downgrade", "0.1.0", data=data, FILMGATE_DATABASE_URL=empty_url)
    assert (unconfirmed.exit_code, "--yes" in unconfirmed.stderr) == (1, True)
    done = inside("downgrade", "0.1.0", "--yes", data=data, FILMGATE_DATABASE_URL=empty_url)
    assert (done.exit_code, done.stdout) == (0, "The store has revision 0010: start Filmgate 0.1.0.\n")
    again = inside("downgrade", "0.1.0", "--yes", data=data, FILMGATE_DATABASE_URL=empty_url)
    assert "can use it as it is" in again.stdout
    listed = inside("keys", "list", data=data, FILMGATE_DATABASE_URL=empty_url)
    assert listed.exit_code == 0, listed.exception
    read = sa.text("SELECT id FROM tasks")
    assert changed(lambda connection: connection.execute(read).scalars().all()) == [TASK["id"]]


def test_an_sqlite_store_is_copied_before_it_is_migrated(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'test.db'}"
    migrate.upgrade(url, revision="0009")
    assert [*tmp_path.glob("test.db.revision-*")] == []
    migrate.upgrade(url, revision="0010")
    migrate.upgrade(url)
    migrate.upgrade(url)  # as a process does that waited for the first
    copies = [*tmp_path.glob("test.db.*revision-*")]
    assert [copy.name for copy in copies] == ["test.db.revision-0010"]
    with closing(sqlite3.connect(copies[0])) as copy:
        assert copy.execute(migrate.REVISION).fetchone() == ("0010",)


async def test_a_store_that_can_not_be_copied_is_not_migrated(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'test.db'}"
    await asyncio.to_thread(migrate.upgrade, url, revision="0009")
    (tmp_path / "test.db.copying").mkdir()
    database = Database(url)
    try:
        with pytest.raises(revision.MigrationFailed, match="no copy of the database could be made"):
            await revision.upgrade_if_needed(database)
        assert await revision.current_revision(database) == "0009"
    finally:
        await database.close()


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
    nothing = Decimal(0)
    assert sorted(found) == [
        (3, "k", "a", "m", 2, 1, 5, 0, Decimal(4), 0, 0, nothing, 2),
        (4, "k", "a", "m", 1, 0, 7, 0, Decimal(2), 0, 0, nothing, 1),
    ]


async def test_hours_of_an_older_store_are_what_its_rows_and_days_say(empty_url: str) -> None:
    """A day whose rows are gone is counted whole, at its noon; a film's length is read from its task."""
    files = [
        {
            "name": "v",
            "key": "v",
            "content_type": "video/mp4",
            "bytes": 1,
            "seconds": 7.96,
            "made_seconds": 8.5,
        }
    ]
    film = TASK | {"result": json.dumps({"files": [*files, files[0] | {"content_type": "image/png"}]})}
    call = {"key_id": "k", "account_id": "a", "model": "m", "path": "x", "milliseconds": 1.0, "status": 200}
    rows = [
        call | {"at": 86_400.0 * 4 + 66_600.0, "cost": Decimal(2), "task_id": TASK["id"]},  # 18:30
        call | {"at": 86_400.0 * 4 + 66_599.0, "cost": Decimal(3), "task_id": None},
    ]
    gone = {"day": 4, "key_id": "k", "account_id": "b", "model": "m", "requests": 5, "failed": 1}
    gone |= {"input_tokens": 1, "output_tokens": 2, "cost": Decimal(7)}
    await asyncio.to_thread(migrate.upgrade, empty_url, revision="0009")

    def fill(connection: sa.Connection) -> None:
        connection.execute(sa.insert(tasks), film)
        connection.execute(sa.insert(usage), rows)

    await on(empty_url, fill)
    await asyncio.to_thread(migrate.upgrade, empty_url, revision="0017")
    await on(empty_url, lambda connection: connection.execute(sa.insert(usage_days), gone))
    await asyncio.to_thread(migrate.upgrade, empty_url)
    query = sa.select(usage_hours).order_by(*usage_hours.primary_key)
    found = await on(empty_url, lambda connection: connection.execute(query).all())
    at, nothing = 4 * 1440, Decimal(0)
    older = (5, 1, 1, 2, Decimal(7), 0, 0, nothing, 5)
    before, film_row = (
        (1, 0, 0, 0, Decimal(3), 0, 0, nothing, 1),
        (1, 0, 0, 0, Decimal(2), 1, 8500, nothing, 1),
    )
    assert [tuple(row) for row in found] == [
        ("account", at + 720, "b", "m", *older),
        ("account", at + 1095, "a", "m", *before),
        ("account", at + 1110, "a", "m", *film_row),
        ("key", at + 720, "k", "m", *older),
        ("key", at + 1095, "k", "m", *before),
        ("key", at + 1110, "k", "m", *film_row),
    ]
