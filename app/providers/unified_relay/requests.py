"""Builds request bodies of the unified task API, ``/v2/{scope}/generations``."""

import re
from collections.abc import Collection
from typing import Any

from app.errors import UnsupportedWish
from app.generation import Action, GenerationRequest, Kind, Role
from app.providers.base import Operation
from app.providers.gateway import HD_FROM, without_empty
from app.providers.inputs import (
    as_data_uri,
    check_request,
    extra_fields,
    nearest_ratio,
    parse_size,
    public_url,
    refuse_fields,
)

MEDIA_KINDS: frozenset[Kind] = frozenset({"video", "image", "audio"})
ACTIONS: Collection[Action] = ("generate", "edit")
ROLES: frozenset[Role] = frozenset(
    {"first_frame", "last_frame", "reference_image", "subject", "source_video", "reference_video"}
)
RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "21:9")
RESERVED = {
    "model", "prompt", "duration", "seconds", "size", "aspect_ratio", "resolution", "hd", "enable_upsample",
    "images", "videos", "notify_hook", "api_key", "key",
}  # fmt: skip
"""Fields that ``extra`` must not set: they choose the model, the account, the price or the inputs."""
TIMESTAMPS = re.compile(r"\d+(\.\d+)?,\d+(\.\d+)?")


def request_body(request: GenerationRequest, *, references: int) -> dict[str, Any]:
    """JSON body. Raises ``UnsupportedWish`` for a value that has no field."""
    check_request(request, ROLES, kinds=MEDIA_KINDS, actions=ACTIONS)
    refuse_fields(request, "shots")
    images = _image_inputs(request)
    if len(images) > references:
        raise UnsupportedWish(f"{request.model} takes {references} image(s)", param="images")
    clips = request.media_with("source_video", "reference_video")
    fields = {
        "model": request.model,
        "prompt": request.prompt,
        # A string, as in the manual of this API.
        "duration": f"{request.seconds:g}" if request.seconds is not None else None,
        "aspect_ratio": request.aspect_ratio or nearest_ratio(request, RATIOS),
        "size": request.size,
        "resolution": request.resolution,
        "images": images,
        "videos": [as_data_uri(clip) for clip in clips],
        "watermark": request.watermark,
        "private": request.private or None,
        "style": request.style,
        "seed": request.seed,
        "negative_prompt": request.negative_prompt,
    }
    return (
        extra_fields(request, RESERVED, sound="generate_audio")
        | without_empty(fields)
        | _high_definition(request)
    )


def character_fields(request: GenerationRequest, earlier: Operation | None) -> dict[str, Any]:
    """JSON body of ``/sora/v1/characters``: from a video at a public URL, or from one that the gateway made."""
    clips = request.media_with("source_video", "reference_video")
    extra = request.extra
    timestamps = str(extra.get("timestamps") or extra.get("character_timestamps") or "")
    if not TIMESTAMPS.fullmatch(timestamps):
        raise UnsupportedWish("timestamps must be like 1,3 (seconds)", param="timestamps")
    if clips:
        return {"url": public_url(clips[0]), "timestamps": timestamps}
    if earlier is None:
        raise UnsupportedWish("a character is made from a video", param="url")
    return {"from_task": earlier.id, "timestamps": timestamps}


def _image_inputs(request: GenerationRequest) -> list[str]:
    """One list without roles: the gateway tells frames and references apart by order and model name."""
    frames = request.media_with("first_frame") + request.media_with("last_frame")
    others = request.media_with("reference_image", "subject")
    if request.media_with("last_frame") and (others or not request.media_with("first_frame")):
        raise UnsupportedWish(f"{request.model} takes a last frame only after a first one", param="images")
    return [as_data_uri(image) for image in frames + others]


def _high_definition(request: GenerationRequest) -> dict[str, Any]:
    high = (request.resolution or "").lower() in {"1080p", "hd"}
    if not high and not (request.size and min(parse_size(request.size)) >= HD_FROM):
        return {}
    if request.model.startswith("veo"):
        return {"enable_upsample": True}
    return {"hd": True} if request.model.startswith("sora-2-pro") else {}
