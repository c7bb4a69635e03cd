"""The feature-endpoints manual: one route for each thing that can be made, told like a chat."""

from collections.abc import Awaitable, Callable

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
from app.dialects.http.body import Body
from app.dialects.http.gateway import CallerKey, Gateway, Services, request_context
from app.dialects.http.media_sources import read_source
from app.dialects.openapi.operations import operation_schema
from app.dialects.prompt.chat_answer import ChatOptions, answer_as_chat, answer_character, read_chat_options
from app.dialects.prompt.chat_stream import character_lines
from app.dialects.prompt.prompt_request import build_request
from app.dialects.prompt.video_options import read_time_span
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
        description="Waits for the end, streams with `stream`, answers at once with `async_mode`.",
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
    """``cast`` are characters that were just made, ``opening`` the lines that tell of them."""
    manner, at_once = read_chat_options(body), body.boolean("async_mode") or False
    wish = prompt_request_for(body, services, feature=feature, cast=cast)
    wanted = await build_request(wish, body, services, key=key, known=KNOWN_FIELDS)
    how = request_context(request, FeaturesDialect.name, hook_url=body.text("notify_hook"))
    task = await services.tasks.create(wanted, key=key, context=how)
    return await _answer_feature(request, services, task, manner=None if at_once else manner, opening=opening)


async def _answer_feature(
    request: Request, services: Gateway, task: Task, *, manner: ChatOptions | None, opening: tuple[str, ...]
) -> Response:
    if manner is None:
        document = task_object(task, services.file_links(request, task))
        return JSONResponse(document, headers={"x-task-id": task.id})
    return await answer_as_chat(request, services, task, manner=manner, opening=opening)


@character_router.post(
    "/characters/create",
    summary="Create a character, told like a chat",
    openapi_extra=operation_schema(body="MakeCharacter", answer="ChatCompletion", streams=True),
)
async def create_told(request: Request, key: CallerKey, services: Services) -> Response:
    body = await services.read_body(request)
    if body.boolean("async_mode"):
        raise InvalidRequest("async_mode is not offered here: it takes a moment only", param="async_mode")
    made = await _create_from_video(body, services, key)
    document = cameo_object(made, base=services.base_url(request), signer=services.signer)
    return answer_character(made, document, options=read_chat_options(body))


@character_router.post(
    "/characters/generate",
    summary=WITH_CHARACTER.summary,
    openapi_extra=operation_schema(body="MakeVideoWithCharacter", answer="ChatOrTask", streams=True),
)
async def generate(request: Request, key: CallerKey, services: Services) -> Response:
    body = await services.read_body(request)
    prompt_request_for(body, services, feature=WITH_CHARACTER)  # before a character is made for nothing
    made = await _create_from_video(body, services, key)
    return await create_feature(
        request,
        services,
        key,
        body=body,
        feature=WITH_CHARACTER,
        cast=(made.as_input(),),
        opening=character_lines(display_name=made.name, username=made.username),
    )


async def _create_from_video(body: Body, services: Gateway, key: ClientKey) -> Character:
    """Of ``video``; ``name`` and ``timestamps`` may be said."""
    moment = read_time_span(body, "timestamps")
    name = (body.text("name") or "").strip()[:80]
    given = body.source("video")
    if given is None:
        raise MissingField("video")
    clip = await read_source(given, services, role="source_video", param="video")
    return await services.characters.create(clip, key=key, name=name, moment=moment)


ROUTES = DialectRoutes(routers=(router, character_router))
