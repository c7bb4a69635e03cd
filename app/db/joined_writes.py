"""Writes whose answers nobody needs: collected, and written one after the other at the end of what they belong to.

On PostgreSQL they are one statement, as each is a round trip. What one of its parts writes is counted by the next before
it begins, so rows are locked in the order in which the writes were added, as if each were a statement of its own.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import sqlalchemy as sa

from app.db.connection import AsyncConnection
from app.db.session import adding_statement, in_order_of_sums
from app.db.tables import Money, to_billionths

Verb = Literal["insert", "add", "change", "delete"]
Part = sa.Insert | sa.Update | sa.Delete


@dataclass(frozen=True, slots=True)
class RowsWrite:
    """What is done with rows that have values for the columns ``names``. A row that is changed or deleted is found by its
    primary key."""

    verb: Verb
    table: sa.Table
    names: tuple[str, ...]

    @property
    def _set(self) -> list[str]:
        return [name for name in self.names if name not in self.table.primary_key.columns]

    def of_each_row(self, dialect: str) -> Part:
        """Run with the rows as its parameters, for which it is prepared once."""
        if self.verb == "insert":
            return sa.insert(self.table).inline()
        if self.verb == "add":
            return adding_statement(dialect, self.table)
        given = {name: sa.bindparam(f"of_{name}", type_=self.table.c[name].type) for name in self.names}
        return self._found(given)

    def of_all_rows(self, given: sa.FromClause, after: sa.ColumnElement[bool]) -> Part:
        if self.verb in ("change", "delete"):
            return self._found({name: given.c[name] for name in self.names}).where(after)
        rows = sa.select(*(given.c[name] for name in self.names)).where(after)
        if self.verb == "insert":
            return sa.insert(self.table).from_select(self.names, rows)
        return adding_statement("postgresql", self.table, (self.names, rows))

    def _found(self, given: Mapping[str, sa.ColumnElement[Any]]) -> sa.Update | sa.Delete:
        mine = [column == given[column.name] for column in self.table.primary_key]
        if self.verb == "delete":
            return sa.delete(self.table).where(*mine)
        return sa.update(self.table).where(*mine).values({name: given[name] for name in self._set})


class JoinedWrites:
    def __init__(self) -> None:
        self._writes: list[tuple[RowsWrite, Sequence[Mapping[str, Any]]]] = []

    def insert(self, table: sa.Table, rows: Iterable[Mapping[str, Any]]) -> None:
        self._add("insert", table, rows)

    def add_to_sums(self, table: sa.Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """As ``app.db.session.add_to_sums``."""
        self._add("add", table, in_order_of_sums(table, rows))

    def change(self, table: sa.Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """The rows are locked by this transaction already, or nobody else changes them."""
        self._add("change", table, rows)

    def delete(self, table: sa.Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """As ``change``."""
        self._add("delete", table, rows)

    def _add(self, verb: Verb, table: sa.Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """All rows have the same columns."""
        if found := list(rows):
            self._writes.append((RowsWrite(verb, table, tuple(found[0])), found))

    async def write(self, connection: AsyncConnection) -> None:
        writes, self._writes = self._writes, []
        if connection.dialect.name != "postgresql":
            for what, rows in writes:
                prefix = "of_" if what.verb in ("change", "delete") else ""
                given = [{f"{prefix}{name}": value for name, value in row.items()} for row in rows]
                await connection.execute(_statement_of_each(what, connection.dialect.name), given)
        elif writes:
            texts = {f"rows_{n}": as_json(rows) for n, (_, rows) in enumerate(writes)}
            await connection.execute(_joined_statement(tuple(what for what, _ in writes)), texts)


@cache
def _statement_of_each(what: RowsWrite, dialect: str) -> Part:
    return what.of_each_row(dialect)


@cache
def _joined_statement(writes: tuple[RowsWrite, ...]) -> sa.Select[Any]:
    after: sa.ColumnElement[bool] = sa.true()
    for n, what in enumerate(writes):
        columns = [sa.column(name, plain_type(what.table.c[name])) for name in what.names]
        part = what.of_all_rows(given_rows(columns, name=f"rows_{n}"), after)
        written = part.returning(sa.literal_column("1").label("done")).cte(f"part_{n}")
        counted = sa.select(sa.func.count()).select_from(written).scalar_subquery()
        after = counted >= sa.literal_column("0")
    return sa.select(counted)


def given_rows(columns: Sequence[sa.ColumnClause[Any]], *, name: str) -> sa.FromClause:
    """The rows that ``as_json`` made, as a table of PostgreSQL; the parameter has the table's name."""
    text = sa.cast(sa.bindparam(name, type_=sa.Text), sa.JSON)
    rows = sa.func.json_to_recordset(text).table_valued(*columns)
    return rows.render_derived(name=name, with_types=True)


def as_json(rows: Iterable[Mapping[str, Any]]) -> str:
    return json.dumps(list(rows), default=to_billionths)


def plain_type(column: sa.Column[Any]) -> Any:
    """Without a length, and money as JSON has it."""
    if isinstance(column.type, sa.String):
        return sa.Text
    return sa.BigInteger if isinstance(column.type, Money) else column.type
