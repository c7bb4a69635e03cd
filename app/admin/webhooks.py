"""`/admin/api/webhooks`: the endpoints of all owners, what was delivered to them, and sending it again."""

import time
from collections.abc import Sequence
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Query, Response

from app.admin.access import AdminRequest, OwnerRoute
from app.admin.bodies import Name, PanelBody
from app.admin.masking import mask_secrets
from app.admin.paging import PageQuery, find_page
from app.admin.panel import PanelServices
from app.db.tables import webhook_deliveries, webhook_endpoints
from app.errors import MissingField, NotFound
from app.webhooks.deliveries import Delivery
from app.webhooks.endpoints import WebhookEndpoint
from app.webhooks.event_bodies import EVENT_TYPES

router = APIRouter(route_class=OwnerRoute, prefix="/webhooks")
FilterText = Annotated[str | None, Query(max_length=200)]


class NewEndpointBody(PanelBody):
    owner: Name | None = None
    name: Name
    url: str
    event_types: tuple[str, ...] = EVENT_TYPES


class EndpointChangeBody(PanelBody):
    name: Name | None = None
    url: str | None = None
    event_types: list[str] | None = None


class RotationBody(PanelBody):
    keep_old: bool = True


class SampleBody(PanelBody):
    event_type: str = EVENT_TYPES[0]


@router.get("/endpoints", summary="Webhook endpoints")
async def list_endpoints(page: PageQuery, at: AdminRequest, *, owner: FilterText = None) -> dict[str, Any]:
    """Of all owners, newest first."""
    columns = webhook_endpoints.c
    query = sa.select(columns.id, columns.owner)
    served = [columns.owner == owner] if owner else []
    async with at.panel.database.read() as connection:
        found = await find_page(connection, query, page, by=columns.id, served=served)
    shown = [await at.panel.gateway.endpoints.get(row.id, owner=row.owner) for row in found.rows]
    return found.as_answer([endpoint_object(each) for each in shown])


@router.post("/endpoints", status_code=201, summary="Add a webhook endpoint")
async def add_endpoint(wish: NewEndpointBody, at: AdminRequest) -> dict[str, Any]:
    """`owner` is a key's owner, like `key:abcd1234`. Its secret is shown this once."""
    if wish.owner is None:
        raise MissingField("owner")
    return await make_endpoint(at, wish, owner=wish.owner)


@router.patch("/endpoints/{endpoint_id}", summary="Change a webhook endpoint")
async def change_endpoint(endpoint_id: str, wish: EndpointChangeBody, at: AdminRequest) -> dict[str, Any]:
    """One that was disabled is enabled again by any change."""
    before = await _find_endpoint(at.panel, endpoint_id)
    after = await at.panel.gateway.endpoints.update(
        endpoint_id, owner=before.owner, name=wish.name, url=wish.url, event_types=wish.event_types
    )
    sides = {"before": endpoint_object(before), "after": endpoint_object(after)}
    await at.record_change("webhook_endpoint.updated", f"webhook_endpoints/{endpoint_id}", **sides)
    return endpoint_object(after)


@router.post("/endpoints/{endpoint_id}/disable", summary="Send an endpoint nothing more")
async def disable_endpoint(endpoint_id: str, at: AdminRequest) -> dict[str, Any]:
    before = await _find_endpoint(at.panel, endpoint_id)
    await at.panel.gateway.endpoints.disable(endpoint_id, reason="by the operator")
    after = await at.panel.gateway.endpoints.get(endpoint_id, owner=before.owner)
    sides = [{"enabled": each.enabled, "reason": each.disabled_reason} for each in (before, after)]
    await at.record_change(
        "webhook_endpoint.disabled", f"webhook_endpoints/{endpoint_id}", before=sides[0], after=sides[1]
    )
    return endpoint_object(after)


@router.post("/endpoints/{endpoint_id}/rotate", summary="Give an endpoint a new secret")
async def rotate_endpoint(
    endpoint_id: str, at: AdminRequest, *, wish: RotationBody | None = None
) -> dict[str, Any]:
    """Shown this once; the old one signs along for a day if it is kept."""
    before = await _find_endpoint(at.panel, endpoint_id)
    keep_old = (wish or RotationBody()).keep_old
    after, secret = await at.panel.gateway.endpoints.rotate_secret(
        endpoint_id, owner=before.owner, keep_old=keep_old
    )
    sides = {"before": {"secret_hint": before.hint}, "after": {"secret_hint": after.hint, "kept": keep_old}}
    await at.record_change("webhook_endpoint.secret_rotated", f"webhook_endpoints/{endpoint_id}", **sides)
    return endpoint_object(after) | {"secret": secret}


@router.post("/endpoints/{endpoint_id}/test", summary="Send an endpoint a sample")
async def test_endpoint(
    endpoint_id: str, at: AdminRequest, *, wish: SampleBody | None = None
) -> dict[str, Any]:
    found = await _find_endpoint(at.panel, endpoint_id)
    event = (wish or SampleBody()).event_type
    began = time.monotonic()
    outcome = await at.panel.gateway.endpoints.send_sample(endpoint_id, owner=found.owner, event=event)
    return {
        "status": outcome.status,
        "error": outcome.error,
        "milliseconds": round((time.monotonic() - began) * 1000, 1),
    }


@router.delete("/endpoints/{endpoint_id}", status_code=204, summary="Remove a webhook endpoint")
async def remove_endpoint(endpoint_id: str, at: AdminRequest) -> Response:
    before = await _find_endpoint(at.panel, endpoint_id)
    await at.panel.gateway.endpoints.delete(endpoint_id, owner=before.owner)
    target = f"webhook_endpoints/{endpoint_id}"
    await at.record_change("webhook_endpoint.removed", target, before=endpoint_object(before))
    return Response(status_code=204)


@router.get("/deliveries", summary="Webhook deliveries")
async def list_deliveries(
    page: PageQuery,
    at: AdminRequest,
    *,
    state: FilterText = None,
    owner: FilterText = None,
    endpoint: FilterText = None,
    task: FilterText = None,
) -> dict[str, Any]:
    """Newest first."""
    columns = webhook_deliveries.c
    indexed = {columns.task_id: task, columns.endpoint_id: endpoint, columns.owner: owner}
    served = [column == value for column, value in indexed.items() if value]
    sifted = [columns.state == state] if state else []
    query = sa.select(webhook_deliveries)
    async with at.panel.database.read() as connection:
        found = await find_page(connection, query, page, by=columns.id, served=served, sifted=sifted)
    return found.as_answer([delivery_object(Delivery(**row._mapping)) for row in found.rows])


@router.get("/deliveries/{delivery_id}", summary="A delivery with its attempts")
async def get_delivery(delivery_id: str, at: AdminRequest) -> dict[str, Any]:
    return await _delivery_detail(at.panel, delivery_id)


@router.post("/deliveries/{delivery_id}/resend", summary="Deliver it again")
async def resend_delivery(delivery_id: str, at: AdminRequest) -> dict[str, Any]:
    """With the same webhook-id and body, from the beginning of the schedule."""
    before = await at.panel.deliveries.get(delivery_id)
    await at.panel.deliveries.resend(delivery_id, now=time.time())
    told = {"state": before.state, "attempts": before.attempts}
    await at.record_change("webhook_delivery.resent", f"webhook_deliveries/{delivery_id}", before=told)
    return await _delivery_detail(at.panel, delivery_id)


async def make_endpoint(at: AdminRequest, wish: NewEndpointBody, *, owner: str) -> dict[str, Any]:
    """An endpoint with its secret, which nobody can read again."""
    made, secret = await at.panel.gateway.endpoints.create(
        owner, name=wish.name, url=wish.url, event_types=wish.event_types
    )
    target = f"webhook_endpoints/{made.id}"
    await at.record_change("webhook_endpoint.added", target, after=endpoint_object(made))
    return endpoint_object(made) | {"secret": secret}


async def deliveries_of(panel: PanelServices, task_id: str) -> Sequence[dict[str, Any]]:
    """What was, or will be, told of one task."""
    query = sa.select(webhook_deliveries).where(webhook_deliveries.c.task_id == task_id)
    async with panel.database.read() as connection:
        rows = (await connection.execute(query.order_by(webhook_deliveries.c.id))).all()
    return [delivery_object(Delivery(**row._mapping)) for row in rows]


def endpoint_object(found: WebhookEndpoint) -> dict[str, Any]:
    return {
        "id": found.id,
        "owner": found.owner,
        "name": found.name,
        "url": mask_secrets(found.url),
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
        "url": mask_secrets(found.url),
        "event": found.event,
        "state": found.state,
        "attempts": found.attempts,
        "next_at": found.next_at if found.state == "pending" else None,
        "created_at": found.created_at,
        "delivered_at": found.delivered_at,
    }


async def _delivery_detail(panel: PanelServices, delivery_id: str) -> dict[str, Any]:
    found = await panel.deliveries.get(delivery_id)
    attempts = await panel.deliveries.list_attempts(delivery_id)
    told = [
        {"at": each.at, "status": each.status, "error": each.error, "milliseconds": each.milliseconds}
        for each in attempts
    ]
    return delivery_object(found) | {"body": mask_secrets(found.body), "attempt_log": told}


async def _find_endpoint(panel: PanelServices, endpoint_id: str) -> WebhookEndpoint:
    query = sa.select(webhook_endpoints.c.owner).where(webhook_endpoints.c.id == endpoint_id)
    async with panel.database.read() as connection:
        owner = (await connection.execute(query)).scalar()
    if owner is None:
        raise NotFound(f"No such webhook endpoint: {endpoint_id[:100]}")
    return await panel.gateway.endpoints.get(endpoint_id, owner=owner)
