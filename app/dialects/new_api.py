"""new-api's own video route: `/v1/video/generations`."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from app.dialects.body import Body, Source
from app.dialects.directives import Directives
from app.dialects.gateway import Caller, Gateway, Services, asked, check_prompt, read_size
from app.dialects.new_api_object import new_api_object, submitted
from app.dialects.reference import operation
from app.dialects.sources import read_source
from app.dialects.video_options import MOST_SECONDS, length, quality, shape, video_preset
from app.errors import InvalidRequest
from app.generation import GenerationRequest, MediaInput

router = APIRouter(prefix="/v1/video/generations", tags=["new-api"])
PICTURES = ("image", "images", "input_reference")
KNOWN = {
    "model",
    "prompt",
    "duration",
    "seconds",
    "size",
    "width",
    "height",
    "aspect_ratio",
    "resolution",
    "hd",
    "enable_upsample",
    "seed",
    "negative_prompt",
    "style",
    "watermark",
    "metadata",
    "image_tail",
    "n",
    "response_format",
    "user",
    "notify_hook",
    *PICTURES,
}


@router.post(
    "", summary="Create a video", openapi_extra=operation(body="NewApiCreate", answer="NewApiSubmitted")
)
async def create_video(request: Request, key: Caller, services: Services) -> Response:
    """Answers at once with a `task_id`; `metadata` may hold any of the other fields."""
    body = await services.read(request)
    how = asked(request, "new_api", hook_url=body.text("notify_hook"))
    task = await services.tasks.create(await _read(body, services), key=key, asked=how)
    return JSONResponse(submitted(task))


@router.get("/{name}", summary="Get a video", openapi_extra=operation(answer="NewApiTask"))
async def get_video(name: str, *, request: Request, key: Caller, services: Services) -> Response:
    """Any task of the key, however it was made."""
    task = await services.tasks.get(name, key)
    return JSONResponse(new_api_object(task, services.links(request, task)))


async def _read(body: Body, services: Gateway) -> GenerationRequest:
    body = _flattened(body)
    _check_plain(body)
    preset = video_preset(body.required_text("model"))
    prompt = body.required_text("prompt")
    check_prompt(prompt, param="prompt")
    size, ratio = shape(body, preset, Directives(prompt))
    seconds = _seconds(body, "seconds") or _seconds(body, "duration")
    wanted = GenerationRequest(
        kind="video",
        model=preset.name,
        prompt=prompt,
        seconds=length(preset, seconds),
        size=_pixels(body) or size,
        aspect_ratio=ratio,
        resolution=quality(body, hd=preset.hd),
        seed=body.integer("seed"),
        negative_prompt=body.text("negative_prompt"),
        style=body.text("style"),
        watermark=body.boolean("watermark"),
        extra=body.rest(KNOWN),
    )
    # Last, as they may have to be fetched from afar.
    pictures = [(name, source) for name in PICTURES for source in body.sources(name)]
    roles = preset.image_roles(len(pictures))
    media = [await _picture(services, each, role=role) for each, role in zip(pictures, roles, strict=True)]
    tail = body.source("image_tail")
    if tail is not None:
        media.append(await read_source(tail, services, role="last_frame", param="image_tail"))
    return wanted.model_copy(update={"media": tuple(media)})


async def _picture(services: Gateway, named: tuple[str, Source], *, role: Any) -> MediaInput:
    name, source = named
    return await read_source(source, services, role=role, param=name)


def _flattened(body: Body) -> Body:
    """What ``metadata`` says counts where the body itself says nothing; the model's name never comes from it."""
    inner = body.object("metadata")
    if inner is None:
        return body
    said = {name: value for name, value in body.fields.items() if value is not None}
    fields = {name: value for name, value in inner.fields.items() if name != "model"} | said
    return Body(fields, limits=body.limits)


def _check_plain(body: Body) -> None:
    """Raises ``InvalidRequest`` for what this route can't give: several videos, or one in base64."""
    if body.integer("n", low=1) not in (None, 1):
        raise InvalidRequest("n must be 1: one task makes one video", param="n")
    if (body.text("response_format") or "url") != "url":
        raise InvalidRequest("response_format must be url", param="response_format")


def _seconds(body: Body, name: str) -> int | None:
    """new-api's own clients write 5.0, and 0 for "not said"."""
    return body.integer(name, low=0, high=MOST_SECONDS) or None


def _pixels(body: Body) -> str | None:
    width, height = body.integer("width", low=0), body.integer("height", low=0)
    if not width and not height:
        return None
    if not width or not height:
        missing = "height" if width else "width"
        raise InvalidRequest(f"{missing} is required beside the other", param=missing)
    return read_size(f"{width}x{height}", param="width")
