"""Finds days whose sums differ from their rows, and adds them up again.

Rows of usage and their sums are written in one transaction, so they agree, except where an older version of the gateway
wrote rows beside this one (a rolling upgrade on PostgreSQL) and did not know of the sums yet.
"""

import sqlalchemy as sa
import structlog

from app.db.connection import AsyncConnection
from app.db.operator_tables import usage_days, usage_hours
from app.db.session import Database, add_to_sums
from app.db.tables import usage
from app.usage.sums import DAY_SECONDS, SIDES, fold_usage, row_figures, sums_by_hour

log = structlog.get_logger()
MINUTES = 1440
"""Of a day."""
PART_SECONDS = 900
RECOUNTED_DAYS = 7
"""A task counts on the day whose budget paid for it, which may be days before its end."""


async def recount_days(database: Database, *, now: float, request_days: float) -> list[int]:
    """Compare the last days, as far as all their rows are kept (``request_days``). Returns the days (since 1970) that
    differed; they are right now."""
    today = int(now // DAY_SECONDS)
    kept = int((now - request_days * DAY_SECONDS) // DAY_SECONDS) + 1
    recounted = []
    for day in range(max(today - RECOUNTED_DAYS, kept), today + 1):
        async with database.read() as connection:
            differs = await _differs(connection, day)
        if differs:
            await _recount(database, day)
            log.warning("usage.recounted", day=day, because="its rows and their sums differed")
            recounted.append(day)
    return recounted


async def _differs(connection: AsyncConnection, day: int) -> bool:
    # One statement sees one moment, in which each transaction has written both or neither.
    rows = sa.select(sa.func.count()).where(*_of_day(day)).scalar_subquery()
    sums = sa.select(sa.func.sum(usage_days.c.requests)).where(usage_days.c.day == day).scalar_subquery()
    hours = sa.select(sa.func.sum(usage_hours.c.requests)).where(*_hours_of_day(day)).scalar_subquery()
    differ = sa.or_(rows != sa.func.coalesce(sums, 0), rows * len(SIDES) != sa.func.coalesce(hours, 0))
    return bool((await connection.execute(sa.select(differ))).scalar_one())


async def _recount(database: Database, day: int) -> None:
    async with database.write_many() as connection:
        if database.is_postgres:
            # Who has written rows but not their sums yet adds the sums after this transaction, which does not see the
            # rows; who has written both is waited for.
            await connection.execute(
                sa.text("LOCK TABLE usage_days, usage_hours IN SHARE ROW EXCLUSIVE MODE")
            )
        await connection.execute(sa.delete(usage_days).where(usage_days.c.day == day))
        await connection.execute(sa.delete(usage_hours).where(*_hours_of_day(day)))
        figures = row_figures()
        names = ("day", "key_id", "account_id", "model", *figures)
        keys = usage.c.key_id, usage.c.account_id, usage.c.model
        rows = sa.select(sa.literal(day), *keys, *figures.values()).where(*_of_day(day)).group_by(*keys)
        await connection.execute(sa.insert(usage_days).from_select(names, rows))
        await _recount_hours(connection, day)


async def _recount_hours(connection: AsyncConnection, day: int) -> None:
    """A part of the day at a time, as a day may have a million rows."""
    end = (day + 1) * DAY_SECONDS
    for begin in range(day * DAY_SECONDS, end, PART_SECONDS):
        found = await connection.execute(
            sa.select(usage).where(usage.c.at >= begin, usage.c.at < begin + PART_SECONDS)
        )
        folded = fold_usage(row._asdict() for row in found)
        await add_to_sums(connection, usage_hours, sums_by_hour(folded))


def _of_day(day: int) -> tuple[sa.ColumnElement[bool], ...]:
    return usage.c.at >= day * DAY_SECONDS, usage.c.at < (day + 1) * DAY_SECONDS


def _hours_of_day(day: int) -> tuple[sa.ColumnElement[bool], ...]:
    minutes = usage_hours.c.minute >= day * MINUTES, usage_hours.c.minute < (day + 1) * MINUTES
    return usage_hours.c.side.in_(SIDES), *minutes
