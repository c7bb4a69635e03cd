"""Volcengine Ark's content generation API: `/api/v3/contents/generations/tasks`."""

import time

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from app.dialects.ark.answer import ArkDialect, ark_id, ark_object
from app.dialects.ark.request import read_request
from app.dialects.base import DialectRoutes
from app.dialects.fields.options import film_context
from app.dialects.http.callers import CallerKey, Services
from app.dialects.openapi.operations import operation_schema
from app.errors import InvalidRequest
from app.tasks.repository import TaskFilter
from app.tasks.states import State

router = APIRouter(prefix="/api/v3/contents/generations/tasks", tags=["Ark"])
STATES_BY_WORD: dict[str, tuple[State, ...]] = {
    "queued": ("queued", "submitting"),
    "running": ("running", "storing"),
    "succeeded": ("completed",),
    "failed": ("failed",),
    "cancelled": ("cancelled",),
}
LISTED_SECONDS = 7 * 86_400
"""Ark lists the last seven days. The bound also keeps the count of all tasks cheap."""
LARGEST_PAGE = 500


@router.post(
    "", summary="Create a task", openapi_extra=operation_schema(body="ArkCreate", answer="ArkCreated")
)
async def create_task(request: Request, key: CallerKey, services: Services) -> Response:
    """`content` holds the text, and pictures, clips and sounds with their roles."""
    body = await services.read_body(request)
    context = film_context(request, ArkDialect.name, body)
    task = await services.tasks.create(await read_request(body, services, key), key=key, context=context)
    return JSONResponse({"id": ark_id(task.id)})


@router.get(
    "",
    summary="List tasks",
    openapi_extra=operation_schema(
        answer="ArkTasks",
        query=("page_num", "page_size", "filter.status", "filter.model", "filter.task_ids"),
    ),
)
async def list_tasks(request: Request, key: CallerKey, services: Services) -> Response:
    """Videos of the last seven days, newest first."""
    query = services.read_query(request)
    names = request.query_params.getlist("filter.task_ids")
    task_filter = TaskFilter(
        kind="video",
        states=_states_of_word(query.text("filter.status")),
        model=query.text("filter.model") or None,
        ids=[one for name in names[:LARGEST_PAGE] if (one := services.tasks.parse_id(name))]
        if names
        else None,
        since=time.time() - LISTED_SECONDS,
    )
    number = query.integer("page_num", low=1, high=LARGEST_PAGE) or 1
    size = query.integer("page_size", low=1, high=LARGEST_PAGE) or 10
    tasks, total = await services.tasks.numbered_page(key, number=number, size=size, chosen=task_filter)
    items = [ark_object(task, services.file_links(request, task)) for task in tasks]
    return JSONResponse({"total": total, "items": items})


@router.get("/{name}", summary="Get a task", openapi_extra=operation_schema(answer="ArkTask"))
async def get_task(name: str, *, request: Request, key: CallerKey, services: Services) -> Response:
    """Any task of the key, whichever API created it."""
    task = await services.tasks.get(name, key)
    return JSONResponse(ark_object(task, services.file_links(request, task)))


@router.delete(
    "/{name}", summary="Cancel or delete a task", openapi_extra=operation_schema(answer="ArkDeleted")
)
async def delete_task(name: str, key: CallerKey, services: Services) -> Response:
    """Cancels a task that has not ended; deletes one that has."""
    task = await services.tasks.get(name, key)
    if task.has_ended:
        await services.tasks.delete(task)
    else:
        await services.tasks.cancel(task)
    return JSONResponse({})


def _states_of_word(word: str | None) -> tuple[State, ...]:
    if word and word not in STATES_BY_WORD:
        raise InvalidRequest(
            f"filter.status must be one of {', '.join(STATES_BY_WORD)}", param="filter.status"
        )
    return STATES_BY_WORD[word] if word else ()


ROUTES = DialectRoutes(routers=(router,))
