"""How long rows of ended tasks and of the ledger are kept.

A task goes with its timeline, receipts and webhook deliveries, once its files are deleted, its money is settled or
released, and no delivery waits. The ledger has a time of its own and goes by closed pairs; what they added up to stays in
``spending`` (``PRUNED``), so budgets of all time and the check of the books count it for ever. Each batch is one short
transaction, repeatable at any point, by several processes at once.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal

import sqlalchemy as sa
import structlog

from app.db.connection import AsyncConnection
from app.db.operator_tables import attempts, film_receipts, webhook_attempts
from app.db.session import Database
from app.db.tables import ledger, receipts, tasks, timeline, webhook_deliveries
from app.tasks.states import SEGMENT_OWNER, TERMINAL
from app.usage.ledger import NOTHING, delete_old_sums, has_open_reservation, record_pruned

log = structlog.get_logger()
DAY_SECONDS = 86_400.0
BATCH_ROWS = 200
PAUSE_SECONDS = 0.05
"""Between two batches, for those who wait to write."""


async def prune_tasks(database: Database, *, now: float, days: float) -> int:
    """Delete tasks that ended more than ``days`` ago; how many. ``now``: a time that is sure."""
    total = 0
    while ids := await _delete_tasks(database, before=now - days * DAY_SECONDS):
        total += len(ids)
        await asyncio.sleep(PAUSE_SECONDS)
    if total:
        log.info("tasks.pruned", count=total)
    return total


async def prune_ledger(database: Database, *, now: float, days: float) -> int:
    """Delete reservations that were closed more than ``days`` ago, and sums by day and month that no budget reads."""
    total = 0
    while count := await _delete_closed(database, before=now - days * DAY_SECONDS):
        total += count
        await asyncio.sleep(PAUSE_SECONDS)
    async with database.write_many() as connection:
        await delete_old_sums(connection, now=now)
    return total


async def _delete_tasks(database: Database, *, before: float) -> list[str]:
    awaited = sa.exists().where(
        webhook_deliveries.c.task_id == tasks.c.id, webhook_deliveries.c.state == "pending"
    )
    over = tasks.c.finished_at < before, tasks.c.state.in_(TERMINAL), tasks.c.purged.is_(True)
    query = sa.select(tasks.c.id).where(*over, ~has_open_reservation(tasks.c.id), ~awaited)
    async with database.write_many() as connection:
        ids = list(
            (await connection.execute(query.order_by(tasks.c.finished_at).limit(BATCH_ROWS))).scalars()
        )
        if not ids:
            return ids
        await delete_task_rows(connection, ids)
    return ids


async def delete_task_rows(connection: AsyncConnection, ids: Sequence[str]) -> None:
    """Tasks that are over, with all that belongs to them but their money and their files."""
    told = sa.select(webhook_deliveries.c.id).where(webhook_deliveries.c.task_id.in_(ids))
    await connection.execute(sa.delete(webhook_attempts).where(webhook_attempts.c.delivery_id.in_(told)))
    for table in (webhook_deliveries, timeline, receipts, film_receipts, attempts):
        await connection.execute(sa.delete(table).where(table.c.task_id.in_(ids)))
    await connection.execute(sa.delete(tasks).where(tasks.c.id.in_(ids)))


async def _delete_closed(database: Database, *, before: float) -> int:
    oldest = (
        sa.select(ledger.c.task_id, ledger.c.at)
        .where(ledger.c.kind.in_(("settle", "release")))
        .order_by(ledger.c.id)
        .limit(BATCH_ROWS)
    )
    async with database.write_many() as connection:
        ids = [row.task_id for row in (await connection.execute(oldest)).all() if row.at < before]
        if not ids:
            return 0
        gone = sa.delete(ledger).where(ledger.c.task_id.in_(ids))
        booked = ledger.c.key_id, ledger.c.project_id, ledger.c.kind, ledger.c.amount
        sums: dict[str, Decimal] = defaultdict(lambda: NOTHING)
        for row in (await connection.execute(gone.returning(*booked))).all():
            for holder_id in filter(None, (row.key_id, row.project_id)):
                sums[holder_id] += row.amount if row.kind in ("settle", "attempt") else NOTHING
        await record_pruned(connection, sums)
    return len(ids)


async def tend_segments(database: Database, *, now: float) -> None:
    """Cancel segments whose film has ended without them, and let the files of joined ones go."""
    segments = tasks.c.owner.startswith(SEGMENT_OWNER, autoescape=True)
    film = tasks.alias("film")
    ended = sa.exists().where(
        film.c.id == sa.func.substr(tasks.c.owner, len(SEGMENT_OWNER) + 1), film.c.finished_at.is_not(None)
    )
    orphans = sa.update(tasks).where(segments, tasks.c.finished_at.is_(None), ended)
    joined = sa.update(tasks).where(segments, tasks.c.expires_at > now, tasks.c.purged.is_(False), ended)
    async with database.write_many() as connection:
        await connection.execute(orphans.values(cancel_requested=True))
        await connection.execute(joined.values(expires_at=now))
