"""The feature-endpoints manual: one route for each kind of generation, answered in chat form."""

from collections.abc import Awaitable, Callable, Collection

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from app.dialects.account_api.answer import cameo_object, task_object
from app.dialects.base import DialectRoutes
from app.dialects.features.answer import FeaturesDialect
from app.dialects.features.request import (
    FEATURES,
    KNOWN_FIELDS,
    WITH_CHARACTER,
    FeatureEndpoint,
    prompt_request_for,
)
from app.dialects.fields.options import film_context
from app.dialects.http.body import Body
from app.dialects.http.callers import CallerKey, Services
from app.dialects.http.gateway import Gateway
from app.dialects.openapi.operations import operation_schema
from app.dialects.prompt.character_request import create_character
from app.dialects.prompt.chat_answer import ChatOptions, answer_as_chat, answer_character, read_chat_options
from app.dialects.prompt.chat_stream import character_lines
from app.dialects.prompt.prompt_request import build_request
from app.errors import InvalidRequest, MissingField
from app.generation import MediaInput
from app.keys.key import ClientKey
from app.tasks.characters import Character
from app.tasks.task import Task

router = APIRouter(prefix="/v1", tags=["Feature endpoints"])
character_router = APIRouter(prefix="/v1", tags=["Characters"])


def _make_route(feature: FeatureEndpoint) -> Callable[..., Awaitable[Response]]:
    async def serve_feature(request: Request, key: CallerKey, services: Services) -> Response:
        body = await services.read_body(request)
        return await create_feature(request, services, key, body=body, feature=feature)

    return serve_feature


for each in FEATURES:
    router.add_api_route(
        each.path,
        _make_route(each),
        methods=["POST"],
        summary=each.summary,
        name=each.path.strip("/").replace("/", "_"),
        description="Answers when the task has ended; as a stream with `stream`; at once with `async_mode`.",
        openapi_extra=operation_schema(body=each.body, answer="ChatOrTask", streams=True),
    )


async def create_feature(
    request: Request,
    services: Gateway,
    key: ClientKey,
    *,
    body: Body,
    feature: FeatureEndpoint,
    cast: tuple[MediaInput, ...] = (),
    opening: tuple[str, ...] = (),
) -> Response:
    """``cast`` are characters that were just created, ``opening`` the first lines of the answer, which name them."""
    options, is_async = read_chat_options(body), body.boolean("async_mode") or False
    prompt_request = prompt_request_for(body, services, feature=feature, cast=cast)
    generation = await build_request(prompt_request, body, services, key=key)
    context = film_context(request, FeaturesDialect.name, body)
    task = await services.tasks.create(generation, key=key, context=context)
    return await _answer_feature(
        request, services, task, options=None if is_async else options, opening=opening
    )


async def _answer_feature(
    request: Request, services: Gateway, task: Task, *, options: ChatOptions | None, opening: tuple[str, ...]
) -> Response:
    if options is None:
        document = task_object(task, services.file_links(request, task))
        return JSONResponse(document, headers={"x-task-id": task.id})
    return await answer_as_chat(request, services, task, options=options, opening=opening)


@character_router.post(
    "/characters/create",
    summary="Create a character, answered in chat form",
    openapi_extra=operation_schema(body="MakeCharacter", answer="ChatCompletion", streams=True),
)
async def create_told(request: Request, key: CallerKey, services: Services) -> Response:
    body = await services.read_body(request)
    if body.boolean("async_mode"):
        raise InvalidRequest("async_mode is not offered here: the answer comes at once", param="async_mode")
    character = await _create_from_video(body, services, key, only=KNOWN_FIELDS - {"prompt"})
    document = cameo_object(character, base=services.base_url(request), signer=services.signer)
    return answer_character(character, document, options=read_chat_options(body))


@character_router.post(
    "/characters/generate",
    summary=WITH_CHARACTER.summary,
    openapi_extra=operation_schema(body="MakeVideoWithCharacter", answer="ChatOrTask", streams=True),
)
async def generate(request: Request, key: CallerKey, services: Services) -> Response:
    body = await services.read_body(request)
    prompt_request_for(
        body, services, feature=WITH_CHARACTER
    )  # refuses a bad request before a character is created
    character = await _create_from_video(body, services, key)
    return await create_feature(
        request,
        services,
        key,
        body=body,
        feature=WITH_CHARACTER,
        cast=(character.as_input(),),
        opening=character_lines(display_name=character.name, username=character.username),
    )


async def _create_from_video(
    body: Body, services: Gateway, key: ClientKey, *, only: Collection[str] | None = None
) -> Character:
    source = body.source("video")
    if source is None:
        raise MissingField("video")
    return await create_character(source, body, services, key=key, param="video", only=only)


ROUTES = DialectRoutes(routers=(router, character_router))
