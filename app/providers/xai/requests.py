"""Builds xAI requests: the path and its JSON body."""

from dataclasses import dataclass
from typing import Any

from app.errors import UpstreamRejected
from app.generation import Action, GenerationRequest, MediaKind, Role
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

RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3")
IMAGE_RATIOS = (*RATIOS, "2:1", "1:2", "19.5:9", "9:19.5", "20:9", "9:20")
TIERS = {"480p": 480, "720p": 720, "1080p": 1080}
IMAGE_TIERS = {"1k": 1024, "2k": 2048}
ACTIONS: frozenset[Action] = frozenset({"generate", "edit", "extend"})
MAX_REFERENCES = 7
MAX_IMAGES = 5
MAX_EXTENSION_SECONDS = 10
RESERVED = {
    "model", "prompt", "duration", "resolution", "n", "image", "images", "video", "last_frame",
    "reference_images", "response_format", "storage_options", "api_key", "key",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class XaiModel:
    kinds: frozenset[MediaKind]
    roles: frozenset[Role]
    seconds: tuple[float, float] | None = None
    tiers: tuple[str, ...] = ("480p", "720p", "1080p")


VIDEO_ROLES: frozenset[Role] = frozenset({"first_frame", "reference_image", "source_video"})
VIDEOS: frozenset[MediaKind] = frozenset({"video"})
FIRST_VIDEO_MODEL = XaiModel(VIDEOS, VIDEO_ROLES, (1, 15), ("480p", "720p"))
NEWER_VIDEO_MODEL = XaiModel(VIDEOS, VIDEO_ROLES | {"last_frame"}, (1, 15))
IMAGE_MODEL = XaiModel(frozenset({"image"}), frozenset({"first_frame", "reference_image"}))


def model_of(name: str) -> XaiModel | None:
    """None for a text model."""
    if "image" in name:
        return IMAGE_MODEL
    if "video" not in name:
        return None
    return FIRST_VIDEO_MODEL if name == "grok-imagine-video" else NEWER_VIDEO_MODEL


def video_path_and_body(request: GenerationRequest) -> tuple[str, dict[str, Any]]:
    """Path and JSON body. Raises ``UpstreamRejected`` for a value that has no field there."""
    model = model_of(request.model) or NEWER_VIDEO_MODEL
    check_request(request, model.roles if "video" in model.kinds else (), kinds=model.kinds, actions=ACTIONS)
    refuse_unsupported(request, "seed", "negative_prompt", "shots")
    if request.action != "generate":
        return _change_path_and_body(request)
    if request.media_with("source_video"):
        raise UpstreamRejected("a video can be edited or extended, not generated from", param="video")
    first, last = at_most(request, "first_frame", 1), at_most(request, "last_frame", 1)
    references = at_most(request, "reference_image", MAX_REFERENCES)
    fields = {
        "duration": whole_seconds(request),
        "aspect_ratio": nearest_ratio(request, RATIOS),
        "resolution": nearest_tier(request, {word: TIERS[word] for word in model.tiers}),
        "image": {"url": as_data_uri(first[0])} if first else None,
        "last_frame": {"url": as_data_uri(last[0])} if last else None,
        "reference_images": [{"url": as_data_uri(item)} for item in references] or None,
    }
    return "/videos/generations", _with_extra_fields(request, fields)


def image_path_and_body(request: GenerationRequest) -> tuple[str, dict[str, Any]]:
    """Path and JSON body. Raises ``UpstreamRejected`` for a value that has no field there."""
    model = model_of(request.model) or IMAGE_MODEL
    check_request(request, model.roles, kinds=model.kinds)
    refuse_unsupported(request, "seed", "negative_prompt", "shots", "seconds")
    if len(request.media) > MAX_IMAGES:
        raise UpstreamRejected(f"{request.model} takes at most {MAX_IMAGES} images", param="image")
    sources = [{"url": as_data_uri(item), "type": "image_url"} for item in request.media]
    fields: dict[str, Any] = {
        "aspect_ratio": nearest_ratio(request, IMAGE_RATIOS),
        "resolution": nearest_tier(request, IMAGE_TIERS),
        "response_format": "url",
    }
    if len(sources) == 1:
        fields["image"] = sources[0]
    elif sources:
        fields["images"] = sources
    return ("/images/edits" if sources else "/images/generations"), _with_extra_fields(request, fields)


def _change_path_and_body(request: GenerationRequest) -> tuple[str, dict[str, Any]]:
    sources = at_most(request, "source_video", 1)
    if not sources:
        raise UpstreamRejected("xAI takes the video to change itself, not its id", param="video")
    if len(request.media) > 1:
        raise UpstreamRejected("a video is changed by a prompt only", param="input_reference")
    refuse_fields(request, "size", "aspect_ratio", "resolution")
    seconds = whole_seconds(request)
    if request.action == "edit":
        refuse_fields(request, "seconds")
    elif seconds is not None and seconds > MAX_EXTENSION_SECONDS:
        raise UpstreamRejected(f"an extension lasts at most {MAX_EXTENSION_SECONDS} seconds", param="seconds")
    path = "/videos/edits" if request.action == "edit" else "/videos/extensions"
    return path, _with_extra_fields(request, {"video": {"url": as_data_uri(sources[0])}, "duration": seconds})


def _with_extra_fields(request: GenerationRequest, fields: dict[str, Any]) -> dict[str, Any]:
    whole = {"model": request.model, "prompt": request.prompt or None, **fields}
    return extra_fields(request, RESERVED, sound="generate_audio") | without_none(whole)
