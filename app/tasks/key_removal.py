"""Removes a client key with all that its client has left here: for a request to be forgotten.

Its tasks go with their films, inputs, prompts, timelines and deliveries; its webhook endpoints and characters, unless other
keys of its project share them; what the audit log quotes of it; and at last the key. The books stay as they are: rows of the
ledger and of the request log hold ids and amounts, and the name of its project is taken out of them. So no sum changes.

Crash points. The key is disabled first and deleted last, and the files of a task go before its rows: the same call after a
crash goes on.
"""

import asyncio
from dataclasses import asdict, dataclass

import sqlalchemy as sa
import structlog

from app.db.connection import AsyncConnection
from app.db.operator_tables import audit, webhook_attempts
from app.db.session import Database
from app.db.tables import (
    characters,
    keys,
    ledger,
    tasks,
    usage,
    webhook_deliveries,
    webhook_endpoints,
)
from app.errors import InvalidRequest
from app.keys.key import ClientKey
from app.keys.service import KeyRing
from app.media.store import MediaStore, delete_task_files
from app.tasks.batches import forget_owner
from app.tasks.pruning import BATCH_ROWS, delete_task_rows
from app.tasks.states import OPEN
from app.usage.ledger import has_open_reservation
from app.webhooks.endpoint_health import forget_failures

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ForgottenKey:
    """How many of each went; ``shared``: other keys of its project keep their endpoints and characters."""

    tasks: int
    webhook_endpoints: int
    characters: int
    shared: bool


async def forget_key(
    database: Database, store: MediaStore, *, keys: KeyRing, key_id: str, wait_seconds: float = 0.0
) -> ForgottenKey:
    """``wait_seconds``: for so long another process may still accept the key after it was disabled.

    Raises ``NotFound``, ``InvalidRequest`` that says what to do first, and ``ServiceUnavailable``.
    """
    key = await keys.get(key_id)
    await _require_settled(database, key)
    await keys.revoke(key_id)
    await asyncio.sleep(wait_seconds)
    await _require_settled(database, key)
    count = 0
    while ids := await _delete_tasks(database, store, key_id):
        count += len(ids)
    shared = await _has_siblings(database, key)
    endpoints, clips = (0, 0) if shared else await _delete_owned(database, store, key.owner)
    async with database.write_many() as connection:
        await _clear_books(connection, key)
        await _clear_audit(connection, f"keys/{key_id}")
    await keys.delete(key_id)
    done = ForgottenKey(count, endpoints, clips, shared)
    log.info("key.forgotten", key=key_id, **asdict(done))
    return done


async def _require_settled(database: Database, key: ClientKey) -> None:
    """Raises ``InvalidRequest`` while its tasks run or hold money."""
    if key.source == "file":
        raise InvalidRequest(
            f"The key {key.id} is declared in the configuration file: take it out there first.", param="key"
        )
    mine = sa.select(sa.func.count()).select_from(tasks).where(tasks.c.key_id == key.id)
    async with database.read() as connection:
        running = (await connection.execute(mine.where(tasks.c.state.in_(OPEN)))).scalar_one()
        held = (await connection.execute(mine.where(has_open_reservation(tasks.c.id)))).scalar_one()
    if running:
        raise InvalidRequest(
            f"The key {key.id} has {running} tasks that have not ended: cancel them or wait, then forget it. Disable it "
            "meanwhile, so that no more come.",
            param="key",
        )
    if held:
        raise InvalidRequest(
            f"Money of {held} tasks of the key {key.id} is held: `filmgate held list` shows them. Settle them, then forget it.",
            param="key",
        )


async def _delete_tasks(database: Database, store: MediaStore, key_id: str) -> list[str]:
    """Some of them; none once all are gone."""
    some = sa.select(tasks.c.id).where(tasks.c.key_id == key_id).order_by(tasks.c.id).limit(BATCH_ROWS)
    async with database.read() as connection:
        ids = list((await connection.execute(some)).scalars())
    for task_id in ids:
        await delete_task_files(store, task_id)
    if ids:
        async with database.write_many() as connection:
            await delete_task_rows(connection, ids)
    return ids


async def _has_siblings(database: Database, key: ClientKey) -> bool:
    if key.project is None:
        return False
    others = sa.select(keys.c.id).where(keys.c.project == key.project, keys.c.id != key.id)
    async with database.read() as connection:
        return (await connection.execute(others.limit(1))).first() is not None


async def _delete_owned(database: Database, store: MediaStore, owner: str) -> tuple[int, int]:
    """Endpoints with all their deliveries, and characters with their files; how many of each."""
    async with database.read() as connection:
        hooks = (await connection.execute(_ids(webhook_endpoints, owner))).scalars().all()
        clips = (await connection.execute(_ids(characters, owner))).scalars().all()
    for character in clips:
        await store.delete(f"characters/{character}")
    await forget_owner(database, store, owner)
    async with database.write_many() as connection:
        told = _ids(webhook_deliveries, owner)
        await connection.execute(sa.delete(webhook_attempts).where(webhook_attempts.c.delivery_id.in_(told)))
        await forget_failures(connection, *map(str, hooks))
        for table in (webhook_endpoints, webhook_deliveries, characters):
            await connection.execute(sa.delete(table).where(table.c.owner == owner))
        for name in [*(f"webhook_endpoints/{one}" for one in hooks), *(f"characters/{one}" for one in clips)]:
            await _clear_audit(connection, name)
    return len(hooks), len(clips)


def _ids(table: sa.Table, owner: str) -> sa.Select[tuple[str]]:
    return sa.select(table.c.id).where(table.c.owner == owner)


async def _clear_books(connection: AsyncConnection, key: ClientKey) -> None:
    owner = sa.update(ledger).where(ledger.c.key_id == key.id, ledger.c.owner != f"key:{key.id}")
    await connection.execute(owner.values(owner=f"key:{key.id}"))
    named = sa.update(usage).where(usage.c.key_id == key.id, usage.c.request_id.is_not(None))
    await connection.execute(named.values(request_id=None))  # clients choose it
    told = sa.or_(usage.c.end_user.is_not(None), usage.c.tags.is_not(None))
    whom = sa.update(usage).where(usage.c.key_id == key.id, told)
    await connection.execute(whom.values(end_user=None, tags=None))


async def _clear_audit(connection: AsyncConnection, target: str) -> None:
    """That something was changed stays; what it was goes."""
    which = sa.or_(audit.c.target == target, audit.c.target.startswith(f"{target}/", autoescape=True))
    await connection.execute(sa.update(audit).where(which).values(before=None, after=None))
