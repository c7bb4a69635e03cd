"""Marks: rows that keep all processes from repeating something before a given time."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.operator_tables import marks
from app.db.session import dialect_insert

FOREVER = 1e11
"""A time (UTC seconds) in the far future."""


async def claim_mark(connection: AsyncConnection, name: str, *, until: float, now: float) -> bool:
    """Take the mark ``until`` a time, in the caller's transaction. False when it is still taken."""
    new = dialect_insert(connection, marks).values(name=name, until=until)
    free = new.on_conflict_do_update(
        index_elements=[marks.c.name], set_={"until": new.excluded.until}, where=marks.c.until <= now
    )
    return (await connection.execute(free.returning(marks.c.name))).first() is not None


async def extend_mark(connection: AsyncConnection, name: str, *, until: float) -> None:
    """Change the end of a mark, whoever has taken it."""
    await connection.execute(sa.update(marks).where(marks.c.name == name).values(until=until))


async def delete_expired_marks(connection: AsyncConnection, *, now: float) -> None:
    """Delete the marks that have ended."""
    await connection.execute(sa.delete(marks).where(marks.c.until <= now))
