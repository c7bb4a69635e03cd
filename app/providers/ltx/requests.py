"""Builds LTX requests: the endpoint and its JSON body."""

from collections.abc import Mapping
from typing import Any

from app.errors import UnsupportedWish
from app.generation import Action, GenerationRequest, MediaInput, Role
from app.providers.fact_checks import settle_request
from app.providers.inputs import (
    as_data_uri,
    at_most,
    check_request,
    extra_fields,
    nearest_ratio,
    nearest_tier,
    refuse_fields,
    refuse_unsupported,
    whole_seconds,
    without_none,
)
from app.providers.model_facts import ModelFacts, read_facts

ROLES: frozenset[Role] = frozenset({"first_frame", "last_frame", "audio", "source_video"})
ACTIONS: frozenset[Action] = frozenset({"generate", "edit", "extend"})
RESERVED = {
    "model", "prompt", "duration", "resolution", "image_uri", "last_frame_uri", "audio_uri", "video_uri",
    "api_key", "key",
}  # fmt: skip
RATIOS = ("16:9", "9:16")
TIERS: Mapping[str, int] = {"720p": 720, "1080p": 1080, "1440p": 1440, "4k": 2160}
OTHER_WORDS = {"2k": "1440p", "2160p": "4k"}
USUAL_SECONDS, USUAL_TIER = 5, "1080p"
"""LTX has no defaults for length and resolution. Every model makes 1080p, and the length nearest to this is sent."""
MAX_IMAGE_BYTES = 7_000_000
MAX_CLIP_BYTES = 15_000_000
"""Largest data URIs, in bytes of base64: https://docs.ltx.video/input-formats"""


def model_of(name: str) -> ModelFacts | None:
    """LTX writes versions with dots in its documentation and with dashes in model names. None: LTX decides."""
    return read_facts("ltx").find_model(name.replace(".", "-"))


def path_and_body(request: GenerationRequest) -> tuple[str, dict[str, Any]]:
    """Path and JSON body. Raises ``UnsupportedWish`` for a value that LTX has no field for."""
    request = settle_request(request, model_of(request.model))
    check_request(request, ROLES, actions=ACTIONS)
    refuse_unsupported(request, "seed", "negative_prompt")
    changes = request.action != "generate"
    endpoint, fields = _change_body(request) if changes else _generate_body(request)
    fields |= {"model": request.model, "prompt": request.prompt or None}
    sound = "generate_audio" if endpoint in {"text-to-video", "image-to-video"} else ""
    uses = ("start_time",) if endpoint == "retake" else ()
    return f"/v2/{endpoint}", extra_fields(request, RESERVED, uses=uses, sound=sound) | without_none(fields)


def _generate_body(request: GenerationRequest) -> tuple[str, dict[str, Any]]:
    if request.media_with("source_video"):
        raise UnsupportedWish("a video can be edited or extended, not generated from", param="video")
    first, last = at_most(request, "first_frame", 1), at_most(request, "last_frame", 1)
    sounds = at_most(request, "audio", 1)
    if last and (not first or sounds):
        raise UnsupportedWish("a last frame goes with a first one, and without sound", param="last_frame")
    fields: dict[str, Any] = {
        "image_uri": _input_uri(first[0], MAX_IMAGE_BYTES) if first else None,
        "last_frame_uri": _input_uri(last[0], MAX_IMAGE_BYTES) if last else None,
    }
    if sounds:
        refuse_fields(request, "seconds")  # the video is as long as the sound
        audio = _input_uri(sounds[0], MAX_CLIP_BYTES)
        named = request.size or request.aspect_ratio or request.resolution
        return "audio-to-video", fields | {
            "audio_uri": audio,
            "resolution": _size_of(request) if named else None,
        }
    fields |= {"duration": _seconds_of(request), "resolution": _size_of(request)}
    return ("image-to-video" if first else "text-to-video"), fields


def _change_body(request: GenerationRequest) -> tuple[str, dict[str, Any]]:
    clips = at_most(request, "source_video", 1)
    if not clips:
        raise UnsupportedWish("LTX takes the video to change itself, not its id", param="video")
    if len(request.media) > 1:
        raise UnsupportedWish("a video is changed by a prompt only", param="input_reference")
    refuse_fields(request, "size", "aspect_ratio", "resolution")
    fields = {"video_uri": _input_uri(clips[0], MAX_CLIP_BYTES), "duration": whole_seconds(request)}
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
        raise UnsupportedWish(text, param=item.role)
    return as_data_uri(item)


def _seconds_of(request: GenerationRequest) -> int:
    seconds, known = whole_seconds(request), model_of(request.model)
    if seconds is None:
        lengths = known.lengths if known else (6,)
        return int(min(lengths, key=lambda length: abs(length - USUAL_SECONDS)))
    long = known.traits.get("long") if known else None
    if long and seconds > long["over"]:
        tier, fps = _tier_of(request, known), request.extra.get("fps")
        if tier not in long["tiers"] or (fps is not None and fps not in long["fps"]):
            able = f"only in {' or '.join(long['tiers'])}, at most at {max(long['fps'])} fps"
            text = f"{request.model} makes more than {long['over']} seconds {able}"
            raise UnsupportedWish(text, param="seconds")
    return seconds


def _size_of(request: GenerationRequest) -> str:
    """LTX's word for a resolution is ``WxH``. An unknown model gets the client's own size."""
    known = model_of(request.model)
    if known is None and request.size:
        return request.size
    ratio = nearest_ratio(request, known.ratios if known else RATIOS)
    lines = TIERS[_tier_of(request, known)]
    sides = (lines * 16 // 9, lines)
    width, height = sides if ratio != "9:16" else sides[::-1]
    return f"{width}x{height}"


def _tier_of(request: GenerationRequest, known: ModelFacts | None) -> str:
    word = (request.resolution or "").lower()
    told = request.model_copy(update={"resolution": OTHER_WORDS.get(word, word) or None})
    return nearest_tier(told, known.tiers if known else TIERS) or USUAL_TIER
