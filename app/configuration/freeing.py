"""What the configuration file declared belongs to the operator once there is no file any more: nothing else changes."""

import sqlalchemy as sa
import structlog

from app import clock
from app.components import Components
from app.db import marks
from app.db.changes import Kind, announce_change
from app.db.connection import AsyncConnection
from app.db.operator_tables import marks as marks_table
from app.db.session import Database
from app.db.tables import accounts, keys, prices, routes

log = structlog.get_logger()
APPLIED_AT_START = "configuration/applied-at-start"
"""The mark of a store whose last gateway was started with a file."""
DECLARED: tuple[tuple[Kind, sa.Column[str]], ...] = (
    ("accounts", accounts.c.name),
    ("routes", routes.c.model),
    ("keys", keys.c.name),
    ("prices", prices.c.model),
)


async def note_file(database: Database) -> None:
    """A gateway has started with a file: the first one that starts without it frees what the file declared."""
    async with database.write() as connection:
        await marks.claim_mark(connection, APPLIED_AT_START, until=marks.FOREVER, now=clock.now())


async def free_if_file_went(components: Components) -> list[str]:
    """Call when a gateway starts without a file. What `filmgate config apply` declared alone stays as it is."""
    async with components.database.write() as connection:
        gone = sa.delete(marks_table).where(marks_table.c.name == APPLIED_AT_START)
        if (await connection.execute(gone)).rowcount == 0:
            return []
        freed = await _free_rows(connection)
    if freed:
        log.warning("configuration.freed", rows=len(freed), advice="FILMGATE_CONFIG names no file any more")
    await components.catalog.refresh()
    return freed


async def free_declared_rows(components: Components) -> list[str]:
    """Free every row that a file declared, and say which, as ``keys "web" freed``."""
    async with components.database.write() as connection:
        freed = await _free_rows(connection)
    await components.catalog.refresh()
    return freed


async def _free_rows(connection: AsyncConnection) -> list[str]:
    freed: list[str] = []
    for kind, named in DECLARED:
        free = sa.update(named.table).where(named.table.c.source == "file").values(source="store")
        names = (await connection.execute(free.returning(named))).scalars().all()
        if names:
            await announce_change(connection, kind)
        freed += [f'{kind} "{name}" freed' for name in sorted(names)]
    return freed
