"""`/v1/tasks`: any task, made in any dialect, as the feature-endpoints manual writes it."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from app.dialects.account_api.answer import task_object
from app.dialects.http.body import Body
from app.dialects.http.gateway import CallerKey, Services
from app.dialects.openapi.document import operation_schema
from app.errors import InvalidRequest
from app.tasks.states import State
from app.tasks.task import Task

router = APIRouter(prefix="/v1/tasks", tags=["Tasks"])
STATES_BY_WORD: dict[str, tuple[State, ...]] = {
    "processing": ("queued", "submitting", "running", "storing"),
    "completed": ("completed",),
    "failed": ("failed", "cancelled"),
}


@router.get(
    "",
    summary="List tasks",
    openapi_extra=operation_schema(answer="TaskList", query=("status", "after", "limit")),
)
async def list_tasks(request: Request, key: CallerKey, services: Services) -> Response:
    """The key's tasks, newest first; `status`, `after` and `limit` narrow it."""
    query = Body(dict(request.query_params), limits=services.limits)
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


@router.get("/{name}", summary="Get a task", openapi_extra=operation_schema(answer="Task"))
async def get_task(name: str, *, request: Request, key: CallerKey, services: Services) -> Response:
    """While it waits for an account also `queue_position` and `estimated_wait_seconds`, which is null while there
    is nothing to judge by."""
    return JSONResponse(await _task_document(request, services, await services.tasks.get(name, key)))


@router.post("/{name}/cancel", summary="Cancel a task", openapi_extra=operation_schema(answer="Task"))
async def cancel_task(name: str, *, request: Request, key: CallerKey, services: Services) -> Response:
    """Stops it, upstream too where the vendor can; what has ended stays as it is."""
    task = await services.tasks.cancel(await services.tasks.get(name, key))
    return JSONResponse(await _task_document(request, services, task))


async def _task_document(request: Request, services: Services, task: Task) -> dict[str, Any]:
    return task_object(
        task, services.file_links(request, task), place=await services.tasks.queue_position(task)
    )
