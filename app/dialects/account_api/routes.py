"""Tasks of every dialect, models and files: `/v1/tasks`, `/v1/models` and the signed links under `/files`."""

import time
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from app.catalog.catalog import ModelCard
from app.dialects.account_api import characters, own_key, usage, webhook_endpoints
from app.dialects.account_api.answer import task_object
from app.dialects.base import DialectRoutes
from app.dialects.http.callers import CallerKey, Services
from app.dialects.http.film_files import serve_file
from app.dialects.http.gateway import Gateway, authenticate_key
from app.dialects.openapi.operations import download_schema, operation_schema
from app.errors import InvalidRequest, ModelNotFound, NotFound
from app.keys.service import key_in_headers
from app.media.serve import file_response
from app.tasks.input_links import linked_input
from app.tasks.states import State
from app.tasks.task import Task

task_router = APIRouter(prefix="/v1/tasks", tags=["Tasks"])
model_router = APIRouter(prefix="/v1/models", tags=["Models"])
file_router = APIRouter(tags=["Files"])
STATES_BY_WORD: dict[str, tuple[State, ...]] = {
    "processing": ("queued", "submitting", "running", "storing"),
    "completed": ("completed",),
    "failed": ("failed", "cancelled"),
}


@task_router.get(
    "",
    summary="List tasks",
    openapi_extra=operation_schema(answer="TaskList", query=("status", "after", "limit")),
)
async def list_tasks(request: Request, key: CallerKey, services: Services) -> Response:
    """The key's tasks, newest first. `status` filters, `after` and `limit` page."""
    query = services.read_query(request)
    status = query.text("status")
    if status and status not in STATES_BY_WORD:
        raise InvalidRequest(f"status must be one of {', '.join(STATES_BY_WORD)}", param="status")
    found, more = await services.tasks.page(
        key,
        after=query.text("after") or None,
        limit=query.integer("limit", low=1, high=100) or 20,
        states=STATES_BY_WORD[status] if status else (),
    )
    data = [task_object(task, services.file_links(request, task)) for task in found]
    return JSONResponse({"object": "list", "data": data, "has_more": more})


@task_router.get("/{name}", summary="Get a task", openapi_extra=operation_schema(answer="Task"))
async def get_task(name: str, *, request: Request, key: CallerKey, services: Services) -> Response:
    """A task that waits for an account also has `queue_position` and `estimated_wait_seconds`. The estimate is null while
    no task of the model is running or has ended recently."""
    return JSONResponse(await _task_document(request, services, await services.tasks.get(name, key)))


@task_router.post("/{name}/cancel", summary="Cancel a task", openapi_extra=operation_schema(answer="Task"))
async def cancel_task(name: str, *, request: Request, key: CallerKey, services: Services) -> Response:
    """Cancels the task, at the upstream too where the vendor can. A task that has ended stays as it is."""
    task = await services.tasks.cancel(await services.tasks.get(name, key))
    return JSONResponse(await _task_document(request, services, task))


async def _task_document(request: Request, services: Services, task: Task) -> dict[str, Any]:
    return task_object(
        task, services.file_links(request, task), place=await services.tasks.queue_position(task)
    )


@model_router.get(
    "", summary="List models", openapi_extra=operation_schema(answer="ModelList", query=("capabilities",))
)
async def list_models(request: Request, key: CallerKey, services: Services) -> Response:
    """With `capabilities=true` each model says what it takes and what it costs, as `/v1/models/NAME` does for one."""
    told = services.read_query(request).boolean("capabilities")
    cards = [card for card in await services.catalog.list_models() if key.may_use(card.name)]
    data = [await _described_model(card, services) if told else _model_object(card) for card in cards]
    return JSONResponse({"object": "list", "data": data, "success": True})


@model_router.get("/{name:path}", summary="Get a model", openapi_extra=operation_schema(answer="Model"))
async def get_model(name: str, key: CallerKey, services: Services) -> Response:
    for card in await services.catalog.list_models():
        if card.name == name and key.may_use(name):
            return JSONResponse(await _described_model(card, services))
    raise ModelNotFound(f"The model {name[:200]} does not exist here.", param="model")


async def _described_model(card: ModelCard, services: Gateway) -> dict[str, Any]:
    price = await services.prices.current_price(card.name)
    capabilities = _capabilities_object(card)
    if capabilities is not None:
        capabilities["price"] = price.model_dump(mode="json", exclude_defaults=True) if price else None
    return _model_object(card) | {"capabilities": capabilities}


def _model_object(card: ModelCard) -> dict[str, Any]:
    permission = {
        "id": f"modelperm-{card.name}",
        "object": "model_permission",
        "created": card.created,
        "allow_create_engine": True,
        "allow_sampling": True,
        "allow_logprobs": True,
        "allow_search_indices": False,
        "allow_view": True,
        "allow_fine_tuning": False,
        "organization": "*",
        "group": None,
        "is_blocking": False,
    }
    return {
        "id": card.name,
        "object": "model",
        "created": card.created,
        "owned_by": "filmgate",
        "permission": [permission],
        "root": card.name,
        "parent": None,
    }


def _capabilities_object(card: ModelCard) -> dict[str, Any] | None:
    found = card.capabilities
    if found is None:
        return None
    return {
        "kind": card.kind,
        "kinds": sorted(card.kinds),
        "seconds": {"min": found.seconds[0], "max": found.seconds[1]} if found.seconds else None,
        "lengths": list(found.lengths),
        "sizes": sorted(found.sizes),
        "resolutions": list(found.tiers),
        "aspect_ratios": list(found.ratios),
        "max_pixels": found.max_pixels,
        "inputs": sorted(found.roles),
        "most_inputs": dict(found.most),
        "sound": found.sound,
        "prompt_limit": found.prompt_limit,
        "native_shots": found.native_shots,
        "remix": found.remix,
        "cancel": found.cancel,
    }


@file_router.get(
    "/files/{task_id}/{name}",
    summary="Download by signed link",
    response_class=Response,
    openapi_extra=download_schema("video/mp4", query=("expires", "signature")),
)
async def get_file(task_id: str, name: str, *, request: Request, services: Services) -> Response:
    """A file of a finished task, by its signed link. Files of a private task need the task's key instead."""
    query = request.query_params
    if "signature" not in query and key_in_headers(request.scope["headers"]):
        task = await services.tasks.get(task_id, await authenticate_key(request))
    else:
        path = f"/files/{task_id}/{name}"
        services.signer.verify(path, query.get("expires", ""), query.get("signature", ""), now=time.time())
        task = await services.tasks.by_link(task_id)
    file = task.result.find_file(name) if task.result else None
    if file is None:
        raise NotFound("No such file.")
    return await serve_file(request, services, task, file=file)


file_router.add_api_route("/files/{task_id}/{name}", get_file, methods=["HEAD"], include_in_schema=False)


@file_router.get(
    "/files/inputs/{task_id}/{name}",
    summary="Download an input by signed link",
    response_class=Response,
    openapi_extra=download_schema("image/png", "video/mp4", query=("expires", "signature")),
)
async def get_input(task_id: str, name: str, *, request: Request, services: Services) -> Response:
    """An input of a task, for the vendor that makes it: some take inputs only at an address."""
    query = request.query_params
    path = f"/files/inputs/{task_id}/{name}"
    services.signer.verify(path, query.get("expires", ""), query.get("signature", ""), now=time.time())
    item = linked_input((await services.tasks.by_link(task_id)).request, name)
    return file_response(
        services.store,
        await services.store.head(item.key),
        request_headers=request.headers,
        method=request.method,
        content_type=item.content_type,
        file_name=name,
    )


file_router.add_api_route(
    "/files/inputs/{task_id}/{name}", get_input, methods=["HEAD"], include_in_schema=False
)


ROUTES = DialectRoutes(
    routers=(
        characters.router,
        file_router,
        model_router,
        own_key.router,
        task_router,
        usage.router,
        webhook_endpoints.router,
    )
)
