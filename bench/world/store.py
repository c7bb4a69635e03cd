"""SQLite on the event loop's own thread: real SQLAlchemy on a real file, whose calls are edges of the world."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from app.db.session import Database
from bench.world.edges import Dead, Edges

FULL = "database or disk is full"


class Rows:
    """What the product uses of SQLAlchemy's ``AsyncConnection``, without its detours through greenlets."""

    def __init__(self, connection: sa.Connection, edges: Edges, full: Callable[[], bool]) -> None:
        self._connection = connection
        self._edges = edges
        self._full = full
        self.dialect = connection.dialect
        self._raw: Any = connection.connection.dbapi_connection

    async def execute(self, statement: Any, parameters: Any = None) -> sa.CursorResult[Any]:
        pause = self._edges.cross(statement)
        if pause:
            await self._edges.pass_time(pause)
        if self._full() and isinstance(statement, sa.Insert | sa.Update):
            raise OperationalError(str(statement)[:40], None, sqlite3.OperationalError(FULL))
        return self._connection.execute(statement, parameters)

    @asynccontextmanager
    async def begin_nested(self) -> AsyncIterator[None]:
        self._connection.exec_driver_sql("SAVEPOINT nested")
        try:
            yield
        except BaseException:
            self._connection.exec_driver_sql("ROLLBACK TO nested")
            raise
        self._connection.exec_driver_sql("RELEASE nested")

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["Rows"]:
        await self._edges.wait("BEGIN")
        self._connection.exec_driver_sql("BEGIN IMMEDIATE")
        before = self._raw.total_changes
        try:
            yield self
            await self._edges.wait("COMMIT")
            if self._raw.total_changes > before and self._full():  # nothing written needs no room
                raise OperationalError("COMMIT", None, sqlite3.OperationalError(FULL))
        except BaseException:
            if not self._edges.dead:  # otherwise ``Engines.end`` does it
                self._connection.exec_driver_sql("ROLLBACK")
            raise
        self._connection.exec_driver_sql("COMMIT")
        await self._edges.wait("committed")


class Cursor(sqlite3.Cursor):
    """A dead process reads and writes nothing."""

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        if self.connection.edges.dead:  # type: ignore[attr-defined]
            raise Dead
        return super().execute(sql, parameters)


class Connection(sqlite3.Connection):
    edges: Edges

    def cursor(self, factory: Any = Cursor) -> Any:
        return super().cursor(factory)


class Engines:
    """The engine of all processes of all worlds, one after the other: statements are compiled once."""

    def __init__(self) -> None:
        self._path = Path()
        self._edges: Edges | None = None
        self._open: list[sa.Connection] = []
        self._raw: list[Connection] = []
        self._engine = sa.create_engine(
            "sqlite://",
            creator=self._connect,
            poolclass=sa.NullPool,
            isolation_level="AUTOCOMMIT",
            skip_autocommit_rollback=True,
        )

    def begin(self, path: Path, edges: Edges) -> None:
        self._path, self._edges = path, edges

    def connect(self) -> sa.Connection:
        self._open.append(self._engine.connect())
        return self._open[-1]

    def end(self) -> None:
        """What is not committed is lost."""
        for raw in self._raw:
            with contextlib.suppress(sqlite3.ProgrammingError):  # closed already
                raw.rollback()
        for connection in self._open:
            connection.close()
        self._open.clear()
        self._raw.clear()

    @property
    def changes(self) -> int:
        """Grows with every row that is written."""
        return sum(raw.total_changes for raw in self._raw)

    def look(self, sql: str) -> list[Any]:
        """Rows as the product's readers see them now."""
        return sqlite3.Connection.execute(self._raw[0], sql).fetchall()

    def _connect(self) -> Connection:
        connection = sqlite3.connect(
            self._path, factory=Connection, isolation_level=None, check_same_thread=False, timeout=0
        )
        assert self._edges is not None
        connection.edges = self._edges
        sqlite3.Connection.execute(connection, "PRAGMA synchronous=OFF")
        self._raw.append(connection)
        return connection


class WorldDatabase(Database):
    """The product's database on connections of the world."""

    def __init__(self, engines: Engines, path: Path, *, edges: Edges, full: Callable[[], bool]) -> None:
        self.url = f"sqlite+aiosqlite:///{path}"
        self.is_postgres = False
        self._write_lock = asyncio.Lock()
        self._queue_lock = asyncio.Lock()
        self._direct = engines.connect()
        self._reading = Rows(self._direct, edges, full)
        self._writing = Rows(engines.connect(), edges, full)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Any]:
        yield self._reading

    read_few = read

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Any]:
        async with self._queue_lock, self._write_lock, self._writing.transaction() as rows:
            yield rows

    write_many = write_one = write

    @asynccontextmanager
    async def write_next(self) -> AsyncIterator[Any]:
        async with self._write_lock, self._writing.transaction() as rows:
            yield rows

    async def close(self) -> None:
        """``Engines.end`` does it."""
