"""The platform manual's unified tasks: `/v2/{videos|images|audio}/generations`."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from app.dialects.base import DialectRoutes
from app.dialects.fields.options import film_context
from app.dialects.http.callers import CallerKey, Services
from app.dialects.openapi.operations import operation_schema
from app.dialects.unified.answer import UnifiedDialect, unified_id, unified_object
from app.dialects.unified.request import read_create
from app.errors import NotFound
from app.generation import MediaKind

router = APIRouter(prefix="/v2", tags=["Unified tasks"])
SCOPES: dict[str, MediaKind] = {"videos": "video", "images": "image", "audio": "audio"}


@router.post(
    "/{scope}/generations",
    summary="Create a task",
    openapi_extra=operation_schema(body="CreateUnified", answer="UnifiedCreated"),
)
async def create(scope: str, request: Request, *, key: CallerKey, services: Services) -> Response:
    """`scope` is videos, images or audio. With `images` it is image to video, with `videos` video to video."""
    kind = _kind_of_scope(scope)
    body = await services.read_body(request)
    context = film_context(request, UnifiedDialect.name, body)
    task = await services.tasks.create(
        await read_create(body, services, key, kind=kind), key=key, context=context
    )
    return JSONResponse({"task_id": unified_id(task.id)})


@router.get(
    "/{scope}/generations/{name}", summary="Get a task", openapi_extra=operation_schema(answer="UnifiedTask")
)
async def get(scope: str, name: str, request: Request, *, key: CallerKey, services: Services) -> Response:
    """Any task of the key, whichever API created it."""
    _kind_of_scope(scope)
    task = await services.tasks.get(name, key)
    return JSONResponse(unified_object(task, services.file_links(request, task)))


def _kind_of_scope(scope: str) -> MediaKind:
    if scope not in SCOPES:
        raise NotFound(f"There is no scope {scope[:100]}; there are {', '.join(SCOPES)}")
    return SCOPES[scope]


ROUTES = DialectRoutes(routers=(router,))
