"""Finds days whose sums differ from their rows, and adds them up again.

Rows of usage and their sums are written in one transaction, so they agree, except where an older version of the gateway
wrote rows beside this one (a rolling upgrade on PostgreSQL) and did not know of the sums yet.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.operator_tables import usage_days
from app.db.session import Database
from app.db.tables import usage
from app.usage.recorder import DAY_SECONDS, FAILED_STATUS

log = structlog.get_logger()
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
    return bool((await connection.execute(sa.select(rows != sa.func.coalesce(sums, 0)))).scalar_one())


async def _recount(database: Database, day: int) -> None:
    async with database.write_many() as connection:
        if database.is_postgres:
            # Who has written rows but not their sums yet adds the sums after this transaction, which does not see the
            # rows; who has written both is waited for.
            await connection.execute(sa.text("LOCK TABLE usage_days IN SHARE ROW EXCLUSIVE MODE"))
        await connection.execute(sa.delete(usage_days).where(usage_days.c.day == day))
        names = ("day", "key_id", "account_id", "model", *_FIGURES)
        keys = usage.c.key_id, usage.c.account_id, usage.c.model
        rows = sa.select(sa.literal(day), *keys, *_FIGURES.values()).where(*_of_day(day)).group_by(*keys)
        await connection.execute(sa.insert(usage_days).from_select(names, rows))


def _of_day(day: int) -> tuple[sa.ColumnElement[bool], ...]:
    return usage.c.at >= day * DAY_SECONDS, usage.c.at < (day + 1) * DAY_SECONDS


_FIGURES: Mapping[str, sa.ColumnElement[Any]] = {
    "requests": sa.func.count(),
    "failed": sa.func.sum(sa.case((usage.c.status >= FAILED_STATUS, 1), else_=0)),
    "input_tokens": sa.func.coalesce(sa.func.sum(usage.c.input_tokens), 0),
    "output_tokens": sa.func.coalesce(sa.func.sum(usage.c.output_tokens), 0),
    "cost": sa.func.sum(usage.c.cost),
}
