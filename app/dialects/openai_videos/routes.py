"""OpenAI's Videos API: `/v1/videos`."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from app.dialects.base import DialectRoutes
from app.dialects.http.gateway import (
    CallerKey,
    Gateway,
    Services,
    request_context,
    serve_file,
)
from app.dialects.http.media_sources import read_source
from app.dialects.openai_videos.answer import OpenAIVideosDialect, speaks_manual, video_id, video_object
from app.dialects.openai_videos.request import read_create, read_from_source, read_prompt
from app.dialects.openapi.operations import download_schema, operation_schema
from app.dialects.prompt.video_options import LONGEST_SECONDS
from app.errors import InvalidRequest, MissingField, NotFound
from app.generation import GenerationRequest
from app.keys.key import ClientKey
from app.tasks.task import StoredFile, Task, files_are_kept, own_video_input

router = APIRouter(prefix="/v1/videos", tags=["OpenAI Videos"])
POLL_AFTER_MILLISECONDS = "1000"


@router.post("", summary="Create a video", openapi_extra=operation_schema(body="CreateVideo", answer="Video"))
async def create_video(request: Request, key: CallerKey, services: Services) -> Response:
    """Creates a task and answers at once; the video comes later."""
    body = await services.read_body(request)
    generation = await read_create(body, services, key)
    return await _create_task(
        request, services, key, generation=generation, hook_url=body.text("notify_hook")
    )


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
    return await _create_task(
        request, services, key, generation=generation, hook_url=body.text("notify_hook")
    )


@router.post(
    "/extensions",
    summary="Extend a video",
    openapi_extra=operation_schema(body="ExtendVideo", answer="Video"),
)
async def extend_video(request: Request, key: CallerKey, services: Services) -> Response:
    """A video that continues for `seconds` more."""
    body = await services.read_body(request)
    if body.integer("seconds", low=1, high=LONGEST_SECONDS) is None:
        raise MissingField("seconds")
    generation = await read_from_source(body, services, key, action="extend")
    return await _create_task(
        request, services, key, generation=generation, hook_url=body.text("notify_hook")
    )


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
    task = await services.tasks.get(name, key)
    headers = {} if task.has_ended else {"openai-poll-after-ms": POLL_AFTER_MILLISECONDS}
    return JSONResponse(_video_object(request, services, key, task=task), headers=headers)


@router.delete("/{name}", summary="Delete a video", openapi_extra=operation_schema(answer="VideoDeleted"))
async def delete_video(name: str, key: CallerKey, services: Services) -> Response:
    """Cancels the task if it still runs, and removes its files."""
    task = await services.tasks.get(name, key)
    await services.tasks.delete(task)
    return JSONResponse({"id": video_id(task.id), "object": "video.deleted", "deleted": True})


@router.get(
    "/{name}/content",
    summary="Download a video, its thumbnail or spritesheet",
    response_class=Response,
    openapi_extra=download_schema("video/mp4", "image/webp", "image/jpeg", query=("variant",)),
)
async def get_content(name: str, *, request: Request, key: CallerKey, services: Services) -> Response:
    """The file itself. `variant` is video, thumbnail (webp) or spritesheet (jpg)."""
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
    prompt = read_prompt(body)
    old = source.request
    generation = GenerationRequest(
        kind="video",
        action="remix",
        model=old.model,
        prompt=prompt,
        seconds=old.seconds,
        size=old.size,
        style=old.style,
        media=(own_video_input(source, param="video_id"),),
        remix_of=source.id,
    )
    return await _create_task(
        request, services, key, generation=generation, hook_url=body.text("notify_hook")
    )


async def _create_task(
    request: Request,
    services: Gateway,
    key: ClientKey,
    *,
    generation: GenerationRequest,
    hook_url: str | None,
) -> Response:
    context = request_context(request, OpenAIVideosDialect.name, hook_url=hook_url)
    task = await services.tasks.create(generation, key=key, context=context)
    return JSONResponse(_video_object(request, services, key, task=task))


def _video_object(request: Request, services: Gateway, key: ClientKey, *, task: Task) -> dict[str, Any]:
    url = None
    if task.result and files_are_kept(task):
        url = services.file_link(request, task, task.result.files[0])
    return video_object(task, url=url, manual=speaks_manual(key))


def _variant_file(task: Task, variant: str) -> StoredFile:
    if task.state in ("failed", "cancelled"):
        raise NotFound("This video failed, so it has no content.")
    if task.result is None:
        raise NotFound("Video is not ready yet, use GET /v1/videos/{video_id} to check status.")
    files = {
        "video": task.result.files[0],
        "thumbnail": task.result.thumbnail,
        "spritesheet": task.result.spritesheet,
    }
    if variant not in files:
        raise InvalidRequest("variant must be video, thumbnail or spritesheet", param="variant")
    file = files[variant]
    if file is None:
        raise NotFound(f"This video has no {variant}.")
    return file


ROUTES = DialectRoutes(routers=(router,))
