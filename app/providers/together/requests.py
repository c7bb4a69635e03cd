"""Builds the body of ``/v2/videos``, as together's own ``VideoCreateParams`` has it."""

from typing import Any

from app.errors import UnsupportedWish
from app.generation import Action, GenerationRequest, MediaInput, Role
from app.providers.fact_checks import pick_size, settle_request
from app.providers.inputs import (
    as_data_uri,
    at_most,
    check_request,
    extra_fields,
    nearest_ratio,
    nearest_tier,
    parse_size,
    public_url,
    refuse_unsupported,
    whole_seconds,
    without_none,
)
from app.providers.model_facts import ModelFacts, read_facts

ROLES: frozenset[Role] = frozenset(
    {"first_frame", "last_frame", "reference_image", "reference_video", "source_video", "audio"}
)
ACTIONS: frozenset[Action] = frozenset({"generate", "edit"})
RESERVED = {
    "model", "prompt", "seconds", "duration", "width", "height", "size", "resolution", "ratio", "media",
    "frame_images", "frame_videos", "reference_images", "reference_videos", "source_video", "audio_inputs", "n",
    "api_key",
}  # fmt: skip
"""Fields that ``extra`` must not set: they choose the model, the account, the price or the inputs."""


def facts_of(model: str) -> ModelFacts | None:
    return read_facts("together").find_model(model)


def request_body(request: GenerationRequest) -> dict[str, Any]:
    """Raises ``UnsupportedWish`` for a value without a field there."""
    facts = facts_of(request.model)
    request = settle_request(request, facts)
    check_request(request, set(facts.inputs) if facts else ROLES, actions=ACTIONS)
    refuse_unsupported(request)
    if request.action == "edit" and not request.media_with("source_video"):
        raise UnsupportedWish(f"{request.model} changes only a video that is sent along", param="video")
    seconds = whole_seconds(request)
    fields: dict[str, Any] = {
        "model": request.model,
        "prompt": request.prompt or None,
        "seconds": None if seconds is None else str(seconds),
        "seed": request.seed,
        "negative_prompt": request.negative_prompt,
        "media": _media(request) or None,
        **_shape_fields(request, facts),
    }
    return extra_fields(request, RESERVED, sound="generate_audio") | without_none(fields)


def _shape_fields(request: GenerationRequest, facts: ModelFacts | None) -> dict[str, Any]:
    """Pixels for a model that makes only some sizes, else its ratio and resolution. An unknown model is told the client's
    words."""
    if facts and facts.sizes:
        return _pixels(pick_size(request, facts))
    if facts is None:
        told = {"ratio": request.aspect_ratio, "resolution": request.resolution}
        return _pixels(request.size) | told
    tier, words = nearest_tier(request, facts.tiers), facts.traits.get("resolutions", {})
    return {"ratio": nearest_ratio(request, facts.ratios), "resolution": words.get(tier, tier)}


def _pixels(size: str | None) -> dict[str, Any]:
    if size is None:
        return {}
    width, height = parse_size(size)
    return {"width": width, "height": height}


def _media(request: GenerationRequest) -> dict[str, Any]:
    frames = [("first", item) for item in at_most(request, "first_frame", 1)]
    frames += [("last", item) for item in at_most(request, "last_frame", 1)]
    source = at_most(request, "source_video", 1)
    parts = {
        "frame_images": [{"input_image": _picture(item), "frame": place} for place, item in frames],
        "reference_images": [_picture(item) for item in request.media_with("reference_image")],
        "reference_videos": [{"video": public_url(item)} for item in request.media_with("reference_video")],
        "source_video": {"video": public_url(source[0])} if source else None,
        "audio_inputs": [{"audio": public_url(item)} for item in request.media_with("audio")],
    }
    return {name: part for name, part in parts.items() if part}


def _picture(item: MediaInput) -> str:
    return item.url or as_data_uri(item)
