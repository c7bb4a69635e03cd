"""SQLite's one writer: its groups, what fails in them, who is cancelled, and other processes on the same file."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from app.db import sqlite as sqlite_store
from app.db.session import Database
from app.db.sqlite import SqliteWriter

TABLES = """
CREATE TABLE films (name TEXT PRIMARY KEY);
CREATE TABLE parents (id INTEGER PRIMARY KEY);
CREATE TABLE children (parent INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED);
"""
INSERT = sa.text("INSERT INTO films VALUES (:name)")
NAMES = sa.text("SELECT name FROM films ORDER BY name")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "store.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(TABLES)
    return path


@pytest_asyncio.fixture
async def database(file: Path) -> AsyncIterator[Database]:
    opened = Database(f"sqlite+aiosqlite:///{file}")
    yield opened
    await opened.close()


@pytest.fixture
def other(file: Path) -> Iterator[sqlite3.Connection]:
    """Another process, which waits for no lock."""
    with closing(sqlite3.connect(file, isolation_level=None, timeout=0)) as connection:
        yield connection


class Commits:
    """Counts commits, and holds them up while ``gate`` is closed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.gate = threading.Event()
        self.gate.set()
        plain = SqliteWriter._run_sql

        def run_sql(writer: SqliteWriter, sql: str) -> None:
            if sql == "COMMIT":
                self.count += 1
                self.gate.wait(60)
            plain(writer, sql)

        monkeypatch.setattr(SqliteWriter, "_run_sql", run_sql)


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> Iterator[Commits]:
    counted = Commits(monkeypatch)
    yield counted
    counted.gate.set()


async def add(database: Database, *names: str, pause: float | None = None) -> None:
    async with database.write() as connection:
        for name in names:
            await connection.execute(INSERT, {"name": name})
        if pause is not None:
            await asyncio.sleep(pause)


async def names_in(database: Database) -> list[str]:
    async with database.read() as connection:
        return list((await connection.execute(NAMES)).scalars())


async def until(holds: Callable[[], Any]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, "it did not happen"
        await asyncio.sleep(0.002)


async def assert_usable(database: Database, other: sqlite3.Connection) -> None:
    """No transaction is left open."""
    await add(database, "later")
    other.execute("BEGIN IMMEDIATE")
    other.execute("ROLLBACK")


async def test_many_writes_share_a_commit_and_nobody_returns_before_it(
    database: Database, other: sqlite3.Connection, commits: Commits
) -> None:
    commits.gate.clear()
    jobs = [asyncio.create_task(add(database, f"film {number}")) for number in range(40)]
    await until(lambda: commits.count)
    assert not any(job.done() for job in jobs)
    assert other.execute("SELECT count(*) FROM films").fetchone() == (0,)
    assert await names_in(database) == []
    commits.gate.set()
    await asyncio.gather(*jobs)
    assert len(await names_in(database)) == 40
    assert commits.count < 10


async def test_a_write_that_fails_takes_back_its_own_rows_only(database: Database) -> None:
    async def fail() -> None:
        async with database.write() as connection:
            await connection.execute(INSERT, {"name": "mine"})
            raise KeyError

    jobs = add(database, "one"), fail(), add(database, "two")
    assert [type(answer) for answer in await asyncio.gather(*jobs, return_exceptions=True)] == [
        type(None),
        KeyError,
        type(None),
    ]
    assert await names_in(database) == ["one", "two"]


async def test_who_is_refused_for_a_row_of_the_group_finds_that_row(database: Database) -> None:
    """As a create does whose Idempotency-Key another one has taken a moment before."""

    async def find_or_add() -> list[str]:
        try:
            await add(database, "same")
        except IntegrityError:
            return await names_in(database)
        return ["same"]

    assert await asyncio.gather(*(find_or_add() for _ in range(5))) == [["same"]] * 5


async def test_a_commit_that_fails_fails_everybody(database: Database, other: sqlite3.Connection) -> None:
    """A foreign key that is checked at the commit alone is a commit that fails for real."""

    async def orphan() -> None:
        async with database.write() as connection:
            await connection.execute(sa.text("INSERT INTO children VALUES (7)"))

    await add(database, "before")
    assert database._writer is not None
    database._writer._raw.execute("PRAGMA foreign_keys=ON")
    answers = await asyncio.gather(
        add(database, "one"), orphan(), add(database, "before"), return_exceptions=True
    )
    assert [isinstance(answer, DBAPIError) for answer in answers] == [True] * 3
    assert "FOREIGN KEY" in str(answers[0])
    assert await names_in(database) == ["before"]
    await assert_usable(database, other)


async def test_a_transaction_that_sqlite_rolled_back_fails_everybody(
    database: Database, other: sqlite3.Connection
) -> None:
    """As it does by itself when the disk is full in the middle of a write."""

    async def roll_back() -> None:
        async with database.write() as connection:
            with suppress(IntegrityError):
                await connection.execute(sa.text("INSERT OR ROLLBACK INTO films VALUES ('before')"))
            await connection.execute(INSERT, {"name": "outside of any transaction"})

    await add(database, "before")
    answers = await asyncio.gather(add(database, "one"), roll_back(), return_exceptions=True)
    assert [isinstance(answer, OperationalError) for answer in answers] == [True, True]
    assert await names_in(database) == ["before"]
    await assert_usable(database, other)


async def test_cancelled_while_it_waits_for_its_turn(database: Database, other: sqlite3.Connection) -> None:
    other.execute("BEGIN IMMEDIATE")
    jobs = [asyncio.create_task(add(database, name)) for name in ("one", "two", "three")]
    await asyncio.sleep(0.01)
    jobs[0].cancel()
    await asyncio.wait([jobs[0]])
    other.execute("ROLLBACK")
    assert [type(answer) for answer in await asyncio.gather(*jobs, return_exceptions=True)] == [
        asyncio.CancelledError,
        type(None),
        type(None),
    ]
    assert await names_in(database) == ["three", "two"]
    await assert_usable(database, other)


async def test_cancelled_in_its_body(database: Database, other: sqlite3.Connection) -> None:
    cancelled = asyncio.create_task(add(database, "one", pause=60))
    await asyncio.sleep(0.01)
    others = [asyncio.create_task(add(database, name)) for name in ("two", "three")]
    await asyncio.sleep(0.01)
    assert not others[0].done()
    cancelled.cancel()
    await asyncio.gather(*others)
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert await names_in(database) == ["three", "two"]
    await assert_usable(database, other)


async def test_cancelled_while_it_waits_for_the_commit(
    database: Database, other: sqlite3.Connection, commits: Commits
) -> None:
    """It is written all the same, and its neighbours learn how the commit ended."""
    commits.gate.clear()
    jobs = [asyncio.create_task(add(database, name)) for name in ("one", "two")]
    await until(lambda: commits.count)
    jobs[0].cancel()
    await asyncio.wait([jobs[0]])
    assert jobs[0].cancelled() and not jobs[1].done()
    commits.gate.set()
    await jobs[1]
    assert await names_in(database) == ["one", "two"]
    await assert_usable(database, other)


async def test_cancelled_while_its_statement_is_in_the_thread(
    database: Database, other: sqlite3.Connection
) -> None:
    counting = (
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 300000) "
        "INSERT INTO films SELECT x FROM n"
    )
    began = asyncio.Event()

    async def add_many() -> None:
        async with database.write_many() as connection:
            began.set()
            await connection.execute(sa.text(counting))

    job = asyncio.create_task(add_many())
    await began.wait()
    await asyncio.sleep(0.005)
    job.cancel()
    job.cancel()
    await asyncio.wait([job])
    assert job.cancelled()
    await assert_usable(database, other)
    assert await names_in(database) == ["later"]


async def test_many_rows_at_once_are_written_beside_small_writes(database: Database) -> None:
    async def add_many() -> list[str]:
        async with database.write_many() as connection:
            rows = [{"name": f"many {number}"} for number in range(100)]
            await connection.execute(INSERT, rows)
            found = await connection.execute(
                sa.text("DELETE FROM films WHERE name LIKE 'many 9_' RETURNING name")
            )
            return list(found.scalars())

    jobs = add(database, "one"), add_many(), add(database, "two")
    deleted = (await asyncio.gather(*jobs))[1]
    assert deleted is not None and len(deleted) == 10
    assert len(await names_in(database)) == 92


async def test_the_lock_of_another_process_is_waited_for_without_blocking_the_loop(
    database: Database, other: sqlite3.Connection
) -> None:
    other.execute("BEGIN IMMEDIATE")
    job = asyncio.create_task(add(database, "one"))
    for _ in range(50):  # each turn of the loop would take half a minute
        await asyncio.sleep(0.001)
    assert not job.done()
    other.execute("COMMIT")
    await job
    assert await names_in(database) == ["one"]


async def test_who_has_waited_too_long_for_another_process_is_told(
    database: Database, other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_store, "LOCKED_SECONDS", 0.05)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(OperationalError, match="locked"):
        await add(database, "one")
    other.execute("COMMIT")
    await assert_usable(database, other)


async def test_another_process_gets_its_turn_between_the_groups(database: Database, file: Path) -> None:
    stopped = False

    async def keep_writing(writer: int) -> None:
        number = 0
        while not stopped:
            number += 1
            await add(database, f"{writer} {number}")

    def write_elsewhere() -> None:
        with closing(sqlite3.connect(file, isolation_level=None, timeout=60)) as connection:
            for number in range(5):
                connection.execute("INSERT INTO films VALUES (?)", (f"elsewhere {number}",))

    jobs = [asyncio.create_task(keep_writing(writer)) for writer in range(8)]
    await asyncio.to_thread(write_elsewhere)
    stopped = True
    await asyncio.gather(*jobs)
    assert sum(name.startswith("elsewhere") for name in await names_in(database)) == 5


async def test_the_next_one_goes_before_those_that_wait(
    database: Database, other: sqlite3.Connection
) -> None:
    order: list[str] = []

    async def note(name: str) -> None:
        async with database.write_next() if name == "admission" else database.write():
            order.append(name)

    other.execute("BEGIN IMMEDIATE")
    jobs = [asyncio.create_task(note(name)) for name in ("one", "two", "admission")]
    await asyncio.sleep(0.01)
    other.execute("COMMIT")
    await asyncio.gather(*jobs)
    assert order == ["admission", "one", "two"]


async def test_a_read_on_the_loop_waits_for_a_moment_while_another_has_the_file_to_itself(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As who opens it after a crash has: nobody is told that the store is away."""
    monkeypatch.setattr(sqlite_store, "SHARED_SECONDS", 60.0)
    has_begun = threading.Event()

    def keep() -> None:
        with closing(sqlite3.connect(file, isolation_level=None)) as opening:
            opening.execute("BEGIN EXCLUSIVE")
            has_begun.set()
            time.sleep(0.05)
            opening.execute("COMMIT")

    keeper = threading.Thread(target=keep)
    keeper.start()
    has_begun.wait()
    database = Database(f"sqlite+aiosqlite:///{file}")
    async with database.read_few() as connection:
        assert (await connection.execute(NAMES)).all() == []
    keeper.join()
    await database.close()
