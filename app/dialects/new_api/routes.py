"""new-api's video route: `/v1/video/generations`."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from app.dialects.base import DialectRoutes
from app.dialects.fields.options import film_context
from app.dialects.http.callers import CallerKey, Services
from app.dialects.new_api.answer import NewApiDialect, new_api_object, submitted_object
from app.dialects.new_api.request import merge_metadata, read_create
from app.dialects.openapi.operations import operation_schema

router = APIRouter(prefix="/v1/video/generations", tags=["new-api"])


@router.post(
    "",
    summary="Create a video",
    openapi_extra=operation_schema(body="NewApiCreate", answer="NewApiSubmitted"),
)
async def create_video(request: Request, key: CallerKey, services: Services) -> Response:
    """Answers at once with a `task_id`; `metadata` may hold any of the other fields."""
    body = merge_metadata(await services.read_body(request))
    context = film_context(request, NewApiDialect.name, body)
    task = await services.tasks.create(await read_create(body, services, key), key=key, context=context)
    return JSONResponse(submitted_object(task))


@router.get("/{name}", summary="Get a video", openapi_extra=operation_schema(answer="NewApiTask"))
async def get_video(name: str, *, request: Request, key: CallerKey, services: Services) -> Response:
    """Any task of the key, whichever API created it."""
    task = await services.tasks.get(name, key)
    return JSONResponse(new_api_object(task, services.file_links(request, task)))


ROUTES = DialectRoutes(routers=(router,))
