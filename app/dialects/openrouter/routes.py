"""OpenRouter's video API and its list of models: `/api/v1`. Its SDKs expect status 202, errors as text and no nulls."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from app.dialects.base import DialectRoutes
from app.dialects.fields.options import film_context
from app.dialects.http.callers import CallerKey, Services
from app.dialects.http.film_files import serve_file
from app.dialects.http.gateway import Gateway
from app.dialects.openapi.operations import download_schema, operation_schema
from app.dialects.openrouter.answer import PATH, OpenRouterDialect, model_object, openrouter_object
from app.dialects.openrouter.models import listed_model, models_document
from app.dialects.openrouter.request import read_create
from app.errors import NotFound
from app.tasks.task import Task

router = APIRouter(prefix=PATH, tags=["OpenRouter"])
model_router = APIRouter(prefix="/api/v1/models", tags=["OpenRouter"])


@router.post(
    "",
    status_code=202,
    summary="Create a video",
    openapi_extra=operation_schema(body="OpenRouterCreate", answer="OpenRouterVideo", status=202),
)
async def create_video(request: Request, key: CallerKey, services: Services) -> Response:
    """Answers at once with the address to poll."""
    body = await services.read_body(request)
    context = film_context(request, OpenRouterDialect.name, body)
    task = await services.tasks.create(await read_create(body, services, key), key=key, context=context)
    return JSONResponse(_video_object(request, services, task), 202)


@router.get("/models", summary="List video models", openapi_extra=operation_schema(answer="OpenRouterModels"))
async def list_models(key: CallerKey, services: Services) -> Response:
    """Every video model of the key with its capabilities and its price."""
    cards = await services.catalog.list_models()
    mine = [card for card in cards if card.kind == "video" and key.may_use(card.name)]
    data = [model_object(card, await services.prices.current_price(card.name)) for card in mine]
    return JSONResponse({"data": data})


@router.get("/{name}", summary="Get a video", openapi_extra=operation_schema(answer="OpenRouterVideo"))
async def get_video(name: str, *, request: Request, key: CallerKey, services: Services) -> Response:
    """Any task of the key, whichever API created it."""
    return JSONResponse(_video_object(request, services, await services.tasks.get(name, key)))


@router.get(
    "/{name}/content",
    summary="Download a video",
    response_class=Response,
    openapi_extra=download_schema("video/mp4", query=("index",)),
)
async def get_content(name: str, *, request: Request, key: CallerKey, services: Services) -> Response:
    """File number `index` of the task; the default is 0."""
    task = await services.tasks.get(name, key)
    query = services.read_query(request)
    index = query.integer("index", low=0) or 0
    if task.result is None:
        raise NotFound("This video is not completed, so it has no content.")
    if index >= len(task.result.files):
        raise NotFound(f"This video has no file number {index}.")
    return await serve_file(request, services, task, file=task.result.files[index])


router.add_api_route("/{name}/content", get_content, methods=["HEAD"], include_in_schema=False)


@model_router.get("", summary="List models", openapi_extra=operation_schema(answer="OpenRouterModelList"))
async def list_all_models(key: CallerKey, services: Services) -> Response:
    """Every model of the key, whatever it makes."""
    cards = [card for card in await services.catalog.list_models() if key.may_use(card.name)]
    models = [listed_model(card, await services.prices.current_price(card.name)) for card in cards]
    return JSONResponse(models_document(models))


@model_router.get(
    "/count", summary="Count models", openapi_extra=operation_schema(answer="OpenRouterModelCount")
)
async def count_models(key: CallerKey, services: Services) -> Response:
    cards = await services.catalog.list_models()
    return JSONResponse({"data": {"count": sum(key.may_use(card.name) for card in cards)}})


def _video_object(request: Request, services: Gateway, task: Task) -> dict[str, Any]:
    links = services.file_links(request, task)
    return openrouter_object(task, links, base=services.base_url(request))


ROUTES = DialectRoutes(routers=(router, model_router))
