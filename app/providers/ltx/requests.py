"""How a wish is put into LTX's words: which of its endpoints, and which fields that one has."""

import math
from dataclasses import dataclass
from typing import Any

from app.errors import UpstreamRejected
from app.generation import Action, GenerationRequest, MediaInput, Role
from app.providers.inputs import as_data_uri, at_most, check, passed_on, refuse, refuse_unsaid, whole_seconds
from app.providers.sizes import pixels

ROLES: frozenset[Role] = frozenset({"first_frame", "last_frame", "audio", "source_video"})
ACTIONS: frozenset[Action] = frozenset({"generate", "edit", "extend"})
RESERVED = {
    "model", "prompt", "duration", "resolution", "image_uri", "last_frame_uri", "audio_uri", "video_uri",
    "api_key", "key",
}  # fmt: skip
LARGEST_PICTURE = 7_000_000
LARGEST_CLIP = 15_000_000
"""Of a data URI, in bytes of base64; docs.ltx.video/input-formats."""


def _both_ways(*wide: str) -> frozenset[str]:
    return frozenset(wide) | {"x".join(reversed(size.split("x"))) for size in wide}


FULL = ("1920x1080",)
LARGER = (*FULL, "2560x1440", "3840x2160")


@dataclass(frozen=True, slots=True)
class Model:
    """What one family can take; ``name`` is how its models' names begin."""

    name: str
    seconds: tuple[float, float]
    sizes: frozenset[str]


# Longer names first. LTX spells versions with dots in prose and with dashes in names.
MODELS = (
    Model("ltx-2-5-fast", (2, 20), _both_ways("1280x720", *LARGER)),
    Model("ltx-2-5-pro", (2, 10), _both_ways("1280x720", *FULL)),
    Model("ltx-2-3-fast", (6, 20), _both_ways(*LARGER)),
    Model("ltx-2-3-pro", (6, 10), _both_ways(*LARGER)),
    Model("ltx-2-fast", (6, 20), _both_ways(*LARGER)),
    Model("ltx-2-pro", (6, 10), _both_ways(*LARGER)),
)
NEWER = Model("ltx", (2, 20), _both_ways("1280x720", *LARGER))


def model_of(name: str) -> Model:
    dashed = name.replace(".", "-")
    return next((model for model in MODELS if dashed.startswith(model.name)), NEWER)


def body_of(request: GenerationRequest) -> tuple[str, dict[str, Any]]:
    """Path and body. Raises ``UpstreamRejected`` for what has no field there."""
    check(request, ROLES, actions=ACTIONS)
    refuse_unsaid(request, "seed", "negative_prompt", "shots")
    endpoint, told = _change(request) if request.action != "generate" else _new(request)
    told |= {"model": request.model, "prompt": request.prompt or None, "duration": whole_seconds(request)}
    extra = passed_on(request, RESERVED, sound="generate_audio")
    kept = {name: value for name, value in told.items() if value is not None}
    return f"/v2/{endpoint}", extra | kept


def _new(request: GenerationRequest) -> tuple[str, dict[str, Any]]:
    if request.media_with("source_video"):
        raise UpstreamRejected("a video can be edited or extended, not generated from", param="video")
    first, last = at_most(request, "first_frame", 1), at_most(request, "last_frame", 1)
    sounds = at_most(request, "audio", 1)
    if last and (not first or sounds):
        raise UpstreamRejected("a last frame goes with a first one, and without sound", param="last_frame")
    if sounds:
        # The sound's own length is the video's.
        refuse(request, "seconds")
    told = {
        "resolution": _resolution(request),
        "image_uri": _uri(first[0], LARGEST_PICTURE) if first else None,
        "last_frame_uri": _uri(last[0], LARGEST_PICTURE) if last else None,
        "audio_uri": _uri(sounds[0], LARGEST_CLIP) if sounds else None,
    }
    return ("audio-to-video" if sounds else "image-to-video" if first else "text-to-video"), told


def _change(request: GenerationRequest) -> tuple[str, dict[str, Any]]:
    clips = at_most(request, "source_video", 1)
    if not clips:
        raise UpstreamRejected("LTX takes the video to change itself, not its id", param="video")
    if len(request.media) > 1:
        raise UpstreamRejected("a video is changed by words only", param="input_reference")
    refuse(request, "size", "aspect_ratio", "resolution")
    told: dict[str, Any] = {"video_uri": _uri(clips[0], LARGEST_CLIP)}
    if request.action == "extend":
        return "extend", told
    # A retake needs to know where it begins; how long it lasts is ``seconds``.
    return "retake", told | {"start_time": request.extra.get("start_time", 0)}


def _uri(item: MediaInput, limit: int) -> str:
    """Inline while LTX takes it so; larger ones have to be fetched from the client's own address."""
    if item.content is not None and len(item.content) * 4 / 3 > limit:
        if item.url:
            return item.url
        text = f"LTX takes a {item.role} of this size only as a public address"
        raise UpstreamRejected(text, param=item.role)
    return as_data_uri(item)


def _resolution(request: GenerationRequest) -> str | None:
    """The size in ``WxH`` that the model has nearest to what the client asked for."""
    able = sorted(model_of(request.model).sizes, key=lambda size: math.prod(pixels(size)))
    if request.aspect_ratio:
        if request.aspect_ratio not in {"16:9", "9:16"}:
            text = f"aspect_ratio must be 16:9 or 9:16 for {request.model}, not {request.aspect_ratio}"
            raise UpstreamRejected(text, param="aspect_ratio")
        tall = request.aspect_ratio == "9:16"
    elif request.size:
        width, height = pixels(request.size)
        tall = height > width
    else:
        tall = False
    fitting = [size for size in able if (pixels(size)[1] > pixels(size)[0]) == tall]
    short = _short_side(request, fitting)
    if short is None:
        return (
            None if not request.aspect_ratio else min(fitting, key=lambda size: abs(min(pixels(size)) - 1080))
        )
    return min(fitting, key=lambda size: abs(min(pixels(size)) - short))


def _short_side(request: GenerationRequest, able: list[str]) -> int | None:
    if request.resolution:
        words = {f"{min(pixels(size))}p": min(pixels(size)) for size in able}
        wanted = request.resolution.lower()
        found = words.get({"4k": "2160p", "2k": "1440p"}.get(wanted, wanted))
        if found is None:
            text = (
                f"resolution must be one of {', '.join(words)} for {request.model}, not {request.resolution}"
            )
            raise UpstreamRejected(text, param="resolution")
        return found
    return min(pixels(request.size)) if request.size else None
