"""Database connections: SQLite with one writer per process, or PostgreSQL with a pool. And the upsert that both share."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, TypeAlias

import sqlalchemy as sa
from asyncpg import InterfaceError, InternalClientError, PostgresError
from sqlalchemy import event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

# Raised by a database that is away, locked, full or restarting. asyncpg raises the last one when a connection is cut
# during a query.
DATABASE_AWAY = (DBAPIError, PoolTimeout, OSError, InternalClientError)
# The same, raised by a plain asyncpg connection without SQLAlchemy.
CONNECTION_AWAY = (PostgresError, InterfaceError, InternalClientError, OSError)
# The subset that fails again however often it is repeated.
PERMANENT_FAILURES = (IntegrityError, ProgrammingError, DataError, NotSupportedError)
Insert: TypeAlias = postgresql.Insert | sqlite.Insert


class Database:
    """``read()`` sees committed rows; ``write()`` is one transaction."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.url = url
        self.is_postgres = url.startswith("postgresql")
        self._direct: sa.Connection | None = None
        # Two locks for SQLite: writers queue on `_queue_lock`, so at most one of them waits for `_write_lock`;
        # `write_next` skips the queue and therefore goes next. Waiting in the connection pool instead would let
        # thousands of writers reach its timeout together and retry together.
        self._write_lock = _sqlite_lock(self.is_postgres)
        self._queue_lock = _sqlite_lock(self.is_postgres)
        if self.is_postgres:
            self._writer = create_async_engine(url, pool_size=pool_size, max_overflow=0, pool_pre_ping=True)
            self._reader = self._writer.execution_options(isolation_level="AUTOCOMMIT")
        else:
            self._writer = _sqlite_engine(url, pool_size=1)
            event.listen(self._writer.sync_engine, "begin", _begin_immediate)
            # Readers open no transaction, so there is nothing to set up before and to undo after each read:
            # every call saved is a hop to the connection's thread.
            self._reader = _sqlite_engine(
                url, pool_size=4, isolation_level="AUTOCOMMIT", pool_reset_on_return=None
            )
            self._direct = _sqlite_direct_connection(url)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        async with self._reader.connect() as connection:
            yield connection

    async def read_one(self, statement: sa.Select[Any], parameters: dict[str, Any]) -> sa.Row[Any] | None:
        """One row by its key. On SQLite it is read on the event loop's thread: that takes microseconds from the page
        cache, and ten times as long through another thread."""
        row: sa.Row[Any] | None
        if self._direct is not None:
            try:
                row = self._direct.execute(statement, parameters).first()
                return row
            except OperationalError:
                pass  # locked or away: the reader below waits
        async with self.read() as connection:
            row = (await connection.execute(statement, parameters)).first()
        return row

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        async with self._queue_lock, self._write_lock, self._writer.begin() as connection:
            yield connection

    @asynccontextmanager
    async def write_next(self) -> AsyncIterator[AsyncConnection]:
        """``write`` that does not queue behind other writers of SQLite. Only admission uses it: all others wait for it."""
        async with self._write_lock, self._writer.begin() as connection:
            yield connection

    async def check(self) -> None:
        """Raises one of ``DATABASE_AWAY`` when the database does not answer."""
        async with self.read() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        if self._direct is not None:
            self._direct.close()
            self._direct.engine.dispose()
        await self._reader.dispose()
        await self._writer.dispose()


def _sqlite_lock(is_postgres: bool) -> AbstractAsyncContextManager[object]:
    return nullcontext() if is_postgres else asyncio.Lock()


def _sqlite_engine(url: str, *, pool_size: int, **options: Any) -> AsyncEngine:
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=30,
        connect_args={"timeout": 30, "isolation_level": None},
        **options,
    )
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    return engine


def _sqlite_direct_connection(url: str) -> sa.Connection:
    """A connection for the event loop's own thread. It never waits for a lock."""
    engine = sa.create_engine(
        url.replace("+aiosqlite", ""),
        isolation_level="AUTOCOMMIT",
        connect_args={"timeout": 0},
        poolclass=sa.StaticPool,
    )
    return engine.connect()


def _prepare_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    # WAL lets readers go on beside the writer; FULL makes a commit survive a power cut: rows here
    # are receipts for money.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000", "temp_store=MEMORY"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_immediate(connection: Any) -> None:
    # A transaction that starts reading and then writes can fail at once with "database is locked".
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def dialect_insert(connection: AsyncConnection, table: sa.Table) -> Insert:
    """An insert of the connection's dialect, which has ``excluded`` and ``on_conflict_do_…``."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


async def add_to_sums(
    connection: AsyncConnection, table: sa.Table, rows: Iterable[Mapping[str, Any]]
) -> None:
    """Add each row's numbers to the row with its primary key, or insert it. Primary keys in ``rows`` must be distinct."""
    names = [column.name for column in table.primary_key]
    # All transactions lock rows in this order, so they cannot deadlock.
    ordered = sorted(rows, key=lambda row: tuple(row[name] for name in names))
    if not ordered:
        return
    new = dialect_insert(connection, table)
    figures = [column for column in table.columns if not column.primary_key]
    raised = {column.name: column + new.excluded[column.name] for column in figures}
    # One statement, compiled once for all time; with the rows in it, it would be compiled for each batch.
    await connection.execute(new.on_conflict_do_update(index_elements=names, set_=raised), ordered)
