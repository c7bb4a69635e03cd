"""OpenRouter's video API: `/api/v1/videos`; its SDKs want 202, an error as text, and no nulls."""

import math
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from app.catalog.catalog import ModelCard
from app.dialects.base import DialectRoutes
from app.dialects.http.body import Body
from app.dialects.http.gateway import CallerKey, Gateway, Services, check_prompt, request_context, serve_file
from app.dialects.http.media_parts import read_media_parts
from app.dialects.http.media_sources import read_source
from app.dialects.http.task_files import own_video_input
from app.dialects.openapi.operations import download_schema, operation_schema
from app.dialects.openrouter.answer import PATH, OpenRouterDialect, openrouter_object
from app.dialects.prompt.directives import Directives
from app.dialects.prompt.video_options import (
    MOST_SECONDS,
    read_resolution,
    size_and_ratio,
    video_preset,
    video_seconds,
)
from app.errors import InvalidRequest, MissingField, NotFound
from app.generation import GenerationRequest, MediaInput, Role
from app.keys.service import ClientKey
from app.tasks.task import Task

router = APIRouter(prefix=PATH, tags=["OpenRouter"])
FRAMES: dict[str, Role] = {"first_frame": "first_frame", "last_frame": "last_frame"}
REFERENCES: dict[str, Role] = {
    "image_url": "reference_image",
    "video_url": "reference_video",
    "audio_url": "audio",
}
LONGEST_LISTED = 60
KNOWN_FIELDS = {
    "model",
    "prompt",
    "duration",
    "resolution",
    "aspect_ratio",
    "size",
    "seed",
    "frame_images",
    "input_references",
    "previous_job_id",
    "callback_url",
    # Never sent to a provider by OpenRouter either.
    "user",
    "session_id",
    "trace",
}


@router.post(
    "",
    status_code=202,
    summary="Create a video",
    openapi_extra=operation_schema(body="OpenRouterCreate", answer="OpenRouterVideo", status=202),
)
async def create_video(request: Request, key: CallerKey, services: Services) -> Response:
    """Answers at once with where to look."""
    body = await services.read_body(request)
    how = request_context(
        request, OpenRouterDialect.name, hook_url=body.text("callback_url"), hook_param="callback_url"
    )
    task = await services.tasks.create(await _read_create(body, services, key), key=key, asked=how)
    return JSONResponse(_video_object(request, services, task), 202)


@router.get("/models", summary="List video models", openapi_extra=operation_schema(answer="OpenRouterModels"))
async def list_models(key: CallerKey, services: Services) -> Response:
    """Every model that makes videos here, with what it can do."""
    cards = await services.catalog.list_models()
    return JSONResponse({"data": [_model_object(card) for card in cards if card.kind == "video"]})


@router.get("/{name}", summary="Get a video", openapi_extra=operation_schema(answer="OpenRouterVideo"))
async def get_video(name: str, *, request: Request, key: CallerKey, services: Services) -> Response:
    """Any task of the key, however it was made."""
    return JSONResponse(_video_object(request, services, await services.tasks.get(name, key)))


@router.get(
    "/{name}/content",
    summary="Download a video",
    response_class=Response,
    openapi_extra=download_schema("video/mp4", query=("index",)),
)
async def get_content(name: str, *, request: Request, key: CallerKey, services: Services) -> Response:
    """The bytes of the file number `index`, 0 unless said."""
    task = await services.tasks.get(name, key)
    query = Body(dict(request.query_params), limits=services.limits)
    index = query.integer("index", low=0) or 0
    if task.result is None:
        raise NotFound("This video is not completed, so it has no content.")
    if index >= len(task.result.files):
        raise NotFound(f"This video has no file number {index}.")
    return await serve_file(request, services, task, file=task.result.files[index])


router.add_api_route("/{name}/content", get_content, methods=["HEAD"], include_in_schema=False)


def _video_object(request: Request, services: Gateway, task: Task) -> dict[str, Any]:
    links = services.file_links(request, task)
    return openrouter_object(task, links, base=services.base_url(request))


async def _read_create(body: Body, services: Gateway, key: ClientKey) -> GenerationRequest:
    preset = video_preset(body.required_text("model"))
    prompt = body.text("prompt") or ""
    check_prompt(prompt, param="prompt")
    earlier = body.text("previous_job_id")
    source = await services.tasks.get(earlier, key) if earlier else None
    size, ratio = size_and_ratio(body, preset, Directives(prompt))
    wanted = GenerationRequest(
        kind="video",
        action="edit" if source else "generate",
        model=preset.name,
        prompt=prompt,
        seconds=video_seconds(preset, body.integer("duration", low=1, high=MOST_SECONDS)),
        size=size,
        aspect_ratio=ratio,
        resolution=read_resolution(body, hd=preset.hd),
        seed=body.integer("seed"),
        remix_of=source.id if source else None,
        extra=body.unknown_fields(KNOWN_FIELDS),
    )
    # Last, as they may have to be fetched from afar.
    media = [*await _read_frames(body, services), *await _read_references(body, services)]
    if source is not None:
        media.append(own_video_input(source, param="previous_job_id"))
    if not prompt.strip() and not media:
        raise MissingField("prompt")
    return wanted.model_copy(update={"media": tuple(media)})


async def _read_frames(body: Body, services: Gateway) -> list[MediaInput]:
    found: list[MediaInput] = []
    for part in read_media_parts(body, "frame_images", types=("image_url",)):
        role = FRAMES.get(part.fields.text("frame_type") or "")
        if role is None or role in [item.role for item in found]:
            text = f"{part.fields.path}.frame_type must be first_frame or last_frame, each once"
            raise InvalidRequest(text, param="frame_images")
        found.append(await read_source(part.address, services, role=role, param="frame_images"))
    return found


async def _read_references(body: Body, services: Gateway) -> list[MediaInput]:
    name = "input_references"
    return [
        await read_source(part.address, services, role=REFERENCES[part.type], param=name)
        for part in read_media_parts(body, name)
    ]


def _model_object(card: ModelCard) -> dict[str, Any]:
    """Null is OpenRouter's own word for "unknown" here: the upstream decides."""
    able = card.capabilities
    seconds = able.seconds if able else None
    return {
        "id": card.name,
        "canonical_slug": card.name,
        "name": card.name,
        "created": card.created,
        "supported_durations": _whole_durations(*seconds) if seconds else None,
        "supported_sizes": sorted(able.sizes) if able and able.sizes else None,
        "supported_frame_images": [word for word in FRAMES if able and word in able.roles],
        "supported_aspect_ratios": None,
        "supported_resolutions": None,
        "generate_audio": None,
        "seed": None,
        "creativity": None,
        "upscale_factor": None,
        "allowed_passthrough_parameters": [],
    }


def _whole_durations(low: float, high: float) -> list[int]:
    return list(range(max(1, math.ceil(low)), min(int(high), LONGEST_LISTED) + 1))


ROUTES = DialectRoutes(routers=(router,))
