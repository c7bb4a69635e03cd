"""Marks: what one process has done, no process does again before a moment. Kept in the store."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.operator_tables import marks
from app.db.session import dialect_insert

FOREVER = 1e11
"""UTC seconds that nobody here will see."""


async def claim_mark(connection: AsyncConnection, name: str, *, until: float, now: float) -> bool:
    """Whether the mark was free, and is held ``until`` then; in the caller's transaction."""
    new = dialect_insert(connection, marks).values(name=name, until=until)
    free = new.on_conflict_do_update(
        index_elements=[marks.c.name], set_={"until": new.excluded.until}, where=marks.c.until <= now
    )
    return (await connection.execute(free.returning(marks.c.name))).first() is not None


async def extend_mark(connection: AsyncConnection, name: str, *, until: float) -> None:
    """Whoever holds it, it is held until then."""
    await connection.execute(sa.update(marks).where(marks.c.name == name).values(until=until))


async def delete_expired_marks(connection: AsyncConnection, *, now: float) -> None:
    """Remove those that are over."""
    await connection.execute(sa.delete(marks).where(marks.c.until <= now))
