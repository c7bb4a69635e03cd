"""Marks: rows that keep all processes from repeating something before a given time, and the time of the last sweep."""

import sqlalchemy as sa

from app.db.connection import AsyncConnection
from app.db.operator_tables import marks
from app.db.session import dialect_insert

FOREVER = 1e11
"""A time (UTC seconds) in the far future."""
LAST_SWEEP = "clock/last-sweep"
MOVED_PREFIX = "moved-to/"
"""Of the mark of a store that was moved; behind it stands where to."""
FILES_PREFIX = "files/"
"""Of marks that have a sweep of their own when they end."""


async def claim_mark(connection: AsyncConnection, name: str, *, until: float, now: float) -> bool:
    """Take the mark ``until`` a time, in the caller's transaction. False when it is still taken."""
    new = dialect_insert(connection, marks).values(name=name, until=until)
    free = new.on_conflict_do_update(
        index_elements=[marks.c.name], set_={"until": new.excluded.until}, where=marks.c.until <= now
    )
    return (await connection.execute(free.returning(marks.c.name))).first() is not None


async def is_taken(connection: AsyncConnection, name: str, *, now: float) -> bool:
    """Whether the mark has not ended."""
    query = sa.select(marks.c.until).where(marks.c.name == name, marks.c.until > now)
    return (await connection.execute(query)).first() is not None


async def extend_mark(connection: AsyncConnection, name: str, *, until: float) -> None:
    """Change the end of a mark, whoever has taken it."""
    await connection.execute(sa.update(marks).where(marks.c.name == name).values(until=until))


async def delete_expired_marks(connection: AsyncConnection, *, now: float) -> None:
    """Delete the marks that have ended and mean nothing more."""
    kept = marks.c.name == LAST_SWEEP, marks.c.name.startswith(FILES_PREFIX, autoescape=True)
    await connection.execute(sa.delete(marks).where(marks.c.until <= now, ~sa.or_(*kept)))


async def read_last_sweep(connection: AsyncConnection) -> float | None:
    """When a worker swept last, as far as it was sure of the time; None in a new store."""
    query = sa.select(marks.c.until).where(marks.c.name == LAST_SWEEP)
    return (await connection.execute(query)).scalar()


async def write_last_sweep(connection: AsyncConnection, *, now: float) -> None:
    """Call with a time that is sure: the next start compares its clock with it."""
    new = dialect_insert(connection, marks).values(name=LAST_SWEEP, until=now)
    await connection.execute(
        new.on_conflict_do_update(index_elements=[marks.c.name], set_={"until": new.excluded.until})
    )


async def moved_to(connection: AsyncConnection) -> str | None:
    """Where this store was moved; None for one that is in use."""
    query = sa.select(marks.c.name).where(marks.c.name.startswith(MOVED_PREFIX, autoescape=True))
    name = (await connection.execute(query)).scalar()
    return None if name is None else str(name).removeprefix(MOVED_PREFIX)
