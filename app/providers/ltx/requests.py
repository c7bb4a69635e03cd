"""Builds LTX requests: the endpoint and its JSON body."""

import math
from dataclasses import dataclass
from typing import Any

from app.errors import UpstreamRejected
from app.generation import Action, GenerationRequest, MediaInput, Role
from app.providers.inputs import (
    as_data_uri,
    at_most,
    check_request,
    extra_fields,
    parse_size,
    refuse_fields,
    refuse_unsupported,
    whole_seconds,
    without_none,
)

ROLES: frozenset[Role] = frozenset({"first_frame", "last_frame", "audio", "source_video"})
ACTIONS: frozenset[Action] = frozenset({"generate", "edit", "extend"})
RESERVED = {
    "model", "prompt", "duration", "resolution", "image_uri", "last_frame_uri", "audio_uri", "video_uri",
    "api_key", "key",
}  # fmt: skip
MAX_IMAGE_BYTES = 7_000_000
MAX_CLIP_BYTES = 15_000_000
"""Largest data URIs, in bytes of base64: https://docs.ltx.video/input-formats"""


def _with_portrait_sizes(*wide: str) -> frozenset[str]:
    return frozenset(wide) | {"x".join(reversed(size.split("x"))) for size in wide}


FULL_HD = ("1920x1080",)
LARGER_SIZES = (*FULL_HD, "2560x1440", "3840x2160")


@dataclass(frozen=True, slots=True)
class LtxModel:
    """What one family of models accepts; ``name`` is the prefix of its model names."""

    name: str
    seconds: tuple[float, float]
    sizes: frozenset[str]


# Longer prefixes first. LTX writes versions with dots in its documentation and with dashes in model names:
# https://docs.ltx.video/models
MODELS = (
    LtxModel("ltx-2-5-fast", (2, 20), _with_portrait_sizes("1280x720", *LARGER_SIZES)),
    LtxModel("ltx-2-5-pro", (2, 10), _with_portrait_sizes("1280x720", *FULL_HD)),
    LtxModel("ltx-2-3-fast", (6, 20), _with_portrait_sizes(*LARGER_SIZES)),
    LtxModel("ltx-2-3-pro", (6, 10), _with_portrait_sizes(*LARGER_SIZES)),
    LtxModel("ltx-2-fast", (6, 20), _with_portrait_sizes(*LARGER_SIZES)),
    LtxModel("ltx-2-pro", (6, 10), _with_portrait_sizes(*LARGER_SIZES)),
)
UNKNOWN_MODEL = LtxModel("ltx", (2, 20), _with_portrait_sizes("1280x720", *LARGER_SIZES))


def model_of(name: str) -> LtxModel:
    dashed = name.replace(".", "-")
    return next((model for model in MODELS if dashed.startswith(model.name)), UNKNOWN_MODEL)


def path_and_body(request: GenerationRequest) -> tuple[str, dict[str, Any]]:
    """Path and JSON body. Raises ``UpstreamRejected`` for a value that LTX has no field for."""
    check_request(request, ROLES, actions=ACTIONS)
    refuse_unsupported(request, "seed", "negative_prompt", "shots")
    endpoint, fields = _change_body(request) if request.action != "generate" else _generate_body(request)
    fields |= {"model": request.model, "prompt": request.prompt or None, "duration": whole_seconds(request)}
    extra = extra_fields(request, RESERVED, sound="generate_audio")
    return f"/v2/{endpoint}", extra | without_none(fields)


def _generate_body(request: GenerationRequest) -> tuple[str, dict[str, Any]]:
    if request.media_with("source_video"):
        raise UpstreamRejected("a video can be edited or extended, not generated from", param="video")
    first, last = at_most(request, "first_frame", 1), at_most(request, "last_frame", 1)
    sounds = at_most(request, "audio", 1)
    if last and (not first or sounds):
        raise UpstreamRejected("a last frame goes with a first one, and without sound", param="last_frame")
    if sounds:
        # The video is as long as the audio.
        refuse_fields(request, "seconds")
    fields = {
        "resolution": _nearest_size(request),
        "image_uri": _input_uri(first[0], MAX_IMAGE_BYTES) if first else None,
        "last_frame_uri": _input_uri(last[0], MAX_IMAGE_BYTES) if last else None,
        "audio_uri": _input_uri(sounds[0], MAX_CLIP_BYTES) if sounds else None,
    }
    return ("audio-to-video" if sounds else "image-to-video" if first else "text-to-video"), fields


def _change_body(request: GenerationRequest) -> tuple[str, dict[str, Any]]:
    clips = at_most(request, "source_video", 1)
    if not clips:
        raise UpstreamRejected("LTX takes the video to change itself, not its id", param="video")
    if len(request.media) > 1:
        raise UpstreamRejected("a video is changed by a prompt only", param="input_reference")
    refuse_fields(request, "size", "aspect_ratio", "resolution")
    fields: dict[str, Any] = {"video_uri": _input_uri(clips[0], MAX_CLIP_BYTES)}
    if request.action == "extend":
        return "extend", fields
    # A retake replaces ``seconds`` of the video from ``start_time`` on, which is required.
    return "retake", fields | {"start_time": request.extra.get("start_time", 0)}


def _input_uri(item: MediaInput, limit: int) -> str:
    """A data URI up to ``limit`` bytes; larger media are fetched by LTX from the client's own URL."""
    if item.content is not None and len(item.content) * 4 / 3 > limit:
        if item.url:
            return item.url
        text = f"LTX takes a {item.role} of this size only as a public URL"
        raise UpstreamRejected(text, param=item.role)
    return as_data_uri(item)


def _nearest_size(request: GenerationRequest) -> str | None:
    """The model's size (``WxH``) closest to the requested one; None when the client asked for none."""
    sizes = sorted(model_of(request.model).sizes, key=lambda size: math.prod(parse_size(size)))
    if request.aspect_ratio:
        if request.aspect_ratio not in {"16:9", "9:16"}:
            text = f"aspect_ratio must be 16:9 or 9:16 for {request.model}, not {request.aspect_ratio}"
            raise UpstreamRejected(text, param="aspect_ratio")
        tall = request.aspect_ratio == "9:16"
    elif request.size:
        width, height = parse_size(request.size)
        tall = height > width
    else:
        tall = False
    fitting = [size for size in sizes if (parse_size(size)[1] > parse_size(size)[0]) == tall]
    short = _short_side(request, fitting)
    if short is None:
        return (
            None
            if not request.aspect_ratio
            else min(fitting, key=lambda size: abs(min(parse_size(size)) - 1080))
        )
    return min(fitting, key=lambda size: abs(min(parse_size(size)) - short))


def _short_side(request: GenerationRequest, sizes: list[str]) -> int | None:
    if request.resolution:
        words = {f"{min(parse_size(size))}p": min(parse_size(size)) for size in sizes}
        wanted = request.resolution.lower()
        resolution = words.get({"4k": "2160p", "2k": "1440p"}.get(wanted, wanted))
        if resolution is None:
            text = (
                f"resolution must be one of {', '.join(words)} for {request.model}, not {request.resolution}"
            )
            raise UpstreamRejected(text, param="resolution")
        return resolution
    return min(parse_size(request.size)) if request.size else None
