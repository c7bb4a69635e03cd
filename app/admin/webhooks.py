"""`/admin/api/webhooks`: the webhook endpoints of all owners, and the log of deliveries."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Query, Response

from app.admin.access import AdminRequest, AdminRoute
from app.admin.bodies import ListAnswer, Name, PanelAnswer, PanelBody
from app.admin.lists import find_page
from app.admin.masking import mask_secrets
from app.admin.panel import PanelServices
from app.admin.queries import FilterText, PageQuery
from app.admin.rights import Right
from app.admin.target_names import owner_names
from app.db.tables import webhook_deliveries, webhook_endpoints
from app.errors import MissingField, NotFound
from app.webhooks.deliveries import Delivery
from app.webhooks.endpoint_health import CERTAIN_CALLS, WITH_FAILURES, WORST_FIRST
from app.webhooks.endpoints import WebhookEndpoint
from app.webhooks.event_bodies import EVENT_TYPES

router = APIRouter(route_class=AdminRoute, prefix="/webhooks")


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


class FailureObject(PanelAnswer):
    """``calls`` in a row have failed since ``since`` (UTC seconds); ``status`` and ``error`` are those of the last one.
    ``certain``: they are more than a receiver that starts again explains."""

    since: float
    calls: int
    status: int | None
    error: str | None
    certain: bool


class EndpointObject(PanelAnswer):
    """An endpoint without its secret; ``secret_hint`` shows the secret's end. ``owner_name`` is that of its key or project,
    null when the key is gone; ``failing`` is null while its calls arrive."""

    id: str
    owner: str
    owner_name: str | None
    name: str
    url: str
    event_types: list[str]
    enabled: bool
    disabled_reason: str | None
    failing: FailureObject | None
    created_at: float
    updated_at: float
    secret_hint: str


class EndpointList(ListAnswer[EndpointObject]):
    """``total`` endpoints match, of which ``data`` are a page."""

    total: int


class EndpointWithSecret(EndpointObject):
    """Returned once, when the secret is created."""

    secret: str


class SampleResult(PanelAnswer):
    status: int | None
    error: str | None
    milliseconds: float


class DeliveryObject(PanelAnswer):
    """One message to one receiver. ``next_at`` is set while the delivery is pending."""

    id: str
    endpoint_id: str | None
    task_id: str | None
    owner: str
    owner_name: str | None
    receiver: str
    url: str
    event: str
    state: str
    attempts: int
    next_at: float | None
    created_at: float
    delivered_at: float | None


class AttemptObject(PanelAnswer):
    at: float
    status: int | None
    error: str | None
    milliseconds: float


class DeliveryDetail(DeliveryObject):
    """With the body that is sent, and every attempt so far."""

    body: str | None
    attempt_log: list[AttemptObject]


@router.get("/endpoints", summary="List webhook endpoints")
async def list_endpoints(
    request: AdminRequest,
    *,
    owner: FilterText = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    after: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> EndpointList:
    """The endpoints of all owners: those with the most failed calls first, then the newest; a page of `limit` from the row
    `after`."""
    columns = webhook_endpoints.c
    mine = [columns.owner == owner] if owner else []
    order = WORST_FIRST, columns.id.desc()
    query = WITH_FAILURES.with_only_columns(columns.id, columns.owner, maintain_column_froms=True)
    query = query.where(*mine).order_by(*order).limit(limit).offset(after)
    async with request.panel.database.read() as connection:
        rows = (await connection.execute(query)).all()
        total = await connection.execute(
            sa.select(sa.func.count()).select_from(webhook_endpoints).where(*mine)
        )
    endpoints = [await request.panel.gateway.endpoints.get(row.id, owner=row.owner) for row in rows]
    count, end = total.scalar_one(), after + len(rows)
    data = await endpoint_objects(request.panel, endpoints)
    return EndpointList(data=data, total=count, next=str(end) if end < count else None)


@router.post("/endpoints", status_code=201, summary="Add a webhook endpoint")
async def add_endpoint(body: NewEndpointBody, request: AdminRequest) -> EndpointWithSecret:
    """`owner` is a key's owner, such as `key:abcd1234`. The secret is returned only here."""
    if body.owner is None:
        raise MissingField("owner")
    return await create_endpoint(request, body, owner=body.owner)


@router.patch("/endpoints/{endpoint_id}", summary="Change a webhook endpoint")
async def change_endpoint(
    endpoint_id: str, body: EndpointChangeBody, request: AdminRequest
) -> EndpointObject:
    """Any change enables an endpoint that was disabled."""
    before = await _find_endpoint(request.panel, endpoint_id)
    after = await request.panel.gateway.endpoints.update(
        endpoint_id, owner=before.owner, name=body.name, url=body.url, event_types=body.event_types
    )
    await request.record_change(
        "webhook_endpoint.updated",
        _endpoint_target(endpoint_id),
        before=endpoint_object(before).model_dump(),
        after=endpoint_object(after).model_dump(),
    )
    return endpoint_object(after)


@router.post("/endpoints/{endpoint_id}/disable", summary="Disable a webhook endpoint")
async def disable_endpoint(endpoint_id: str, request: AdminRequest) -> EndpointObject:
    """Nothing more is sent to it."""
    before = await _find_endpoint(request.panel, endpoint_id)
    await request.panel.gateway.endpoints.disable(endpoint_id, reason="by the operator")
    after = await request.panel.gateway.endpoints.get(endpoint_id, owner=before.owner)
    sides = [{"enabled": each.enabled, "reason": each.disabled_reason} for each in (before, after)]
    target = _endpoint_target(endpoint_id)
    await request.record_change("webhook_endpoint.disabled", target, before=sides[0], after=sides[1])
    return endpoint_object(after)


@router.post("/endpoints/{endpoint_id}/rotate", summary="Rotate the secret of a webhook endpoint")
async def rotate_endpoint(
    endpoint_id: str, request: AdminRequest, *, body: RotationBody | None = None
) -> EndpointWithSecret:
    """The new secret is returned only here. With `keep_old` messages carry both signatures for a day."""
    before = await _find_endpoint(request.panel, endpoint_id)
    keep_old = (body or RotationBody()).keep_old
    after, secret = await request.panel.gateway.endpoints.rotate_secret(
        endpoint_id, owner=before.owner, keep_old=keep_old
    )
    await request.record_change(
        "webhook_endpoint.secret_rotated",
        _endpoint_target(endpoint_id),
        before={"secret_hint": before.hint},
        after={"secret_hint": after.hint, "kept": keep_old},
    )
    return _with_secret(after, secret)


@router.post("/endpoints/{endpoint_id}/test", summary="Send a sample to a webhook endpoint")
async def test_endpoint(
    endpoint_id: str, request: AdminRequest, *, body: SampleBody | None = None
) -> SampleResult:
    endpoint = await _find_endpoint(request.panel, endpoint_id)
    event = (body or SampleBody()).event_type
    began = time.monotonic()
    outcome = await request.panel.gateway.endpoints.send_sample(
        endpoint_id, owner=endpoint.owner, event=event
    )
    milliseconds = round((time.monotonic() - began) * 1000, 1)
    return SampleResult(status=outcome.status, error=outcome.error, milliseconds=milliseconds)


@router.delete("/endpoints/{endpoint_id}", status_code=204, summary="Remove a webhook endpoint")
async def remove_endpoint(endpoint_id: str, request: AdminRequest) -> Response:
    before = await _find_endpoint(request.panel, endpoint_id)
    await request.panel.gateway.endpoints.delete(endpoint_id, owner=before.owner)
    await request.record_change(
        "webhook_endpoint.removed",
        _endpoint_target(endpoint_id),
        before=endpoint_object(before).model_dump(),
    )
    return Response(status_code=204)


@router.get("/deliveries", summary="List webhook deliveries")
async def list_deliveries(
    page: PageQuery,
    request: AdminRequest,
    *,
    state: FilterText = None,
    owner: FilterText = None,
    endpoint: FilterText = None,
    task: FilterText = None,
) -> ListAnswer[DeliveryObject]:
    """Newest first."""
    columns = webhook_deliveries.c
    indexed = {columns.task_id: task, columns.endpoint_id: endpoint, columns.owner: owner}
    served = [column == value for column, value in indexed.items() if value]
    sifted = [columns.state == state] if state else []
    query = sa.select(webhook_deliveries)
    async with request.panel.database.read() as connection:
        result = await find_page(connection, query, page, by=columns.id, served=served, sifted=sifted)
    rows = await _delivery_objects(request.panel, [Delivery(**row._mapping) for row in result.rows])
    return ListAnswer(data=rows, next=result.next)


@router.get("/deliveries/{delivery_id}", summary="Show a delivery with its attempts")
async def get_delivery(delivery_id: str, request: AdminRequest) -> DeliveryDetail:
    """Who may not see contents does not see the body, which may hold the prompt and the links to a private film."""
    detail = await _delivery_detail(request.panel, delivery_id)
    return detail if request.actor.may(Right.CONTENT) else detail.model_copy(update={"body": None})


@router.post("/deliveries/{delivery_id}/resend", summary="Send a delivery again")
async def resend_delivery(delivery_id: str, request: AdminRequest) -> DeliveryDetail:
    """With the same webhook-id and body, and a new series of attempts."""
    before = await request.panel.deliveries.get(delivery_id)
    await request.panel.deliveries.resend(delivery_id, now=time.time())
    await request.record_change(
        "webhook_delivery.resent",
        f"webhook_deliveries/{delivery_id}",
        before={"state": before.state, "attempts": before.attempts},
    )
    return await _delivery_detail(request.panel, delivery_id)


async def create_endpoint(request: AdminRequest, body: NewEndpointBody, *, owner: str) -> EndpointWithSecret:
    """An endpoint with its secret, which cannot be read again."""
    created, secret = await request.panel.gateway.endpoints.create(
        owner, name=body.name, url=body.url, event_types=body.event_types
    )
    await request.record_change(
        "webhook_endpoint.added",
        _endpoint_target(created.id),
        after=endpoint_object(created).model_dump(),
    )
    return _with_secret(created, secret)


async def deliveries_of_task(panel: PanelServices, task_id: str) -> list[DeliveryObject]:
    """The deliveries about one task, sent and pending, oldest first."""
    query = sa.select(webhook_deliveries).where(webhook_deliveries.c.task_id == task_id)
    async with panel.database.read() as connection:
        rows = (await connection.execute(query.order_by(webhook_deliveries.c.id))).all()
    return await _delivery_objects(panel, [Delivery(**row._mapping) for row in rows])


async def endpoint_objects(
    panel: PanelServices, endpoints: Sequence[WebhookEndpoint]
) -> list[EndpointObject]:
    names = await owner_names(panel.database, (endpoint.owner for endpoint in endpoints))
    return [endpoint_object(endpoint, names.get(endpoint.owner)) for endpoint in endpoints]


def endpoint_object(endpoint: WebhookEndpoint, owner_name: str | None = None) -> EndpointObject:
    failing = endpoint.failing
    return EndpointObject(
        id=endpoint.id,
        owner=endpoint.owner,
        owner_name=owner_name,
        name=endpoint.name,
        url=mask_secrets(endpoint.url),
        event_types=list(endpoint.event_types),
        enabled=endpoint.enabled,
        disabled_reason=endpoint.disabled_reason,
        failing=FailureObject(**asdict(failing), certain=failing.calls >= CERTAIN_CALLS) if failing else None,
        created_at=endpoint.created_at,
        updated_at=endpoint.updated_at,
        secret_hint=endpoint.hint,
    )


def _with_secret(endpoint: WebhookEndpoint, secret: str) -> EndpointWithSecret:
    return EndpointWithSecret(**endpoint_object(endpoint).model_dump(), secret=secret)


async def _delivery_objects(panel: PanelServices, deliveries: Sequence[Delivery]) -> list[DeliveryObject]:
    names = await owner_names(panel.database, (delivery.owner for delivery in deliveries))
    return [_delivery_object(delivery, names.get(delivery.owner)) for delivery in deliveries]


def _delivery_object(delivery: Delivery, owner_name: str | None) -> DeliveryObject:
    return DeliveryObject(
        id=delivery.id,
        endpoint_id=delivery.endpoint_id,
        task_id=delivery.task_id,
        owner=delivery.owner,
        owner_name=owner_name,
        receiver=delivery.receiver,
        url=mask_secrets(delivery.url),
        event=delivery.event,
        state=delivery.state,
        attempts=delivery.attempts,
        next_at=delivery.next_at if delivery.state == "pending" else None,
        created_at=delivery.created_at,
        delivered_at=delivery.delivered_at,
    )


async def _delivery_detail(panel: PanelServices, delivery_id: str) -> DeliveryDetail:
    delivery = await panel.deliveries.get(delivery_id)
    attempts = await panel.deliveries.list_attempts(delivery_id)
    [shown] = await _delivery_objects(panel, [delivery])
    return DeliveryDetail(
        **shown.model_dump(),
        body=mask_secrets(delivery.body),
        attempt_log=[AttemptObject(**asdict(attempt)) for attempt in attempts],
    )


async def _find_endpoint(panel: PanelServices, endpoint_id: str) -> WebhookEndpoint:
    """Raises ``NotFound``."""
    query = sa.select(webhook_endpoints.c.owner).where(webhook_endpoints.c.id == endpoint_id)
    async with panel.database.read() as connection:
        owner = (await connection.execute(query)).scalar()
    if owner is None:
        raise NotFound(f"No such webhook endpoint: {endpoint_id[:100]}")
    return await panel.gateway.endpoints.get(endpoint_id, owner=owner)


def _endpoint_target(endpoint_id: str) -> str:
    return f"webhook_endpoints/{endpoint_id}"
