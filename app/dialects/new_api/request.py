"""Reads requests to new-api's video route."""

from typing import Any

from app.catalog.presets import video_preset
from app.dialects.http.body import Body, MediaSource
from app.dialects.http.gateway import (
    Gateway,
    check_prompt,
    read_size,
)
from app.dialects.http.media_sources import read_source
from app.dialects.prompt.directives import Directives
from app.dialects.prompt.video_options import (
    LONGEST_SECONDS,
    read_resolution,
    size_and_ratio,
    video_seconds,
)
from app.errors import InvalidRequest
from app.generation import GenerationRequest, MediaInput

PICTURES = ("image", "images", "input_reference")
KNOWN_FIELDS = {
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


async def read_create(body: Body, services: Gateway) -> GenerationRequest:
    body = _merge_metadata(body)
    _check_single_url(body)
    preset = video_preset(body.required_text("model"))
    prompt = body.required_text("prompt")
    check_prompt(prompt, param="prompt")
    size, ratio = size_and_ratio(body, preset, Directives(prompt))
    seconds = _read_seconds(body, "seconds") or _read_seconds(body, "duration")
    generation = GenerationRequest(
        kind="video",
        model=preset.name,
        prompt=prompt,
        seconds=video_seconds(preset, seconds),
        size=_read_pixels(body) or size,
        aspect_ratio=ratio,
        resolution=read_resolution(body, hd=preset.hd),
        seed=body.integer("seed"),
        negative_prompt=body.text("negative_prompt"),
        style=body.text("style"),
        watermark=body.boolean("watermark"),
        extra=body.unknown_fields(KNOWN_FIELDS),
    )
    # Last, because they may have to be downloaded.
    pictures = [(name, source) for name in PICTURES for source in body.sources(name)]
    roles = preset.image_roles(len(pictures))
    media = [
        await _read_picture(services, each, role=role) for each, role in zip(pictures, roles, strict=True)
    ]
    tail = body.source("image_tail")
    if tail is not None:
        media.append(await read_source(tail, services, role="last_frame", param="image_tail"))
    return generation.model_copy(update={"media": tuple(media)})


async def _read_picture(services: Gateway, named: tuple[str, MediaSource], *, role: Any) -> MediaInput:
    name, source = named
    return await read_source(source, services, role=role, param=name)


def _merge_metadata(body: Body) -> Body:
    """The body with the fields of ``metadata`` added. The body's own fields win, and ``model`` is never read from it."""
    inner = body.object("metadata")
    if inner is None:
        return body
    own_fields = {name: value for name, value in body.fields.items() if value is not None}
    fields = {name: value for name, value in inner.fields.items() if name != "model"} | own_fields
    return Body(fields, limits=body.limits)


def _check_single_url(body: Body) -> None:
    """Raises ``InvalidRequest`` for several videos or for base64, which this route does not offer."""
    if body.integer("n", low=1) not in (None, 1):
        raise InvalidRequest("n must be 1: one task makes one video", param="n")
    if (body.text("response_format") or "url") != "url":
        raise InvalidRequest("response_format must be url", param="response_format")


def _read_seconds(body: Body, name: str) -> int | None:
    """new-api's clients send 5.0, and 0 for "not given"."""
    return body.integer(name, low=0, high=LONGEST_SECONDS) or None


def _read_pixels(body: Body) -> str | None:
    width, height = body.integer("width", low=0), body.integer("height", low=0)
    if not width and not height:
        return None
    if not width or not height:
        missing = "height" if width else "width"
        raise InvalidRequest(f"{missing} is required beside the other", param=missing)
    return read_size(f"{width}x{height}", param="width")
