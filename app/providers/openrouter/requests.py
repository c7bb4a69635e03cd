"""Builds OpenRouter request bodies: https://openrouter.ai/docs/api_reference/videos"""

from typing import Any

from app.errors import UnsupportedWish
from app.generation import Action, GenerationRequest, MediaInput
from app.providers.base import Operation
from app.providers.inputs import (
    as_data_uri,
    at_most,
    check_request,
    extra_fields,
    nearest_ratio,
    nearest_tier,
    refuse_unsupported,
    whole_seconds,
    without_none,
)
from app.providers.openrouter.listing import ListedModel, check_listed, roles_of

ACTIONS: frozenset[Action] = frozenset({"generate", "remix", "edit", "extend"})
RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "21:9", "9:21")
RESOLUTIONS = {
    "360p": 360, "480p": 480, "720p": 720, "768p": 768, "1080p": 1080, "1K": 1024, "2K": 1440, "4K": 2160,
}  # fmt: skip
RESERVED = {
    "model", "prompt", "duration", "resolution", "size", "frame_images", "input_references",
    "previous_job_id", "callback_url", "upscale_factor", "aspect_ratio", "seed", "generate_audio", "n", "api_key",
    "key",
}  # fmt: skip


def request_body(
    request: GenerationRequest, earlier: Operation | None, *, listed: ListedModel | None = None
) -> dict[str, Any]:
    """The body of ``POST /videos``. ``listed``: what OpenRouter's list says of the model, None before it was read.

    Raises ``UnsupportedWish`` for a value without a field there, and for what the list excludes.
    """
    check_request(request, roles_of(request.model, listed), actions=ACTIONS)
    if listed:
        check_listed(request, listed)
    refuse_unsupported(request, "negative_prompt", "shots")
    frames = at_most(request, "first_frame", 1) + at_most(request, "last_frame", 1)
    references = request.media_with("reference_image", "reference_video", "audio")
    if frames and references:
        raise UnsupportedWish("frames and references can't go together", param="reference_image")
    if request.action != "generate" and earlier is None:
        param = "remix_of" if request.action == "remix" else "video"
        raise UnsupportedWish("OpenRouter changes only a video that it made itself", param=param)
    fields: dict[str, Any] = {
        "model": request.model,
        "prompt": request.prompt or None,
        "duration": whole_seconds(request),
        "seed": request.seed,
        "frame_images": [_media_part(item) | {"frame_type": item.role} for item in frames] or None,
        "input_references": [_media_part(item) for item in references] or None,
        "previous_job_id": earlier.id if earlier and request.action != "generate" else None,
    }
    fields |= _size_fields(request)
    return extra_fields(request, RESERVED, sound="generate_audio") | without_none(fields)


def _size_fields(request: GenerationRequest) -> dict[str, Any]:
    """Exact pixels, or an aspect ratio and a resolution; one that is missing is taken from the client's size."""
    ratio, quality = request.aspect_ratio, request.resolution
    if not ratio and not quality:
        return {"size": request.size}
    resolution = next((word for word in RESOLUTIONS if quality and word.lower() == quality.lower()), quality)
    return {
        "aspect_ratio": ratio or nearest_ratio(request, RATIOS),
        "resolution": resolution or nearest_tier(request, RESOLUTIONS),
    }


def _media_part(item: MediaInput) -> dict[str, Any]:
    """The client's own URL if there is one, else the bytes: the vendors behind OpenRouter fetch URLs themselves."""
    medium = item.content_type.split("/")[0]
    kind = f"{medium if medium in {'audio', 'video'} else 'image'}_url"
    return {"type": kind, kind: {"url": item.url or as_data_uri(item)}}
