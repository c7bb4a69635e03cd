"""Characters as the manuals have them: `/sora/v1/characters` and `/v1/characters`."""

import time
from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from app.dialects.features.routes import FeatureEndpoint, create_feature, prompt_request_for
from app.dialects.http.body import Body
from app.dialects.http.gateway import CallerKey, Gateway, Services
from app.dialects.http.media_sources import read_source
from app.dialects.http.task_files import own_video_input
from app.dialects.openapi.document import download_schema, operation_schema
from app.dialects.prompt.chat_answer import NO_TOKENS, ChatOptions, read_chat_options
from app.dialects.prompt.chat_stream import ChatStream, character_lines
from app.dialects.prompt.video_options import read_time_span
from app.errors import InvalidRequest, MissingField
from app.generation import MediaInput
from app.keys.service import ClientKey
from app.media.serve import file_response
from app.tasks.characters import Character

router = APIRouter(tags=["Characters"])
MODEL = "character"
WITH_CHARACTER = FeatureEndpoint("/characters/generate", "Make a character and a video with it", "video", "")


@router.post(
    "/sora/v1/characters",
    summary="Create a character from a clip or a task",
    openapi_extra=operation_schema(body="CreateCameo", answer="Cameo"),
)
async def create(request: Request, key: CallerKey, services: Services) -> Response:
    """`timestamps` is the moment that shows it: start,end in seconds, one to three apart."""
    body = await services.read_body(request)
    moment = read_time_span(body, "timestamps")
    if moment is None:
        raise MissingField("timestamps")
    clip = await _read_clip(body, services, key)
    param = "url" if "url" in body else "from_task"
    made = await services.characters.create(clip, key=key, moment=moment, param=param)
    return JSONResponse(_cameo_object(request, services, made))


@router.post(
    "/v1/characters/create",
    summary="Create a character, told like a chat",
    openapi_extra=operation_schema(body="MakeCharacter", answer="ChatCompletion", streams=True),
)
async def create_told(request: Request, key: CallerKey, services: Services) -> Response:
    body = await services.read_body(request)
    if body.boolean("async_mode"):
        raise InvalidRequest("async_mode is not offered here: it takes a moment only", param="async_mode")
    manner = read_chat_options(body)
    made = await _create_from_video(body, services, key)
    return answer_character(request, services, made, manner=manner)


@router.post(
    "/v1/characters/generate",
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


@router.get(
    "/v1/characters",
    summary="List characters",
    openapi_extra=operation_schema(answer="CameoList", query=("after", "limit")),
)
async def list_characters(request: Request, key: CallerKey, services: Services) -> Response:
    """Newest first."""
    query = Body(dict(request.query_params), limits=services.limits)
    limit = query.integer("limit", low=1, high=100) or 20
    found, more = await services.characters.page(key, after=query.text("after") or None, limit=limit)
    data = [_character_object(request, services, character) for character in found]
    return JSONResponse({"object": "list", "data": data, "has_more": more})


@router.get(
    "/v1/characters/{name}", summary="Get a character", openapi_extra=operation_schema(answer="Cameo")
)
async def get(name: str, *, request: Request, key: CallerKey, services: Services) -> Response:
    """By username or id."""
    return JSONResponse(_character_object(request, services, await services.characters.get(name, key=key)))


@router.delete(
    "/v1/characters/{name}",
    summary="Delete a character",
    openapi_extra=operation_schema(answer="CameoDeleted"),
)
async def delete(name: str, key: CallerKey, services: Services) -> Response:
    """Its clip and still are really removed."""
    found = await services.characters.get(name, key=key)
    await services.characters.delete(found)
    return JSONResponse({"id": _character_id(found), "object": "character.deleted", "deleted": True})


@router.get(
    "/files/characters/{name}/{file}",
    summary="Download a character's still or clip by signed link",
    response_class=Response,
    openapi_extra=download_schema("image/webp", "video/mp4", query=("expires", "signature")),
)
async def get_file(name: str, file: str, *, request: Request, services: Services) -> Response:
    query = request.query_params
    path = f"/files/characters/{name}/{file}"
    services.signer.verify(path, query.get("expires", ""), query.get("signature", ""), now=time.time())
    found = await services.characters.by_link(name)
    stored = await services.store.head(found.clip if file == "clip.mp4" else found.still)
    return file_response(
        services.store,
        stored,
        request_headers=request.headers,
        method=request.method,
        content_type="video/mp4" if file == "clip.mp4" else "image/webp",
        file_name=f"{found.username}-{file}",
    )


async def _read_clip(body: Body, services: Gateway, key: ClientKey) -> MediaInput:
    """What ``url`` holds, or what the task ``from_task`` made."""
    given, task_name = body.source("url"), body.text("from_task")
    if given is not None and task_name:
        raise InvalidRequest("url and from_task exclude each other", param="from_task")
    if given is not None:
        return await read_source(given, services, role="source_video", param="url")
    if not task_name:
        raise MissingField("url or from_task")
    source = own_video_input(await services.tasks.get(task_name, key), param="from_task")
    return source.model_copy(update={"content": await services.store.get(source.key)})


async def _create_from_video(body: Body, services: Gateway, key: ClientKey) -> Character:
    """Of ``video``; ``name`` and ``timestamps`` may be said."""
    moment = read_time_span(body, "timestamps")
    name = (body.text("name") or "").strip()[:80]
    given = body.source("video")
    if given is None:
        raise MissingField("video")
    clip = await read_source(given, services, role="source_video", param="video")
    return await services.characters.create(clip, key=key, name=name, moment=moment)


def answer_character(
    request: Request, services: Gateway, made: Character, *, manner: ChatOptions
) -> Response:
    """In chat form, as lines or whole."""
    stream = ChatStream(
        f"chatcmpl-{made.id.removeprefix('char_')}", MODEL, int(made.created_at), "html", manner.include_usage
    )
    lines = character_lines(display_name=made.name, username=made.username)
    if manner.stream:
        return Response(b"".join(_stream_frames(stream, lines)), media_type="text/event-stream")
    message = {"role": "assistant", "content": "".join(lines), "refusal": None}
    return JSONResponse(
        {
            "id": stream.id,
            "object": "chat.completion",
            "created": stream.created,
            "model": MODEL,
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
            "usage": NO_TOKENS,
            "character": _cameo_object(request, services, made),
        }
    )


def _stream_frames(stream: ChatStream, lines: tuple[str, ...]) -> Iterator[bytes]:
    *first, last = lines
    yield stream.opening_frame()
    for line in first:
        yield stream.content_frame(line)
    yield from stream.closing_frames(last, usage=NO_TOKENS)


def _cameo_object(request: Request, services: Gateway, found: Character) -> dict[str, Any]:
    base = services.base_url(request)
    path = f"/files/characters/{_character_id(found)}/still.webp"
    return {
        "id": _character_id(found),
        "username": found.username,
        "permalink": f"{base}/v1/characters/{found.username}",
        "profile_picture_url": base + services.signer.sign(path, now=time.time()),
    }


def _character_object(request: Request, services: Gateway, found: Character) -> dict[str, Any]:
    told = {"display_name": found.name, "created_at": int(found.created_at)}
    return _cameo_object(request, services, found) | told


def _character_id(found: Character) -> str:
    return f"ch_{found.id.removeprefix('char_')}"
