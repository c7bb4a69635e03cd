"""OpenAI's Videos API: `/v1/videos`."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send

from app.catalog.waits import AccountWait
from app.dialects.base import DialectRoutes
from app.dialects.fields.options import film_context
from app.dialects.http.body import Body
from app.dialects.http.callers import CallerKey, Services
from app.dialects.http.film_files import serve_file
from app.dialects.http.gateway import Gateway, authenticate_key, gateway_of
from app.dialects.http.media_sources import read_source
from app.dialects.openai_videos import receipts
from app.dialects.openai_videos.answer import OpenAIVideosDialect, speaks_manual, video_id, video_object
from app.dialects.openai_videos.batch_routes import router as batches
from app.dialects.openai_videos.provenance import router as checks
from app.dialects.openai_videos.quote import quote_object
from app.dialects.openai_videos.request import read_create, read_from_source, read_remix
from app.dialects.openapi.operations import download_schema, operation_schema
from app.errors import InvalidRequest, MissingField, NotFound
from app.generation import GenerationRequest
from app.keys.key import ClientKey
from app.tasks.task import DerivedFile, StoredFile, Task, files_are_kept

router = APIRouter(prefix="/v1/videos", tags=["OpenAI Videos"])
POLL_AFTER_MILLISECONDS = "1000"
CONTENT_TYPES = ("video/mp4", "image/webp", "image/jpeg", "text/vtt", "application/vnd.apple.mpegurl")


@router.post("", summary="Create a video", openapi_extra=operation_schema(body="CreateVideo", answer="Video"))
async def create_video(request: Request, key: CallerKey, services: Services) -> Response:
    """Creates a task and answers at once; the video comes later."""
    body = await services.read_body(request)
    generation = await read_create(body, services, key)
    return await _create_task(request, services, key, generation=generation, body=body)


@router.post(
    "/quote",
    summary="Quote a video",
    openapi_extra=operation_schema(body="CreateVideo", answer="VideoQuote"),
)
async def quote_video(request: Request, key: CallerKey, services: Services) -> Response:
    """What the same body would make and cost as things stand now. Nothing is made or reserved."""
    body = await services.read_body(request)
    quote = await services.tasks.quote(await read_create(body, services, key), key=key)
    return JSONResponse(quote_object(quote))


@router.get(
    "",
    summary="List videos",
    openapi_extra=operation_schema(answer="VideoList", query=("after", "limit", "order")),
)
async def list_videos(request: Request, key: CallerKey, services: Services) -> Response:
    """The key's videos, newest first unless `order=asc`."""
    query = services.read_query(request)
    limit = query.integer("limit", low=0, high=100)
    order = query.text("order") or "desc"
    if order not in ("asc", "desc"):
        raise InvalidRequest("order must be asc or desc", param="order")
    tasks, more = await services.tasks.page(
        key,
        after=query.text("after") or None,
        limit=20 if limit is None else limit,
        ascending=order == "asc",
        kind="video",
    )
    data = [_video_object(request, services, key, task=task) for task in tasks]
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return JSONResponse(
        {"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": more and bool(data)}
    )


@router.post(
    "/edits", summary="Edit a video", openapi_extra=operation_schema(body="EditVideo", answer="Video")
)
async def edit_video(request: Request, key: CallerKey, services: Services) -> Response:
    """A new video from an uploaded one or from a task of the key."""
    body = await services.read_body(request)
    generation = await read_from_source(body, services, key, action="edit")
    return await _create_task(request, services, key, generation=generation, body=body)


@router.post(
    "/extensions",
    summary="Extend a video",
    openapi_extra=operation_schema(body="ExtendVideo", answer="Video"),
)
async def extend_video(request: Request, key: CallerKey, services: Services) -> Response:
    """A video that continues for `seconds` more."""
    body = await services.read_body(request)
    generation = await read_from_source(body, services, key, action="extend")
    return await _create_task(request, services, key, generation=generation, body=body)


@router.post(
    "/characters",
    summary="Create a character",
    openapi_extra=operation_schema(body="CreateCharacter", answer="Character"),
)
async def create_character(request: Request, key: CallerKey, services: Services) -> Response:
    """Keeps a short clip as a character for later videos."""
    body = await services.read_body(request)
    name = body.required_text("name").strip()
    if len(name) > 80:
        raise InvalidRequest("name must be at most 80 characters", param="name")
    source = body.source("video")
    if source is None:
        raise MissingField("video")
    clip = await read_source(source, services, role="source_video", param="video")
    character = await services.characters.create(clip, key=key, name=name)
    return JSONResponse({"id": character.id, "name": character.name, "created_at": int(character.created_at)})


@router.get(
    "/characters/{character_id}",
    summary="Get a character",
    openapi_extra=operation_schema(answer="Character"),
)
async def get_character(character_id: str, key: CallerKey, services: Services) -> Response:
    character = await services.characters.get(character_id, key=key)
    return JSONResponse({"id": character.id, "name": character.name, "created_at": int(character.created_at)})


@router.get("/{name}", summary="Get a video", openapi_extra=operation_schema(answer="Video"))
async def get_video(name: str, *, request: Request, key: CallerKey, services: Services) -> Response:
    return await _answer_video(request, services, key, name=name)


class VideoLookup:
    """``GET /v1/videos/{name}`` as raw ASGI: programs ask it every second."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        key = await authenticate_key(connection)
        name = scope["path"].rpartition("/")[2]
        response = await _answer_video(connection, gateway_of(connection), key, name=name)
        await response(scope, receive, send)


async def _answer_video(
    connection: HTTPConnection, services: Gateway, key: ClientKey, *, name: str
) -> JSONResponse:
    task = await services.tasks.get(name, key)
    headers = {} if task.has_ended else {"openai-poll-after-ms": POLL_AFTER_MILLISECONDS}
    wait = await services.tasks.account_wait(task)
    return JSONResponse(_video_object(connection, services, key, task=task, wait=wait), headers=headers)


@router.delete("/{name}", summary="Delete a video", openapi_extra=operation_schema(answer="VideoDeleted"))
async def delete_video(name: str, key: CallerKey, services: Services) -> Response:
    """Cancels the task if it still runs, and removes its files."""
    task = await services.tasks.get(name, key)
    await services.tasks.delete(task)
    return JSONResponse({"id": video_id(task.id), "object": "video.deleted", "deleted": True})


@router.get(
    "/{name}/content",
    summary="Download a video, or what is made of it",
    response_class=Response,
    openapi_extra=download_schema(*CONTENT_TYPES, query=("variant",)),
)
async def get_content(name: str, *, request: Request, key: CallerKey, services: Services) -> Response:
    """The file itself. `variant` is video, thumbnail (webp), spritesheet (jpg), storyboard (WebVTT over the spritesheet),
    compatible (H.264 and AAC in MP4) or hls (a playlist); all but the video are made when first asked for, so that answer
    takes longer."""
    task = await services.tasks.get(name, key)
    variant = request.query_params.get("variant") or "video"
    return await serve_file(request, services, task, file=_variant_file(task, variant))


router.add_api_route("/{name}/content", get_content, methods=["HEAD"], include_in_schema=False)


@router.post(
    "/{name}/remix",
    summary="Remix a video",
    openapi_extra=operation_schema(body="RemixVideo", answer="Video"),
)
async def remix_video(name: str, *, request: Request, key: CallerKey, services: Services) -> Response:
    """A finished video, changed as the prompt describes."""
    source = await services.tasks.get(name, key)
    body = await services.read_body(request)
    generation = await read_remix(body, services, key, source=source)
    return await _create_task(request, services, key, generation=generation, body=body)


async def _create_task(
    request: Request,
    services: Gateway,
    key: ClientKey,
    *,
    generation: GenerationRequest,
    body: Body,
) -> Response:
    context = film_context(request, OpenAIVideosDialect.name, body)
    task = await services.tasks.create(generation, key=key, context=context)
    return JSONResponse(_video_object(request, services, key, task=task))


def _video_object(
    connection: HTTPConnection,
    services: Gateway,
    key: ClientKey,
    *,
    task: Task,
    wait: AccountWait | None = None,
) -> dict[str, Any]:
    url = None
    if task.result and files_are_kept(task):
        url = services.file_link(connection, task, task.result.files[0])
    return video_object(task, url=url, manual=speaks_manual(key), wait=wait)


def _variant_file(task: Task, variant: str) -> StoredFile | DerivedFile:
    if task.state in ("failed", "cancelled"):
        raise NotFound("This video failed, so it has no content.")
    if task.result is None:
        raise NotFound("Video is not ready yet, use GET /v1/videos/{video_id} to check status.")
    files: dict[str, StoredFile | DerivedFile | None] = {
        "video": task.result.files[0],
        "thumbnail": task.result.thumbnail,
        "spritesheet": task.result.spritesheet,
        "storyboard": task.result.storyboard,
        "compatible": task.result.compatible,
        "hls": task.result.playlist,
    }
    if variant not in files:
        raise InvalidRequest(f"variant must be one of {', '.join(files)}", param="variant")
    file = files[variant]
    if file is None:
        raise NotFound(f"This video has no {variant}.")
    return file


ROUTES = DialectRoutes(
    routers=(router, receipts.router, checks, batches),
    lookups={"/v1/videos/{name}": VideoLookup()},
)
