"""Request bodies of Luma's current API (Agents): one endpoint for all types; inputs as base64, URL or generation id."""

from collections.abc import Mapping
from typing import Any

from app.errors import UnsupportedWish
from app.generation import Action, GenerationRequest, MediaInput, MediaKind, Role
from app.json_bodies import fold_name
from app.providers.base import Operation
from app.providers.fact_checks import settle_request
from app.providers.inputs import (
    as_base64,
    at_most,
    check_request,
    extra_fields,
    public_url,
    refuse_fields,
    refuse_flags,
    whole_seconds,
    without_none,
)
from app.providers.luma.models import inputs_of, model_of, ratio_of, resolution_of

HOST = "https://agents.lumalabs.ai/v1"
PATH = "/generations"
RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4", "21:9")
TIERS: Mapping[str, int] = {"360p": 360, "540p": 540, "720p": 720, "1080p": 1080}
KINDS: frozenset[MediaKind] = frozenset({"video", "image"})
ACTIONS: frozenset[Action] = frozenset({"generate", "remix", "edit", "extend"})
VIDEO_ROLES: frozenset[Role] = frozenset({"first_frame", "last_frame", "source_video"})
IMAGE_ROLES: frozenset[Role] = frozenset({"reference_image"})
RESERVED = frozenset(
    {"model", "prompt", "type", "aspect_ratio", "image_ref", "source", "layering", "web_search"}
)
PRICED_FIELDS = frozenset(
    {
        "duration",
        "resolution",
        "start_frame",
        "end_frame",
        "keyframes",
        "keyframe_indexes",
        "hdr",
        "exr_export",
    }
)
"""Fields of ``video`` that ``extra["video"]`` must not set, because they determine the price or the inputs."""
LONGEST_WITH_FRAMES = 5
"""Seconds of a video from ``start_frame`` and ``end_frame``; a longer one takes pictures as ``keyframes``."""
FRAMES_PER_SECOND = 24


def makes_images(model: str) -> bool:
    return model.startswith("uni-")


def path_and_body(request: GenerationRequest, earlier: Operation | None) -> tuple[str, dict[str, Any]]:
    """Path and JSON body. Raises ``UnsupportedWish`` for a value that Luma has no field for."""
    pictures, request = request.kind == "image", settle_request(request, model_of(request.model))
    roles = inputs_of(request.model, IMAGE_ROLES if pictures else VIDEO_ROLES)
    check_request(request, roles, kinds=KINDS, actions=ACTIONS)
    refuse_fields(request, "seed", "negative_prompt", "characters")
    refuse_flags(request, "watermark")
    fields = _image_body(request) if pictures else _video_body(request, earlier)
    fields |= {"model": request.model, "prompt": request.prompt}
    return PATH, extra_fields(request, RESERVED, uses=() if pictures else ("video",)) | without_none(fields)


def _video_body(request: GenerationRequest, earlier: Operation | None) -> dict[str, Any]:
    source = _source_field(request, earlier)
    fields: dict[str, Any] = {"resolution": resolution_of(request, TIERS)}
    if request.action == "extend":
        if earlier is None or request.media_with("first_frame", "last_frame"):
            raise UnsupportedWish("Luma extends only a video that this account made", param="video")
        if (request.seconds or 0) > LONGEST_WITH_FRAMES:
            raise UnsupportedWish(f"Luma extends by {LONGEST_WITH_FRAMES} seconds", param="seconds")
        fields["start_frame"], source = {"generation_id": earlier.id}, None
    else:
        fields |= _frame_fields(request)
    if source is None:
        seconds = whole_seconds(request)
        fields["duration"] = None if seconds is None else f"{seconds}s"
    else:
        refuse_fields(request, "seconds")  # an edit is as long as its source
    return {
        "type": "video" if source is None else "video_edit",
        "aspect_ratio": ratio_of(request, RATIOS),
        "source": source,
        "video": _extra_video(request) | without_none(fields) or None,
    }


def _extra_video(request: GenerationRequest) -> dict[str, Any]:
    """``extra["video"]``. Raises ``UnsupportedWish`` for what other fields of a request say."""
    given = request.extra.get("video", {})
    if not isinstance(given, dict):
        raise UnsupportedWish("video must be an object", param="video")
    priced = {fold_name(name) for name in PRICED_FIELDS}
    refused = next((name for name in given if fold_name(name) in priced), None)
    if refused is not None:
        text = f"video.{refused} can't be passed on to {request.model}"
        raise UnsupportedWish(text, param=f"video.{refused}")
    return given


def _frame_fields(request: GenerationRequest) -> dict[str, Any]:
    roles: tuple[tuple[Role, str], ...] = (("first_frame", "start_frame"), ("last_frame", "end_frame"))
    frames = {name: _media_field(item) for role, name in roles for item in at_most(request, role, 1)}
    seconds = request.seconds or 0
    if seconds <= LONGEST_WITH_FRAMES or not frames:
        return frames
    places = {"start_frame": 0, "end_frame": int(seconds * FRAMES_PER_SECOND)}
    return {"keyframes": list(frames.values()), "keyframe_indexes": [places[name] for name in frames]}


def _source_field(request: GenerationRequest, earlier: Operation | None) -> dict[str, str] | None:
    if request.action != "generate" and earlier is not None:
        return {"generation_id": earlier.id}
    sources = at_most(request, "source_video", 1)
    if request.action != "generate" and not sources:
        raise UnsupportedWish("there is no video to change", param="video")
    return _media_field(sources[0]) if sources else None


def _image_body(request: GenerationRequest) -> dict[str, Any]:
    refuse_fields(request, "resolution", "seconds")
    most = inputs_of(request.model, IMAGE_ROLES).get("reference_image")
    references = request.media_with("reference_image")
    given = references if most is None else at_most(request, "reference_image", most)
    items = [_media_field(item) for item in given]
    fields: dict[str, Any] = {"type": "image", "aspect_ratio": ratio_of(request, RATIOS)}
    if request.action == "generate":
        return fields | {"image_ref": items or None}
    if not items:
        raise UnsupportedWish("there is no image to change", param="image")
    return fields | {"type": "image_edit", "source": items[0], "image_ref": items[1:] or None}


def _media_field(item: MediaInput) -> dict[str, str]:
    if item.content is not None:
        return {"data": as_base64(item), "media_type": item.content_type}
    return {"url": public_url(item), "media_type": item.content_type}
