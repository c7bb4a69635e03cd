"""``INSERT … ON CONFLICT`` in the words of either store."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

Insert: TypeAlias = postgresql.Insert | sqlite.Insert


def dialect_insert(connection: AsyncConnection, table: sa.Table) -> Insert:
    """An insert of the connection's dialect, which has ``excluded`` and ``on_conflict_do_…``."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


async def add_to_sums(
    connection: AsyncConnection, table: sa.Table, rows: Iterable[Mapping[str, Any]]
) -> None:
    """Add each row's figures to those of its primary key, or begin with them; no two may have the same one."""
    names = [column.name for column in table.primary_key]
    # Everybody locks rows in this order.
    ordered = sorted(rows, key=lambda row: tuple(row[name] for name in names))
    if not ordered:
        return
    new = dialect_insert(connection, table)
    figures = [column for column in table.columns if not column.primary_key]
    raised = {column.name: column + new.excluded[column.name] for column in figures}
    # One statement, compiled once for all time; with the rows in it, it would be compiled for each batch.
    await connection.execute(new.on_conflict_do_update(index_elements=names, set_=raised), ordered)
