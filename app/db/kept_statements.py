"""Statements that the program keeps and runs again and again: compiled once, then given to SQLite's driver as they are.

SQLAlchemy takes several times as long around such a statement as SQLite takes for it.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy.engine import Dialect, IteratorResult
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler

Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None
Kept = sa.Select[Any] | sa.CompoundSelect[Any] | sa.UpdateBase
Converter = Callable[[Any], Any] | None


class WholeResult(IteratorResult[Any]):
    """All rows of a statement, which have been read already."""

    def __init__(self, metadata: SimpleResultMetaData, rows: Sequence[Any], *, rowcount: int) -> None:
        super().__init__(metadata, iter(rows))
        self.rowcount = rowcount


class KeptStatement:
    """One statement for parameters of the same names."""

    def __init__(self, statement: Kept, compiled: SQLCompiler) -> None:
        dialect = compiled.dialect
        self.sql = str(compiled)
        self._parameters = [
            (bind.key if bind.required else None, bind.effective_value, _writer_of(bind.type, dialect))
            for bind in (compiled.binds[name] for name in compiled.positiontup or ())
        ]
        columns = statement.exported_columns
        self._returns_rows = bool(columns)
        self._metadata = SimpleResultMetaData(list(map(str, columns.keys())))
        readers = [_reader_of(column.type, dialect) for column in columns]
        self._readers = [(place, reader) for place, reader in enumerate(readers) if reader is not None]

    def values_of(self, parameters: Parameters) -> list[tuple[Any, ...]]:
        """For the driver, of each row. Raises what a value raises that is none of its column's."""
        if parameters is None or isinstance(parameters, Mapping):
            return [self._values(parameters or {})]
        return [self._values(each) for each in parameters]

    def run(self, connection: sqlite3.Connection, given: Sequence[tuple[Any, ...]]) -> WholeResult:
        """Raises ``DBAPIError``."""
        try:
            return self._run(connection, given)
        except sqlite3.Error as error:
            raise DBAPIError.instance(self.sql, None, error, sqlite3.Error) from error

    def _run(self, connection: sqlite3.Connection, given: Sequence[tuple[Any, ...]]) -> WholeResult:
        if not self._returns_rows:
            cursor = connection.executemany(self.sql, given)
            return WholeResult(self._metadata, (), rowcount=cursor.rowcount)
        rows = [row for values in given for row in connection.execute(self.sql, values)]
        return WholeResult(self._metadata, [self._read(row) for row in rows], rowcount=len(rows))

    def _values(self, given: Mapping[str, Any]) -> tuple[Any, ...]:
        values = [fixed if name is None else given[name] for name, fixed, _ in self._parameters]
        for place, (_, _, write) in enumerate(self._parameters):
            if write is not None:
                values[place] = write(values[place])
        return tuple(values)

    def _read(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        if not self._readers:
            return row
        values = list(row)
        for place, read in self._readers:
            values[place] = read(values[place])
        return tuple(values)


_kept: WeakKeyDictionary[sa.Executable, dict[tuple[str, ...], KeptStatement | None]] = WeakKeyDictionary()


def execute_here(
    connection: sa.Connection, statement: sa.Executable, parameters: Parameters
) -> sa.Result[Any]:
    """``connection.execute`` on the caller's own thread."""
    kept = find_kept(statement, parameters, connection.dialect)
    if kept is None:
        return connection.execute(statement, parameters)
    given = kept.values_of(parameters)
    rows = given if len(given) > 1 else given[0]
    for tell in connection.engine.dispatch.before_cursor_execute:  # those who follow all statements
        tell(connection, None, kept.sql, rows, None, len(given) > 1)
    raw: Any = connection.connection.dbapi_connection
    return kept.run(raw, given)


def find_kept(statement: sa.Executable, parameters: Parameters, dialect: Dialect) -> KeptStatement | None:
    """None for a statement that was not seen before: most of these are built for one use."""
    forms = _kept.get(statement)
    if forms is None:
        _kept[statement] = {}
        return None
    first = parameters[0] if isinstance(parameters, list | tuple) and parameters else parameters
    names = tuple(first) if isinstance(first, Mapping) else ()
    if names not in forms:
        forms[names] = _compile(statement, names, dialect)
    return forms[names]


def _compile(statement: sa.Executable, names: Sequence[str], dialect: Dialect) -> KeptStatement | None:
    """None where the text depends on the parameters' values, or SQLAlchemy has to add some of its own."""
    if not isinstance(statement, sa.Select | sa.CompoundSelect | sa.UpdateBase):
        return None
    compiled = statement.compile(dialect=dialect, column_keys=names or None, for_executemany=True)
    assert isinstance(compiled, SQLCompiler)
    adds = compiled.insert_prefetch or compiled.update_prefetch
    return None if compiled.post_compile_params or adds else KeptStatement(statement, compiled)


def _writer_of(type_: sa.types.TypeEngine[Any], dialect: Dialect) -> Converter:
    return type_.dialect_impl(dialect).bind_processor(dialect)


def _reader_of(type_: sa.types.TypeEngine[Any], dialect: Dialect) -> Converter:
    return type_.dialect_impl(dialect).result_processor(dialect, None)
