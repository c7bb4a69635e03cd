"""Whole tables of either store, read at one moment and written in one transaction, as values that both stores share.

Not through the program's table definitions, but by the names that the store itself has: a backup may be of another
revision. A flag is 0 or 1 here, as SQLite keeps it.
"""

import asyncio
import hashlib
import json
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import make_url

from app.db import operator_tables
from app.db.marks import MOVED_PREFIX
from app.db.tables import metadata
from app.errors import InvalidRequest, ServiceUnavailable
from app.late import LateModule

if TYPE_CHECKING:
    import asyncpg

    from app.db import postgres
else:
    asyncpg, postgres = LateModule("asyncpg"), LateModule("app.db.postgres")

BATCH_ROWS = 500
SQLITE_WAIT_SECONDS = 30.0
TABLES = tuple(table.name for table in metadata.sorted_tables)
# A store that was moved away says so in a mark. It is no content: a copy that is compared later must not have it.
KEPT = {operator_tables.marks.name: f"WHERE substr(name, 1, {len(MOVED_PREFIX)}) <> '{MOVED_PREFIX}'"}
Row = Sequence[Any]
Columns = Mapping[str, tuple[str, ...]]


class TableDigest:
    """How many rows, and a sum of their hashes: the same in every store and in every order."""

    def __init__(self) -> None:
        self.rows = 0
        self._sum = 0

    def add(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self._sum += int.from_bytes(hashlib.sha256(row_text(row).encode()).digest())
        self.rows += len(rows)

    @property
    def text(self) -> str:
        return f"{self.rows}-{self._sum % 2**256:064x}"


def row_text(row: Row) -> str:
    return json.dumps(list(row), ensure_ascii=False, separators=(",", ":"))


class RowStore(ABC):
    """One connection with one transaction: of reads that all see the same moment, or of writes."""

    @abstractmethod
    async def read_columns(self) -> Columns:
        """The columns of those of our tables that exist, by table."""

    @abstractmethod
    def read_rows(self, table: str, columns: Sequence[str]) -> AsyncIterator[list[Row]]:
        """Batches of all rows."""

    @abstractmethod
    async def insert_rows(self, table: str, columns: Sequence[str], rows: list[Row]) -> None:
        """Raises ``InvalidRequest`` for rows that the store can't hold."""

    @abstractmethod
    async def delete_rows(self, table: str) -> None:
        """All of them."""

    @abstractmethod
    async def commit(self) -> None:
        """Also sets the counters of numbered rows behind the rows that were inserted."""

    @abstractmethod
    async def close(self) -> None:
        """What was not committed is lost."""

    @abstractmethod
    async def lock_tables(self) -> None:
        """Nobody else writes until the transaction ends. Call it before anything is read."""

    @abstractmethod
    async def others(self) -> int:
        """How many other connections use the store; 0 where it can't be told."""

    async def digests(self, columns: Columns) -> dict[str, str]:
        """The text of each table's digest."""
        return {table: (await self.digest(table, names)).text for table, names in columns.items()}

    async def digest(self, table: str, columns: Sequence[str]) -> TableDigest:
        found = TableDigest()
        async for rows in self.read_rows(table, columns):
            found.add(rows)
        return found

    @abstractmethod
    async def has_rows(self, table: str) -> bool:
        """Whether there is any."""

    async def filled_tables(self) -> list[str]:
        """Those that have a row."""
        return [table for table in await self.read_columns() if await self.has_rows(table)]


class SqliteRows(RowStore):
    """Each statement is closed in the thread that ran it: one that is dropped elsewhere is reset while the next, which is the
    same to SQLite's cache, is under way."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, url: str, *, writing: bool) -> "SqliteRows":
        def begin() -> sqlite3.Connection:
            connection = sqlite3.connect(
                make_url(url).database or "",
                timeout=SQLITE_WAIT_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("BEGIN IMMEDIATE" if writing else "BEGIN")
            connection.execute(
                "SELECT count(*) FROM sqlite_master"
            ).fetchone()  # from now on this moment is read
            return connection

        return cls(await asyncio.to_thread(begin))

    async def read_columns(self) -> Columns:
        found = {
            table: tuple(row[1] for row in self._connection.execute(f"PRAGMA table_info({table})"))
            for table in TABLES
        }
        return {table: names for table, names in found.items() if names}

    async def read_rows(self, table: str, columns: Sequence[str]) -> AsyncIterator[list[Row]]:
        with closing(self._connection.execute(_select(table, columns))) as cursor:
            while rows := await asyncio.to_thread(cursor.fetchmany, BATCH_ROWS):
                yield rows

    async def has_rows(self, table: str) -> bool:
        with closing(self._connection.execute(f"{_select(table, ('rowid',))} LIMIT 1")) as cursor:
            return cursor.fetchone() is not None

    async def insert_rows(self, table: str, columns: Sequence[str], rows: list[Row]) -> None:
        marks = ", ".join("?" for _ in columns)
        statement = f"INSERT INTO {table} ({_quoted(columns)}) VALUES ({marks})"  # noqa: S608 - our own names

        def insert() -> None:
            self._connection.executemany(statement, rows).close()

        try:
            await asyncio.to_thread(insert)
        except (sqlite3.IntegrityError, sqlite3.DataError, OverflowError) as error:
            raise _row_refusal(table, error) from error

    async def delete_rows(self, table: str) -> None:
        await self._run(f"DELETE FROM {table}")  # noqa: S608

    async def commit(self) -> None:
        await self._run("COMMIT")

    async def _run(self, statement: str) -> None:
        await asyncio.to_thread(lambda: self._connection.execute(statement).close())

    async def close(self) -> None:
        self._connection.close()

    async def lock_tables(self) -> None:
        """A transaction that writes is alone already."""

    async def others(self) -> int:
        return 0


class PostgresRows(RowStore):
    def __init__(self, connection: "asyncpg.Connection", transaction: Any) -> None:
        self._connection = connection
        self._transaction = transaction
        self._flags: dict[str, frozenset[str]] = {}

    @classmethod
    async def open(cls, url: str, *, writing: bool) -> "PostgresRows":
        connection = await postgres.open_connection(url)
        # Films are copied while the rows are read: this transaction may well be idle for long.
        await connection.execute("SET idle_in_transaction_session_timeout = 0")
        transaction = connection.transaction(isolation="repeatable_read", readonly=not writing)
        await transaction.start()
        return cls(connection, transaction)

    async def read_columns(self) -> Columns:
        rows = await self._connection.fetch(
            "SELECT table_name, column_name, data_type FROM information_schema.columns "
            "WHERE table_schema = current_schema() AND table_name = ANY($1) ORDER BY ordinal_position",
            list(TABLES),
        )
        found: dict[str, tuple[str, ...]] = {}
        for row in rows:
            table, column = row["table_name"], row["column_name"]
            found[table] = (*found.get(table, ()), column)
            if row["data_type"] == "boolean":
                self._flags[table] = self._flags.get(table, frozenset()) | {column}
        return {table: found[table] for table in TABLES if table in found}

    async def read_rows(self, table: str, columns: Sequence[str]) -> AsyncIterator[list[Row]]:
        cursor = await self._connection.cursor(_select(table, columns))
        while rows := await cursor.fetch(BATCH_ROWS):
            yield [[int(value) if isinstance(value, bool) else value for value in row] for row in rows]

    async def has_rows(self, table: str) -> bool:
        found = await self._connection.fetchval(f"SELECT 1 FROM {table} {KEPT.get(table, '')} LIMIT 1")  # noqa: S608
        return found is not None

    async def insert_rows(self, table: str, columns: Sequence[str], rows: list[Row]) -> None:
        if not self._flags:
            await self.read_columns()
        flags = [name in self._flags.get(table, ()) for name in columns]
        records = [
            tuple(
                bool(value) if flag and value is not None else value
                for flag, value in zip(flags, row, strict=True)
            )
            for row in rows
        ]
        try:
            await self._connection.copy_records_to_table(table, records=records, columns=list(columns))
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, ValueError) as error:
            raise _row_refusal(table, error) from error

    async def delete_rows(self, table: str) -> None:
        await self._connection.execute(f"DELETE FROM {table}", timeout=None)  # noqa: S608

    async def commit(self) -> None:
        for table, names in (await self.read_columns()).items():
            if "id" not in names:
                continue
            counter = await self._connection.fetchval("SELECT pg_get_serial_sequence($1, 'id')", table)
            if counter is not None:
                await self._connection.execute(
                    f"SELECT setval('{counter}', (SELECT max(id) FROM {table}))"  # noqa: S608
                )
        await self._transaction.commit()

    async def close(self) -> None:
        await self._connection.close()

    async def lock_tables(self) -> None:
        await self._connection.execute(f"LOCK TABLE {', '.join(TABLES)} IN SHARE ROW EXCLUSIVE MODE")

    async def others(self) -> int:
        query = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return int(await self._connection.fetchval(query))


@asynccontextmanager
async def open_rows(url: str, *, writing: bool = False) -> AsyncIterator[RowStore]:
    """Raises ``ServiceUnavailable`` when the database does not answer."""
    store: RowStore | None = None
    try:
        if url.startswith("postgresql"):
            store = await PostgresRows.open(url, writing=writing)
        else:
            store = await SqliteRows.open(url, writing=writing)
        yield store
    except (*postgres.CONNECTION_AWAY, sqlite3.Error) as error:
        raise ServiceUnavailable(f"The database does not answer ({str(error)[:200]}).") from error
    finally:
        if store is not None:
            await store.close()


def _select(table: str, columns: Sequence[str]) -> str:
    return f"SELECT {_quoted(columns)} FROM {table} {KEPT.get(table, '')}"  # noqa: S608 - our own names


def _quoted(columns: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)


def _row_refusal(table: str, error: Exception) -> InvalidRequest:
    return InvalidRequest(f"A row of {table} can't be kept there: {' '.join(str(error).split())[:300]}")
