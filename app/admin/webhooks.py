"""`/admin/api/webhooks`: the endpoints of all owners, what was delivered to them, and sending it again."""

import time
from collections.abc import Sequence
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Query, Response

from app.admin.access import At, OwnerRoute
from app.admin.masking import masked
from app.admin.paging import Paged, find
from app.admin.panel import Panel
from app.admin.wishes import Name, Wish
from app.db.tables import webhook_deliveries, webhook_endpoints
from app.errors import MissingField, NotFound
from app.webhooks.deliveries import Delivery
from app.webhooks.endpoints import Endpoint
from app.webhooks.events import EVENT_TYPES

router = APIRouter(route_class=OwnerRoute, prefix="/webhooks")
Word = Annotated[str | None, Query(max_length=200)]


class NewEndpoint(Wish):
    owner: Name | None = None
    name: Name
    url: str
    event_types: tuple[str, ...] = EVENT_TYPES


class EndpointChange(Wish):
    name: Name | None = None
    url: str | None = None
    event_types: list[str] | None = None


class Rotation(Wish):
    keep_old: bool = True


class Sample(Wish):
    event_type: str = EVENT_TYPES[0]


@router.get("/endpoints", summary="Webhook endpoints")
async def list_endpoints(page: Paged, at: At, *, owner: Word = None) -> dict[str, Any]:
    """Of all owners, newest first."""
    columns = webhook_endpoints.c
    query = sa.select(columns.id, columns.owner)
    served = [columns.owner == owner] if owner else []
    async with at.panel.database.read() as connection:
        found = await find(connection, query, page, by=columns.id, served=served)
    shown = [await at.panel.gateway.endpoints.get(row.id, owner=row.owner) for row in found.rows]
    return found.shown([endpoint_object(each) for each in shown])


@router.post("/endpoints", status_code=201, summary="Add a webhook endpoint")
async def add_endpoint(wish: NewEndpoint, at: At) -> dict[str, Any]:
    """`owner` is a key's owner, like `key:abcd1234`. Its secret is shown this once."""
    if wish.owner is None:
        raise MissingField("owner")
    return await make_endpoint(at, wish, owner=wish.owner)


@router.patch("/endpoints/{endpoint_id}", summary="Change a webhook endpoint")
async def change_endpoint(endpoint_id: str, wish: EndpointChange, at: At) -> dict[str, Any]:
    """One that was disabled is enabled again by any change."""
    before = await _endpoint(at.panel, endpoint_id)
    after = await at.panel.gateway.endpoints.update(
        endpoint_id, owner=before.owner, name=wish.name, url=wish.url, event_types=wish.event_types
    )
    sides = {"before": endpoint_object(before), "after": endpoint_object(after)}
    await at.note("webhook_endpoint.updated", f"webhook_endpoints/{endpoint_id}", **sides)
    return endpoint_object(after)


@router.post("/endpoints/{endpoint_id}/disable", summary="Send an endpoint nothing more")
async def disable_endpoint(endpoint_id: str, at: At) -> dict[str, Any]:
    before = await _endpoint(at.panel, endpoint_id)
    await at.panel.gateway.endpoints.disable(endpoint_id, reason="by the operator")
    after = await at.panel.gateway.endpoints.get(endpoint_id, owner=before.owner)
    sides = [{"enabled": each.enabled, "reason": each.disabled_reason} for each in (before, after)]
    await at.note(
        "webhook_endpoint.disabled", f"webhook_endpoints/{endpoint_id}", before=sides[0], after=sides[1]
    )
    return endpoint_object(after)


@router.post("/endpoints/{endpoint_id}/rotate", summary="Give an endpoint a new secret")
async def rotate_endpoint(endpoint_id: str, at: At, *, wish: Rotation | None = None) -> dict[str, Any]:
    """Shown this once; the old one signs along for a day if it is kept."""
    before = await _endpoint(at.panel, endpoint_id)
    keep_old = (wish or Rotation()).keep_old
    after, secret = await at.panel.gateway.endpoints.rotate(
        endpoint_id, owner=before.owner, keep_old=keep_old
    )
    sides = {"before": {"secret_hint": before.hint}, "after": {"secret_hint": after.hint, "kept": keep_old}}
    await at.note("webhook_endpoint.secret_rotated", f"webhook_endpoints/{endpoint_id}", **sides)
    return endpoint_object(after) | {"secret": secret}


@router.post("/endpoints/{endpoint_id}/test", summary="Send an endpoint a sample")
async def test_endpoint(endpoint_id: str, at: At, *, wish: Sample | None = None) -> dict[str, Any]:
    found = await _endpoint(at.panel, endpoint_id)
    event = (wish or Sample()).event_type
    began = time.monotonic()
    outcome = await at.panel.gateway.endpoints.test(endpoint_id, owner=found.owner, event=event)
    return {
        "status": outcome.status,
        "error": outcome.error,
        "milliseconds": round((time.monotonic() - began) * 1000, 1),
    }


@router.delete("/endpoints/{endpoint_id}", status_code=204, summary="Remove a webhook endpoint")
async def remove_endpoint(endpoint_id: str, at: At) -> Response:
    before = await _endpoint(at.panel, endpoint_id)
    await at.panel.gateway.endpoints.delete(endpoint_id, owner=before.owner)
    target = f"webhook_endpoints/{endpoint_id}"
    await at.note("webhook_endpoint.removed", target, before=endpoint_object(before))
    return Response(status_code=204)


@router.get("/deliveries", summary="Webhook deliveries")
async def list_deliveries(
    page: Paged,
    at: At,
    *,
    state: Word = None,
    owner: Word = None,
    endpoint: Word = None,
    task: Word = None,
) -> dict[str, Any]:
    """Newest first."""
    columns = webhook_deliveries.c
    indexed = {columns.task_id: task, columns.endpoint_id: endpoint, columns.owner: owner}
    served = [column == value for column, value in indexed.items() if value]
    sifted = [columns.state == state] if state else []
    query = sa.select(webhook_deliveries)
    async with at.panel.database.read() as connection:
        found = await find(connection, query, page, by=columns.id, served=served, sifted=sifted)
    return found.shown([delivery_object(Delivery(**row._mapping)) for row in found.rows])


@router.get("/deliveries/{delivery_id}", summary="A delivery with its attempts")
async def get_delivery(delivery_id: str, at: At) -> dict[str, Any]:
    return await _detail(at.panel, delivery_id)


@router.post("/deliveries/{delivery_id}/resend", summary="Deliver it again")
async def resend(delivery_id: str, at: At) -> dict[str, Any]:
    """With the same webhook-id and body, from the beginning of the schedule."""
    before = await at.panel.deliveries.get(delivery_id)
    await at.panel.deliveries.resend(delivery_id, now=time.time())
    told = {"state": before.state, "attempts": before.attempts}
    await at.note("webhook_delivery.resent", f"webhook_deliveries/{delivery_id}", before=told)
    return await _detail(at.panel, delivery_id)


async def make_endpoint(at: At, wish: NewEndpoint, *, owner: str) -> dict[str, Any]:
    """An endpoint with its secret, which nobody can read again."""
    made, secret = await at.panel.gateway.endpoints.create(
        owner, name=wish.name, url=wish.url, event_types=wish.event_types
    )
    target = f"webhook_endpoints/{made.id}"
    await at.note("webhook_endpoint.added", target, after=endpoint_object(made))
    return endpoint_object(made) | {"secret": secret}


async def deliveries_of(panel: Panel, task_id: str) -> Sequence[dict[str, Any]]:
    """What was, or will be, told of one task."""
    query = sa.select(webhook_deliveries).where(webhook_deliveries.c.task_id == task_id)
    async with panel.database.read() as connection:
        rows = (await connection.execute(query.order_by(webhook_deliveries.c.id))).all()
    return [delivery_object(Delivery(**row._mapping)) for row in rows]


def endpoint_object(found: Endpoint) -> dict[str, Any]:
    return {
        "id": found.id,
        "owner": found.owner,
        "name": found.name,
        "url": masked(found.url),
        "event_types": list(found.event_types),
        "enabled": found.enabled,
        "disabled_reason": found.disabled_reason,
        "created_at": found.created_at,
        "updated_at": found.updated_at,
        "secret_hint": found.hint,
    }


def delivery_object(found: Delivery) -> dict[str, Any]:
    return {
        "id": found.id,
        "endpoint_id": found.endpoint_id,
        "task_id": found.task_id,
        "owner": found.owner,
        "receiver": found.receiver,
        "url": masked(found.url),
        "event": found.event,
        "state": found.state,
        "attempts": found.attempts,
        "next_at": found.next_at if found.state == "pending" else None,
        "created_at": found.created_at,
        "delivered_at": found.delivered_at,
    }


async def _detail(panel: Panel, delivery_id: str) -> dict[str, Any]:
    found = await panel.deliveries.get(delivery_id)
    attempts = await panel.deliveries.attempts(delivery_id)
    told = [
        {"at": each.at, "status": each.status, "error": each.error, "milliseconds": each.milliseconds}
        for each in attempts
    ]
    return delivery_object(found) | {"body": masked(found.body), "attempt_log": told}


async def _endpoint(panel: Panel, endpoint_id: str) -> Endpoint:
    query = sa.select(webhook_endpoints.c.owner).where(webhook_endpoints.c.id == endpoint_id)
    async with panel.database.read() as connection:
        owner = (await connection.execute(query)).scalar()
    if owner is None:
        raise NotFound(f"No such webhook endpoint: {endpoint_id[:100]}")
    return await panel.gateway.endpoints.get(endpoint_id, owner=owner)
