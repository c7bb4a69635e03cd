"""Transactional outbox: deliveries are inserted with the change they announce and sent later."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from app import clock
from app.db.among import among
from app.db.connection import AsyncConnection
from app.db.tables import tasks, webhook_deliveries, webhook_endpoints
from app.webhooks.addresses import receiver_of
from app.webhooks.event_bodies import event_type, new_id, thin_event

_CONCERNED = (
    sa.select(
        tasks.c.id,
        tasks.c.owner,
        tasks.c.kind,
        tasks.c.state,
        tasks.c.hook_url,
        tasks.c.hook_base,
        webhook_endpoints.c.id.label("endpoint_id"),
        webhook_endpoints.c.url,
        webhook_endpoints.c.event_types,
    )
    .select_from(
        tasks.outerjoin(
            webhook_endpoints,
            sa.and_(webhook_endpoints.c.owner == tasks.c.owner, webhook_endpoints.c.enabled),
        )
    )
    .where(
        among(tasks.c.id, "ids"),
        # The client that deleted a task does not want its webhooks.
        tasks.c.deleted.is_(False),
        sa.or_(tasks.c.hook_url.is_not(None), webhook_endpoints.c.id.is_not(None)),
    )
)


TELLS = sa.and_(
    tasks.c.deleted.is_(False),
    sa.or_(
        tasks.c.hook_url.is_not(None),
        sa.exists().where(webhook_endpoints.c.owner == tasks.c.owner, webhook_endpoints.c.enabled),
    ),
)
"""Whether anybody is told when a task ends: only then ``task_ended`` finds something."""


async def task_ended(connection: AsyncConnection, task_ids: Sequence[str]) -> None:
    """Insert the deliveries for ended tasks. Call in the transaction that ends them, after their rows have changed."""
    if not task_ids:
        return
    found = (await connection.execute(_CONCERNED, {"ids": list(task_ids)})).all()
    await insert_deliveries(connection, [*_for_endpoints(found), *_for_hooks(found)])


async def insert_deliveries(connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that ``delivery_row`` made, in the caller's transaction."""
    if rows:
        await connection.execute(sa.insert(webhook_deliveries), rows)


def delivery_row(owner: str, event: str, *, url: str, **more: Any) -> dict[str, Any]:
    """A delivery that is due now. ``more``: values of other columns."""
    now = clock.now()
    empty = dict.fromkeys(("endpoint_id", "task_id", "base_url", "body"))
    required = {"owner": owner, "event": event, "url": url, "receiver": receiver_of(url)}
    return {"id": new_id("wh"), "next_at": now, "created_at": now, **empty, **required, **more}


def _for_endpoints(found: Iterable[Any]) -> Iterable[dict[str, Any]]:
    now = clock.now()
    bodies: dict[str, str] = {}
    for each in found:
        event = event_type(each.kind, each.state)
        if each.endpoint_id is None or event not in json.loads(each.event_types):
            continue
        if each.id not in bodies:
            bodies[each.id] = thin_event(event, each.id, at=now)
        more = {"task_id": each.id, "endpoint_id": each.endpoint_id, "body": bodies[each.id]}
        yield delivery_row(each.owner, event, url=each.url, **more)


def _for_hooks(found: Iterable[Any]) -> Iterable[dict[str, Any]]:
    hooked = {
        each.id: each for each in found if each.hook_url is not None
    }  # once, even with several endpoints
    for each in hooked.values():
        event = event_type(each.kind, each.state)
        yield delivery_row(each.owner, event, url=each.hook_url, task_id=each.id, base_url=each.hook_base)


def _update_pending(endpoint_id: str) -> sa.Update:
    mine = webhook_deliveries.c.endpoint_id == endpoint_id, webhook_deliveries.c.state == "pending"
    return sa.update(webhook_deliveries).where(*mine)


async def redirect_pending(connection: AsyncConnection, endpoint_id: str, *, url: str) -> None:
    """Send pending deliveries of an endpoint to its new URL."""
    await connection.execute(_update_pending(endpoint_id).values(url=url, receiver=receiver_of(url)))


async def fail_pending(connection: AsyncConnection, endpoint_id: str) -> None:
    """Fail pending deliveries of an endpoint. They can be sent again from the log."""
    await connection.execute(_update_pending(endpoint_id).values(state="failed", claimed_at=None))
