"""OpenAI's management of webhook endpoints: `/v1/webhook_endpoints` and `/v1/webhook_event_types`."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from app.dialects.http.callers import CallerKey, Services
from app.dialects.openapi.operations import operation_schema
from app.errors import InvalidRequest
from app.webhooks.endpoints import WebhookEndpoint
from app.webhooks.event_bodies import EVENT_TYPES

router = APIRouter(prefix="/v1", tags=["Webhooks"])
DEFAULT_LIMIT = 20


@router.post(
    "/webhook_endpoints",
    summary="Create a webhook endpoint",
    openapi_extra=operation_schema(body="CreateWebhookEndpoint", answer="WebhookEndpointWithSecret"),
)
async def create_endpoint(request: Request, key: CallerKey, services: Services) -> Response:
    """The answer contains the signing secret, which is not shown again."""
    body = await services.read_body(request)
    created, secret = await services.endpoints.create(
        key.owner,
        name=body.required_text("name"),
        url=body.required_text("url"),
        event_types=body.texts("event_types"),
    )
    return JSONResponse(_endpoint_object(created) | {"signing_secret": secret})


@router.get(
    "/webhook_endpoints",
    summary="List webhook endpoints",
    openapi_extra=operation_schema(answer="WebhookEndpointList", query=("after", "limit")),
)
async def list_endpoints(request: Request, key: CallerKey, services: Services) -> Response:
    """Newest first."""
    query = services.read_query(request)
    limit = query.integer("limit", low=1, high=100) or DEFAULT_LIMIT
    found, more = await services.endpoints.page(key.owner, after=query.text("after") or None, limit=limit)
    data = [_endpoint_object(endpoint) for endpoint in found]
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return JSONResponse(
        {"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": more}
    )


@router.get(
    "/webhook_endpoints/hook_secret",
    summary="Get the secret that signs the webhooks of single tasks",
    openapi_extra=operation_schema(answer="HookSecret"),
)
async def get_hook_secret(key: CallerKey, services: Services) -> Response:
    """Webhooks of single tasks (`notify_hook`) of this key are signed with it."""
    secret = services.endpoints.hook_secret(key.owner)
    return JSONResponse({"object": "webhook_hook_secret", "signing_secret": secret})


@router.get(
    "/webhook_endpoints/{name}",
    summary="Get a webhook endpoint",
    openapi_extra=operation_schema(answer="WebhookEndpoint"),
)
async def get_endpoint(name: str, key: CallerKey, services: Services) -> Response:
    return JSONResponse(_endpoint_object(await services.endpoints.get(name, owner=key.owner)))


@router.post(
    "/webhook_endpoints/{name}",
    summary="Change a webhook endpoint",
    openapi_extra=operation_schema(body="UpdateWebhookEndpoint", answer="WebhookEndpoint"),
)
async def update_endpoint(name: str, *, request: Request, key: CallerKey, services: Services) -> Response:
    """Changes the given fields. A disabled endpoint is enabled again."""
    body = await services.read_body(request)
    changed = await services.endpoints.update(
        name,
        owner=key.owner,
        name=body.text("name"),
        url=body.text("url"),
        event_types=body.texts("event_types") if "event_types" in body else None,
    )
    return JSONResponse(_endpoint_object(changed))


@router.delete(
    "/webhook_endpoints/{name}",
    summary="Delete a webhook endpoint",
    openapi_extra=operation_schema(answer="WebhookEndpointDeleted"),
)
async def delete_endpoint(name: str, key: CallerKey, services: Services) -> Response:
    """Deliveries that are still waiting are dropped."""
    await services.endpoints.delete(name, owner=key.owner)
    return JSONResponse({"id": name, "object": "webhook_endpoint.deleted", "deleted": True})


@router.post(
    "/webhook_endpoints/{name}/rotate_secret",
    summary="Rotate a webhook endpoint's secret",
    openapi_extra=operation_schema(body="RotateWebhookSecret", answer="WebhookEndpointWithSecret"),
)
async def rotate_secret(name: str, *, request: Request, key: CallerKey, services: Services) -> Response:
    """With `keep_old_secret_active_for_24_hours`, deliveries are signed with both secrets for 24 hours."""
    body = await services.read_body(request)
    keep_old = body.boolean("keep_old_secret_active_for_24_hours") or False
    changed, secret = await services.endpoints.rotate_secret(name, owner=key.owner, keep_old=keep_old)
    return JSONResponse(_endpoint_object(changed) | {"signing_secret": secret})


@router.post(
    "/webhook_endpoints/{name}/test",
    summary="Send a test event",
    openapi_extra=operation_schema(body="TestWebhookEndpoint", answer="WebhookEndpointTest"),
)
async def test_endpoint(name: str, *, request: Request, key: CallerKey, services: Services) -> Response:
    """Sends a sample event at once. Answers 400 if the endpoint cannot be reached."""
    body = await services.read_body(request)
    event = body.required_text("event_type")
    outcome = await services.endpoints.send_sample(name, owner=key.owner, event=event)
    if outcome.status is None:
        raise InvalidRequest(outcome.error or "The address could not be reached.")
    return JSONResponse(
        {
            "object": "webhook_endpoint.test",
            "event_type": event,
            "status_code": outcome.status,
            "success": True,
            "webhook_endpoint_id": name,
        }
    )


@router.get(
    "/webhook_event_types",
    summary="List the events that endpoints can subscribe to",
    openapi_extra=operation_schema(answer="WebhookEventTypes"),
)
async def list_event_types(_: CallerKey) -> Response:
    return JSONResponse({"object": "list", "data": list(EVENT_TYPES)})


def _endpoint_object(endpoint: WebhookEndpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "object": "webhook_endpoint",
        "name": endpoint.name,
        "url": endpoint.url,
        "event_types": list(endpoint.event_types),
        "created_at": int(endpoint.created_at),
        "updated_at": int(endpoint.updated_at),
        "signing_secret_hint": endpoint.hint,
        "enabled": endpoint.enabled,
        "disabled_reason": endpoint.disabled_reason,
    }
