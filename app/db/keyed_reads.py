"""One row by its key, for what clients ask about every second."""

import asyncio
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from app.db.connection import AsyncConnection
from app.late import LateModule

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql
else:
    postgresql = LateModule("sqlalchemy.dialects.postgresql")

Values = Sequence[Any]
Reader = Callable[[], AbstractAsyncContextManager[AsyncConnection]]


class KeyedReads(ABC):
    """Each ``get`` sees what was committed before it was called. Raises one of ``DATABASE_AWAY``."""

    def __init__(self, columns: Sequence[sa.ColumnElement[Any]]) -> None:
        self.names = [column.name for column in columns]

    @abstractmethod
    async def get(self, key: str) -> Values | None:
        """The values in the order of ``names``."""


class DirectReads(KeyedReads):
    """On SQLite: the driver's statement, which it keeps prepared. SQLAlchemy would take four times as long around it."""

    def __init__(
        self, connection: sa.Connection, columns: Sequence[sa.ColumnElement[Any]], *, key: sa.Column[str]
    ) -> None:
        super().__init__(columns)
        dialect = connection.dialect
        statement = sa.select(*columns).where(key == sa.bindparam("key"))
        self._sql = str(statement.compile(dialect=dialect))
        self._raw: Any = connection.connection.dbapi_connection
        readers = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]
        self._readers = [(place, reader) for place, reader in enumerate(readers) if reader is not None]

    async def get(self, key: str) -> Values | None:
        try:
            row = self._raw.execute(self._sql, (key,)).fetchone()
        except sqlite3.Error as error:
            raise DBAPIError.instance(self._sql, None, error, sqlite3.Error) from error
        if row is None:
            return None
        values = list(row)
        for place, read in self._readers:
            values[place] = read(values[place])
        return values


class GatheredReads(KeyedReads):
    """On PostgreSQL: what is asked for while a statement is under way is the next statement, one for all."""

    def __init__(
        self, read: Reader, columns: Sequence[sa.ColumnElement[Any]], *, key: sa.Column[str]
    ) -> None:
        super().__init__(columns)
        self._read = read
        self._place = self.names.index(key.name)
        self._statement = sa.select(*columns).where(
            key == sa.any_(sa.bindparam("keys", type_=postgresql.ARRAY(sa.String)))
        )
        self._asked: set[str] = set()
        self._next: asyncio.Task[Mapping[str, Values]] | None = None
        self._under_way: asyncio.Task[Mapping[str, Values]] | None = None

    async def get(self, key: str) -> Values | None:
        self._asked.add(key)
        if self._next is None:
            self._next = asyncio.create_task(self._read_asked(self._under_way))
        return (await asyncio.shield(self._next)).get(key)

    async def _read_asked(self, before: asyncio.Task[Mapping[str, Values]] | None) -> Mapping[str, Values]:
        if before is not None:
            await asyncio.wait([before])
        keys, self._asked = self._asked, set()
        self._under_way, self._next = self._next, None
        async with self._read() as connection:
            rows = (await connection.execute(self._statement, {"keys": list(keys)})).all()
        return {row[self._place]: row for row in rows}
