"""Request bodies of Luma's legacy API (Dream Machine), which takes inputs only as public URLs."""

from collections.abc import Mapping
from typing import Any

from app.errors import UnsupportedWish
from app.generation import Action, GenerationRequest, MediaKind, Role
from app.providers.base import Operation
from app.providers.fact_checks import settle_request
from app.providers.inputs import (
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

HOST = "https://api.lumalabs.ai/dream-machine/v1"
RATIOS = ("1:1", "16:9", "9:16", "4:3", "3:4", "21:9", "9:21")
TIERS: Mapping[str, int] = {"540p": 540, "720p": 720, "1080p": 1080, "4k": 2160}
KINDS: frozenset[MediaKind] = frozenset({"video", "image"})
ACTIONS: frozenset[Action] = frozenset({"generate", "edit", "extend"})
VIDEO_ROLES: frozenset[Role] = frozenset({"first_frame", "last_frame", "source_video"})
IMAGE_ROLES: frozenset[Role] = frozenset({"reference_image"})
RESERVED = frozenset(
    {"model", "prompt", "generation_type", "duration", "resolution", "aspect_ratio", "keyframes", "media"}
    | {"first_frame", "callback_url", "image_ref", "sync"}
)
DEFAULT_MODE = "flex_1"
"""How much ``modify`` may change its source when ``extra`` has no ``mode``."""


def makes_images(model: str) -> bool:
    return model.startswith("photon")


def path_and_body(request: GenerationRequest, earlier: Operation | None) -> tuple[str, dict[str, Any]]:
    """Path and JSON body. Raises ``UnsupportedWish`` for a value that Luma has no field for."""
    pictures, request = request.kind == "image", settle_request(request, model_of(request.model))
    roles = inputs_of(request.model, IMAGE_ROLES if pictures else VIDEO_ROLES)
    check_request(request, roles, kinds=KINDS, actions=ACTIONS)
    refuse_fields(request, "seed", "negative_prompt", "characters")
    refuse_flags(request, "watermark")
    fields = {"model": request.model, "prompt": request.prompt or None}
    if pictures:
        path, more = "/generations/image", _image_body(request)
    elif request.media_with("source_video"):
        path, more = "/generations/video/modify", _modify_body(request)
    else:
        path, more = "/generations/video", _video_body(request, earlier)
    uses = ("format",) if pictures else ("mode",) if request.media_with("source_video") else ()
    body = extra_fields(request, RESERVED, uses=uses) | fields | more
    return path, without_none(body)


def _video_body(request: GenerationRequest, earlier: Operation | None) -> dict[str, Any]:
    frames: dict[str, Any] = {}
    roles: tuple[tuple[Role, str], ...] = (("first_frame", "frame0"), ("last_frame", "frame1"))
    for role, name in roles:
        for item in at_most(request, role, 1):
            frames[name] = {"type": "image", "url": public_url(item)}
    if request.action != "generate":
        if request.action != "extend" or earlier is None or "frame0" in frames:
            raise UnsupportedWish("there is no video of this account to change", param="video")
        frames["frame0"] = {"type": "generation", "id": earlier.id}
    seconds = whole_seconds(request)
    return {
        "generation_type": "video",
        "aspect_ratio": ratio_of(request, RATIOS),
        "resolution": resolution_of(request, TIERS),
        "duration": None if seconds is None else f"{seconds}s",
        "keyframes": frames or None,
    }


def _modify_body(request: GenerationRequest) -> dict[str, Any]:
    refuse_fields(request, "seconds", "size", "aspect_ratio", "resolution")
    if request.action == "extend" or request.media_with("last_frame"):
        raise UnsupportedWish("Luma changes a source video, but neither extends nor ends it", param="video")
    source, first = at_most(request, "source_video", 1), at_most(request, "first_frame", 1)
    return {
        "generation_type": "modify_video",
        "media": {"url": public_url(source[0])},
        "mode": request.extra.get("mode", DEFAULT_MODE),
        "first_frame": {"url": public_url(first[0])} if first else None,
    }


def _image_body(request: GenerationRequest) -> dict[str, Any]:
    refuse_fields(request, "resolution", "seconds")
    most = inputs_of(request.model, IMAGE_ROLES).get("reference_image")
    given = request.media if most is None else at_most(request, "reference_image", most)
    references = [{"url": public_url(item)} for item in given]
    return {
        "generation_type": "image",
        "aspect_ratio": ratio_of(request, RATIOS),
        "format": request.extra.get("format", "png"),
        "image_ref": references or None,
    }
