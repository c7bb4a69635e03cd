"""``INSERT … ON CONFLICT`` in the words of either store."""

from typing import TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

Insert: TypeAlias = postgresql.Insert | sqlite.Insert


def insert(connection: AsyncConnection, table: sa.Table) -> Insert:
    """An insert of the connection's dialect, which has ``excluded`` and ``on_conflict_do_…``."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)
