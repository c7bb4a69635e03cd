"""Request bodies of Luma's legacy API (Dream Machine), which takes inputs only as public URLs."""

from typing import Any

from app.errors import UpstreamRejected
from app.generation import Action, GenerationRequest, MediaKind, Role
from app.providers.base import Capabilities, Operation
from app.providers.inputs import (
    at_most,
    check_request,
    extra_fields,
    nearest_ratio,
    nearest_tier,
    public_url,
    refuse_fields,
    without_none,
)

HOST = "https://api.lumalabs.ai/dream-machine/v1"
RATIOS = ("1:1", "16:9", "9:16", "4:3", "3:4", "21:9", "9:21")
TIERS = {"540p": 540, "720p": 720, "1080p": 1080, "4k": 2160}
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


def capabilities_of(model: str) -> Capabilities:
    if makes_images(model):
        return Capabilities(kinds=frozenset({"image"}), roles=IMAGE_ROLES, cancel=True)
    return Capabilities(
        kinds=frozenset({"video"}), roles=VIDEO_ROLES, seconds=(5, 9), max_pixels=3840 * 2160, cancel=True
    )


def path_and_body(request: GenerationRequest, earlier: Operation | None) -> tuple[str, dict[str, Any]]:
    """Path and JSON body. Raises ``UpstreamRejected`` for a value that Luma has no field for."""
    pictures = request.kind == "image"
    check_request(request, IMAGE_ROLES if pictures else VIDEO_ROLES, kinds=KINDS, actions=ACTIONS)
    refuse_fields(request, "seed", "negative_prompt", "characters")
    fields = {"model": request.model, "prompt": request.prompt or None}
    if pictures:
        path, more = "/generations/image", _image_body(request)
    elif request.media_with("source_video"):
        path, more = "/generations/video/modify", _modify_body(request)
    else:
        path, more = "/generations/video", _video_body(request, earlier)
    body = extra_fields(request, RESERVED) | fields | more
    return path, without_none(body)


def _video_body(request: GenerationRequest, earlier: Operation | None) -> dict[str, Any]:
    frames: dict[str, Any] = {}
    roles: tuple[tuple[Role, str], ...] = (("first_frame", "frame0"), ("last_frame", "frame1"))
    for role, name in roles:
        for item in at_most(request, role, 1):
            frames[name] = {"type": "image", "url": public_url(item)}
    if request.action != "generate":
        if request.action != "extend" or earlier is None or "frame0" in frames:
            raise UpstreamRejected("there is no video of this account to change", param="video")
        frames["frame0"] = {"type": "generation", "id": earlier.id}
    return {
        "generation_type": "video",
        "aspect_ratio": nearest_ratio(request, RATIOS),
        "resolution": nearest_tier(request, TIERS),
        "duration": None if request.seconds is None else f"{request.seconds:g}s",
        "keyframes": frames or None,
    }


def _modify_body(request: GenerationRequest) -> dict[str, Any]:
    refuse_fields(request, "seconds", "size", "aspect_ratio", "resolution")
    if request.action == "extend" or request.media_with("last_frame"):
        raise UpstreamRejected("Luma changes a source video, but neither extends nor ends it", param="video")
    source, first = at_most(request, "source_video", 1), at_most(request, "first_frame", 1)
    return {
        "generation_type": "modify_video",
        "media": {"url": public_url(source[0])},
        "mode": request.extra.get("mode", DEFAULT_MODE),
        "first_frame": {"url": public_url(first[0])} if first else None,
    }


def _image_body(request: GenerationRequest) -> dict[str, Any]:
    refuse_fields(request, "resolution")
    references = [{"url": public_url(item)} for item in request.media]
    image_format = request.extra.get("format")
    return {
        "generation_type": "image",
        "aspect_ratio": nearest_ratio(request, RATIOS),
        "format": image_format if image_format in {"jpg", "png"} else "png",
        "image_ref": references or None,
    }
