"""Request bodies of Luma's current API (Agents): one endpoint for all types; inputs as base64, URL or generation id."""

from typing import Any

from app.errors import UpstreamRejected
from app.generation import Action, GenerationRequest, MediaInput, MediaKind, Role
from app.providers.base import Capabilities, Operation
from app.providers.inputs import (
    as_base64,
    at_most,
    check_request,
    extra_fields,
    nearest_ratio,
    nearest_tier,
    public_url,
    refuse_fields,
    without_none,
)

HOST = "https://agents.lumalabs.ai/v1"
PATH = "/generations"
VIDEO_RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4", "21:9")
IMAGE_RATIOS = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "2:1", "1:2", "3:1", "1:3", "21:9")
TIERS = {"360p": 360, "540p": 540, "720p": 720, "1080p": 1080}
KINDS: frozenset[MediaKind] = frozenset({"video", "image"})
ACTIONS: frozenset[Action] = frozenset({"generate", "remix", "edit", "extend"})
VIDEO_ROLES: frozenset[Role] = frozenset({"first_frame", "last_frame", "source_video"})
IMAGE_ROLES: frozenset[Role] = frozenset({"reference_image"})
RESERVED = frozenset(
    {"model", "prompt", "type", "aspect_ratio", "image_ref", "source", "video", "layering", "web_search"}
)
PRICED_FIELDS = frozenset({"duration", "resolution", "start_frame", "end_frame", "hdr", "exr_export"})
"""Fields of ``video`` that ``extra["video"]`` must not set, because they determine the price or the inputs."""
MAX_REFERENCES = 9


def makes_images(model: str) -> bool:
    return model.startswith("uni-")


def capabilities_of(model: str) -> Capabilities:
    if makes_images(model):
        return Capabilities(kinds=frozenset({"image"}), roles=IMAGE_ROLES)
    return Capabilities(
        kinds=frozenset({"video"}), roles=VIDEO_ROLES, seconds=(5, 10), max_pixels=1920 * 1080, remix=True
    )


def path_and_body(request: GenerationRequest, earlier: Operation | None) -> tuple[str, dict[str, Any]]:
    """Path and JSON body. Raises ``UpstreamRejected`` for a value that Luma has no field for."""
    pictures = request.kind == "image"
    check_request(request, IMAGE_ROLES if pictures else VIDEO_ROLES, kinds=KINDS, actions=ACTIONS)
    refuse_fields(request, "seed", "negative_prompt", "characters")
    fields = _image_body(request) if pictures else _video_body(request, earlier)
    fields |= {"model": request.model, "prompt": request.prompt}
    return PATH, extra_fields(request, RESERVED) | without_none(fields)


def _video_body(request: GenerationRequest, earlier: Operation | None) -> dict[str, Any]:
    extra_video = request.extra.get("video")
    extra = (
        {k: v for k, v in extra_video.items() if k not in PRICED_FIELDS}
        if isinstance(extra_video, dict)
        else {}
    )
    frames = _frame_fields(request)
    source = _source_field(request, earlier)
    if request.action == "extend":
        if earlier is None or frames:
            raise UpstreamRejected("Luma extends only a video that this account made", param="video")
        frames, source = {"start_frame": {"generation_id": earlier.id}}, None
    fields = {"resolution": nearest_tier(request, TIERS), **frames}
    if source is None:
        fields["duration"] = None if request.seconds is None else f"{request.seconds:g}s"
    else:
        refuse_fields(request, "seconds")  # an edit is as long as its source
    return {
        "type": "video" if source is None else "video_edit",
        "aspect_ratio": nearest_ratio(request, VIDEO_RATIOS),
        "source": source,
        "video": extra | without_none(fields) or None,
    }


def _frame_fields(request: GenerationRequest) -> dict[str, Any]:
    roles: tuple[tuple[Role, str], ...] = (("first_frame", "start_frame"), ("last_frame", "end_frame"))
    return {name: _media_field(item) for role, name in roles for item in at_most(request, role, 1)}


def _source_field(request: GenerationRequest, earlier: Operation | None) -> dict[str, str] | None:
    if request.action != "generate" and earlier is not None:
        return {"generation_id": earlier.id}
    sources = at_most(request, "source_video", 1)
    if request.action != "generate" and not sources:
        raise UpstreamRejected("there is no video to change", param="video")
    return _media_field(sources[0]) if sources else None


def _image_body(request: GenerationRequest) -> dict[str, Any]:
    refuse_fields(request, "resolution")
    items = [_media_field(item) for item in at_most(request, "reference_image", MAX_REFERENCES)]
    fields: dict[str, Any] = {"type": "image", "aspect_ratio": nearest_ratio(request, IMAGE_RATIOS)}
    if request.action == "generate":
        return fields | {"image_ref": items or None}
    if not items:
        raise UpstreamRejected("there is no image to change", param="image")
    return fields | {"type": "image_edit", "source": items[0], "image_ref": items[1:] or None}


def _media_field(item: MediaInput) -> dict[str, str]:
    if item.content is not None:
        return {"data": as_base64(item), "media_type": item.content_type}
    return {"url": public_url(item), "media_type": item.content_type}
