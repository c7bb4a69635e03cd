"""Database connections: SQLite with one writer per process, or PostgreSQL with a pool. And the upsert that both share."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import sqlalchemy as sa
from sqlalchemy import text
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    NotSupportedError,
    ProgrammingError,
    StatementError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.db.connection import AsyncConnection
from app.db.keyed_reads import DirectReads, GatheredReads, KeyedReads
from app.db.sqlite import DirectConnection, SqliteReader, SqliteWriter, open_direct_connection
from app.late import LateModule

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql
    from sqlalchemy.ext.asyncio import AsyncEngine

    from app.db import postgres
else:
    postgres = LateModule("app.db.postgres")
    postgresql = LateModule("sqlalchemy.dialects.postgresql")

# Raised by a database that is away, locked, full or restarting.
DATABASE_AWAY = (DBAPIError, PoolTimeout, OSError)
# The subset that fails again however often it is repeated.
PERMANENT_FAILURES = (IntegrityError, ProgrammingError, DataError, NotSupportedError)
# SQLSTATE classes of the same. asyncpg's own errors about values come as plain ``DBAPIError``, which otherwise
# means a database that is away. https://www.postgresql.org/docs/current/errcodes-appendix.html
PERMANENT_STATES = ("0A", "22", "23", "42", "54")
VALUE_STATES = ("22", "23", "54")
# What a write may raise: also what the sqlite3 module says of a value that no column can hold.
WRITE_FAILED = (*DATABASE_AWAY, StatementError, ValueError, ArithmeticError)
Insert: TypeAlias = "postgresql.Insert | sqlite.Insert"
INSERTS: Mapping[str, Callable[[sa.Table], Insert]] = {
    "postgresql": lambda table: postgresql.insert(table),
    "sqlite": sqlite.insert,
}


class Database:
    """``read()`` sees committed rows; ``write()`` is one transaction."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.url = url
        self.is_postgres = url.startswith("postgresql")
        self._writer: SqliteWriter | None = None
        self._direct: sa.Connection | None = None
        self._reader: SqliteReader | AsyncEngine
        if self.is_postgres:
            self._engine = postgres.create_postgres_engine(url, pool_size=pool_size)
            self._reader = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        else:
            self._reader = SqliteReader(url)
            self._writer = SqliteWriter(url)
            self._direct = open_direct_connection(url)

    @property
    def writing_engine(self) -> sa.Engine:
        """Whose events see the statements of all writes."""
        return self._engine.sync_engine if self._writer is None else self._writer.engine

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        if isinstance(self._reader, SqliteReader):
            async with self._reader.connect() as direct:
                yield _as_connection(direct)
            return
        async with postgres.lend_connection(self._reader.connect()) as connection:
            yield connection

    @asynccontextmanager
    async def read_few(self) -> AsyncIterator[AsyncConnection]:
        """``read`` for statements that an index answers with few rows, and for small tables that are read every second. On
        SQLite they are run on the event loop's thread: that takes microseconds from the page cache, and a busy loop gives
        a thread its turn so late that eleven of these a second cost a tenth of a core."""
        if self._direct is None:
            async with self.read() as connection:
                yield connection
        else:
            yield _as_connection(DirectConnection(self._direct))

    async def read_one(self, statement: sa.Select[Any], parameters: dict[str, Any]) -> sa.Row[Any] | None:
        """One row of an index."""
        row: sa.Row[Any] | None
        if self._direct is not None:
            row = self._direct.execute(statement, parameters).first()
            return row
        async with self.read() as connection:
            row = (await connection.execute(statement, parameters)).first()
        return row

    def keyed_reads(self, columns: Sequence[sa.ColumnElement[Any]], *, key: sa.Column[str]) -> KeyedReads:
        """Reads of single rows, each by its ``key``."""
        if self._direct is None:
            return GatheredReads(self.read, columns, key=key)
        return DirectReads(self._direct, columns, key=key)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """On SQLite its statements are run on the event loop's thread, so they must be short."""
        async with self._begin_write() as connection:
            yield connection

    @asynccontextmanager
    async def write_one(self) -> AsyncIterator[AsyncConnection]:
        """``write`` for one statement, which PostgreSQL commits by itself: one round trip instead of three."""
        async with self.read() if self._writer is None else self.write() as connection:
            yield connection

    @asynccontextmanager
    async def write_next(self) -> AsyncIterator[AsyncConnection]:
        """``write`` that does not queue behind other writers of SQLite. Only admission uses it: all others wait for it."""
        async with self._begin_write(is_next=True) as connection:
            yield connection

    @asynccontextmanager
    async def write_many(self) -> AsyncIterator[AsyncConnection]:
        """``write`` for many rows at once: on SQLite its statements are run in a thread."""
        async with self._begin_write(in_thread=True) as connection:
            yield connection

    @asynccontextmanager
    async def _begin_write(self, **how: bool) -> AsyncIterator[AsyncConnection]:
        if self._writer is not None:
            async with self._writer.write(**how) as direct:
                yield _as_connection(direct)
            return
        async with postgres.lend_connection(self._engine.begin()) as connection:
            yield connection

    async def check(self) -> None:
        """Raises one of ``DATABASE_AWAY`` when the database does not answer."""
        async with self.read() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        if self._direct is not None:
            self._direct.close()
        if self._writer is not None:
            await self._writer.close()
        await self._reader.dispose()


def is_permanent(error: BaseException) -> bool:
    """Whether a failed write fails again however often it is repeated. False for a database that is away, busy or
    full."""
    return is_bad_value(error) or isinstance(error, PERMANENT_FAILURES) or _has_state(error, PERMANENT_STATES)


def is_bad_value(error: BaseException) -> bool:
    """Whether a failed write fails again because of what it writes: a column can't hold it. False also for a missing
    table or column, which the next version of the program or a migration may bring."""
    if isinstance(error, StatementError) and not isinstance(error, DBAPIError):
        return True  # SQLAlchemy's own: a value could not be made a parameter
    bad = isinstance(error, IntegrityError | DataError | ValueError | ArithmeticError)
    return bad or _has_state(error, VALUE_STATES)


def _has_state(error: BaseException, states: tuple[str, ...]) -> bool:
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    return isinstance(state, str) and state.startswith(states)


def _as_connection(connection: DirectConnection) -> AsyncConnection:
    return cast(AsyncConnection, connection)  # all of it that callers use


def dialect_insert(connection: AsyncConnection, table: sa.Table) -> Insert:
    """An insert of the connection's dialect, which has ``excluded`` and ``on_conflict_do_…``."""
    return INSERTS[connection.dialect.name](table)


async def add_to_sums(
    connection: AsyncConnection, table: sa.Table, rows: Iterable[Mapping[str, Any]]
) -> None:
    """Add each row's numbers to the row with its primary key, or insert it. Primary keys in ``rows`` must be distinct."""
    ordered = in_order_of_sums(table, rows)
    if ordered:
        await connection.execute(adding_statement(connection.dialect.name, table), ordered)


def in_order_of_sums(table: sa.Table, rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """All transactions lock rows in this order, so they cannot deadlock."""
    names = [column.name for column in table.primary_key]
    return sorted(rows, key=lambda row: tuple(row[name] for name in names))


@cache
def adding_statement(
    dialect: str, table: sa.Table, select: tuple[Sequence[str], sa.Select[Any]] | None = None
) -> Insert:
    """Compiled once for all time; with the rows in it, it would be compiled for each batch. ``select``: where the rows
    come from, instead of the parameters, and the names of their columns."""
    new = INSERTS[dialect](table)
    figures = [column for column in table.columns if not column.primary_key]
    raised = {column.name: column + new.excluded[column.name] for column in figures}
    if select is not None:
        new = new.from_select(*select)
    return new.on_conflict_do_update(index_elements=list(table.primary_key), set_=raised)
