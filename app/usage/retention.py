"""How long logs are kept: old rows go a few at a time, so that no writer waits for long."""

import sqlalchemy as sa

from app.db.operator_tables import audit, rollup, usage_days
from app.db.session import Database
from app.db.tables import usage
from app.usage.daily_usage import DAY_SECONDS
from app.usage.task_counts import compact_oldest_day, day_of

HOURLY_DAYS = 2
"""What ended longer ago is counted by the day."""
COUNTED_DAYS = 90
REPORTED_DAYS = 400
BATCH_ROWS = 5000


async def delete_old_rows(database: Database, *, now: float, request_days: float, audit_days: float) -> None:
    """May be repeated, and by several processes at once."""
    await _delete_before(database, usage, before=now - request_days * DAY_SECONDS)
    await _delete_before(database, audit, before=now - audit_days * DAY_SECONDS)
    async with database.write() as connection:
        oldest = day_of(now - COUNTED_DAYS * DAY_SECONDS)
        await connection.execute(sa.delete(rollup).where(rollup.c.hour < oldest))
        report = int(now // DAY_SECONDS) - REPORTED_DAYS
        await connection.execute(sa.delete(usage_days).where(usage_days.c.day < report))
    more = True
    while more:
        async with database.write() as connection:
            more = await compact_oldest_day(connection, before=now - HOURLY_DAYS * DAY_SECONDS)


async def _delete_before(database: Database, table: sa.Table, *, before: float) -> None:
    old = sa.select(table.c.id).where(table.c.at < before).order_by(table.c.at).limit(BATCH_ROWS)
    deleted = BATCH_ROWS
    while deleted == BATCH_ROWS:
        async with database.write() as connection:
            deleted = (await connection.execute(sa.delete(table).where(table.c.id.in_(old)))).rowcount
