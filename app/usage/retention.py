"""How long logs are kept: old rows go a few at a time, so that no writer waits for long."""

import sqlalchemy as sa

from app.db.operator_tables import audit, rollup, usage_days
from app.db.session import Database
from app.db.tables import usage
from app.usage.days import DAY
from app.usage.rollup import compact, day_of

HOURLY_DAYS = 2
"""What ended longer ago is counted by the day."""
COUNTED_DAYS = 90
REPORTED_DAYS = 400
BATCH = 5000


async def forget(database: Database, *, now: float, request_days: float, audit_days: float) -> None:
    """May be repeated, and by several processes at once."""
    await _delete(database, usage, before=now - request_days * DAY)
    await _delete(database, audit, before=now - audit_days * DAY)
    async with database.write() as connection:
        oldest = day_of(now - COUNTED_DAYS * DAY)
        await connection.execute(sa.delete(rollup).where(rollup.c.hour < oldest))
        report = int(now // DAY) - REPORTED_DAYS
        await connection.execute(sa.delete(usage_days).where(usage_days.c.day < report))
    more = True
    while more:
        async with database.write() as connection:
            more = await compact(connection, before=now - HOURLY_DAYS * DAY)


async def _delete(database: Database, table: sa.Table, *, before: float) -> None:
    old = sa.select(table.c.id).where(table.c.at < before).order_by(table.c.at).limit(BATCH)
    deleted = BATCH
    while deleted == BATCH:
        async with database.write() as connection:
            deleted = (await connection.execute(sa.delete(table).where(table.c.id.in_(old)))).rowcount
