"""Builds BFL's requests: each model has a path and fields of its own. https://docs.bfl.ai, a page per model."""

from dataclasses import dataclass
from typing import Any, Literal

from app.errors import UpstreamRejected
from app.generation import Action, GenerationRequest, Role
from app.providers.inputs import (
    as_base64,
    at_most,
    check_request,
    extra_fields,
    nearest_ratio,
    nearest_tier,
    parse_size,
    refuse_fields,
    refuse_unsupported,
    whole_seconds,
    without_none,
)

VIDEO_RATIOS = ("auto", "21:9", "2:1", "16:9", "4:3", "1:1", "3:4", "9:16")
PICTURE_RATIOS = ("21:9", "16:9", "3:2", "4:3", "1:1", "3:4", "2:3", "9:16", "9:21")
TIERS = {"hd": 720, "fhd": 1080}
TIER_NAMES = {"720p": "hd", "1080p": "fhd"}
ACTIONS: frozenset[Action] = frozenset({"generate", "extend"})
PICTURES: frozenset[Role] = frozenset({"first_frame", "reference_image"})
RESERVED = {
    "model", "prompt", "mode", "duration", "resolution", "width", "height", "aspect_ratio", "keyframes",
    "start_video", "draft_cache", "image_prompt", "webhook_url", "webhook_secret", "api_key", "key",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class BFLModel:
    """What one family can take; its models' names begin with ``name``."""

    name: str
    kind: Literal["video", "image"] = "image"
    roles: frozenset[Role] = PICTURES
    seconds: tuple[float, float] | None = None
    field: str = "input_image"
    """The first picture's; the next ones go as ``input_image_2`` and so on."""
    most: int = 8
    step: int = 16
    """Width and height are multiples of it; 0: the model takes a ratio instead."""
    max_pixels: int | None = None


# Longer names first.
MODELS = (
    BFLModel("flux-3-video", "video", frozenset({"first_frame", "last_frame", "source_video"}), (5, 20)),
    BFLModel("flux-kontext", most=4, step=0),
    BFLModel("flux-pro-1.1-ultra", field="image_prompt", most=1, step=0),
    BFLModel("flux-pro-1.1", field="image_prompt", most=1, step=32, max_pixels=1440 * 1440),
    BFLModel("flux-pro", field="image_prompt", most=1, step=32, max_pixels=1440 * 1440),
    BFLModel("flux-dev", field="image_prompt", most=1, step=32, max_pixels=1440 * 1440),
)
NEWER = BFLModel("flux", max_pixels=4 * 1024 * 1024)
"""FLUX.2, and names unknown here."""


def model_of(name: str) -> BFLModel:
    return next((model for model in MODELS if name.startswith(model.name)), NEWER)


def path_and_body(request: GenerationRequest) -> tuple[str, dict[str, Any]]:
    """Path and body. Raises ``UpstreamRejected`` for what the model has no field for."""
    model = model_of(request.model)
    if not request.model.replace("-", "").replace(".", "").isalnum():
        raise UpstreamRejected("a model of BFL is named like flux-2-pro", param="model")
    actions = ACTIONS if model.kind == "video" else frozenset[Action]({"generate"})
    check_request(request, model.roles, kinds={model.kind}, actions=actions)
    refuse_unsupported(request, "negative_prompt", "shots")
    fields = _video_fields(request) if model.kind == "video" else _image_fields(request, model)
    fields["prompt"] = request.prompt
    reserved = RESERVED | {name for name in request.extra if name.startswith("input_image")}
    extra = extra_fields(request, reserved, sound="generate_audio" if model.kind == "video" else "")
    return f"/v1/{request.model}", extra | without_none(fields)


def _video_fields(request: GenerationRequest) -> dict[str, Any]:
    refuse_fields(request, "seed")
    first, last = at_most(request, "first_frame", 1), at_most(request, "last_frame", 1)
    clips = at_most(request, "source_video", 1)
    if last and not first:
        raise UpstreamRejected("a last frame needs a first one", param="last_frame")
    if clips and first:
        raise UpstreamRejected("a video can't be continued from frames, too", param="first_frame")
    if (request.action == "extend") != bool(clips):
        raise UpstreamRejected("a video goes in to be extended, and only then", param="video")
    mode = "i2v" if first else "v2v" if clips else "t2v"
    # BFL calls 720p and 1080p hd and fhd.
    resolution = TIER_NAMES.get((request.resolution or "").lower(), request.resolution)
    return {
        "mode": mode,
        "duration": whole_seconds(request),
        "aspect_ratio": nearest_ratio(request, VIDEO_RATIOS),
        "resolution": nearest_tier(request.model_copy(update={"resolution": resolution}), TIERS),
        "keyframes": [as_base64(item) for item in first + last] or None,
        "start_video": as_base64(clips[0]) if clips else None,
    }


def _image_fields(request: GenerationRequest, model: BFLModel) -> dict[str, Any]:
    refuse_fields(request, "seconds", "resolution")
    if len(request.media) > model.most:
        raise UpstreamRejected(f"{request.model} takes at most {model.most} image(s)", param="image")
    fields: dict[str, Any] = {"seed": request.seed}
    for number, item in enumerate(request.media, 1):
        fields[model.field if number == 1 else f"{model.field}_{number}"] = as_base64(item)
    if not model.step:
        fields["aspect_ratio"] = request.aspect_ratio or nearest_ratio(request, PICTURE_RATIOS)
        return fields
    if request.aspect_ratio and not request.size:
        raise UpstreamRejected(f"{request.model} takes a size, not an aspect_ratio", param="aspect_ratio")
    if request.size:
        width, height = (max(1, round(side / model.step)) * model.step for side in parse_size(request.size))
        fields |= {"width": width, "height": height}
    return fields
