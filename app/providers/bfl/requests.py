"""Builds BFL's requests: each model has a path and fields of its own. https://docs.bfl.ai, a page per model."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from app.errors import UnsupportedWish
from app.generation import Action, GenerationRequest, Role
from app.json_bodies import fold_name
from app.providers.fact_checks import settle_request
from app.providers.inputs import (
    GENERATE,
    as_base64,
    at_most,
    check_request,
    extra_fields,
    nearest_ratio,
    parse_size,
    refuse_fields,
    refuse_flags,
    told_ratio,
    told_tier,
    whole_seconds,
    without_none,
)
from app.providers.model_facts import ModelFacts, read_facts

PICTURE_RATIOS = ("21:9", "16:9", "3:2", "4:3", "1:1", "3:4", "2:3", "9:16", "9:21")
VIDEO_RATIOS = ("auto", "21:9", "2:1", "16:9", "4:3", "1:1", "3:4", "9:16")
TIERS = {"hd": 720, "fhd": 1080}
"""For videos that are not known."""
TIER_NAMES = {"720p": "hd", "1080p": "fhd"}
ACTIONS: frozenset[Action] = frozenset({"generate", "extend"})
PICTURES: frozenset[Role] = frozenset({"first_frame", "reference_image"})
CLIPS: frozenset[Role] = frozenset({"first_frame", "last_frame", "source_video"})
RESERVED = {
    "model", "prompt", "mode", "duration", "resolution", "width", "height", "aspect_ratio", "keyframes",
    "start_video", "draft_cache", "image_prompt", "webhook_url", "webhook_secret", "api_key", "key",
}  # fmt: skip


class PictureTraits(BaseModel):
    """The traits of a family of picture models."""

    model_config = ConfigDict(extra="forbid")

    field: str = "input_image"
    """The first picture's; the next ones go as ``input_image_2`` and so on."""
    most: int | None = None
    """The most pictures, of whatever role."""
    step: int = 16
    """Width and height are multiples of it; 0: the model takes a ratio instead."""
    max_pixels: int | None = None


def find_model(name: str) -> ModelFacts | None:
    return read_facts("bfl").find_model(name)


def kind_of(name: str) -> Literal["video", "image"]:
    model = find_model(name)
    is_video = "video" in name if model is None else model.kind == "video"
    return "video" if is_video else "image"


def picture_traits(name: str) -> PictureTraits:
    model = find_model(name)
    return PictureTraits.model_validate(model.traits) if model else PictureTraits()


def path_and_body(request: GenerationRequest) -> tuple[str, dict[str, Any]]:
    """Path and body. Raises ``UnsupportedWish`` for what the model has no field for."""
    if not request.model.replace("-", "").replace(".", "").isalnum():
        raise UnsupportedWish("a model of BFL is named like flux-2-pro", param="model")
    model, kind = find_model(request.model), kind_of(request.model)
    request = settle_request(request, model)
    roles = frozenset(model.inputs) if model else CLIPS if kind == "video" else PICTURES
    check_request(request, roles, kinds={kind}, actions=ACTIONS if kind == "video" else GENERATE)
    refuse_fields(request, "characters", "negative_prompt")
    refuse_flags(request, "watermark")
    fields = _video_fields(request, model) if kind == "video" else _image_fields(request)
    fields["prompt"] = request.prompt
    reserved = RESERVED | {name for name in request.extra if fold_name(name).startswith("input_image")}
    extra = extra_fields(request, reserved, sound="generate_audio" if kind == "video" else "")
    return f"/v1/{request.model}", extra | without_none(fields)


def _video_fields(request: GenerationRequest, model: ModelFacts | None) -> dict[str, Any]:
    refuse_fields(request, "seed")
    first, last = at_most(request, "first_frame", 1), at_most(request, "last_frame", 1)
    clips = at_most(request, "source_video", 1)
    if last and not first:
        raise UnsupportedWish("a last frame needs a first one", param="last_frame")
    if clips and first:
        raise UnsupportedWish("a video can't be continued from frames, too", param="first_frame")
    if (request.action == "extend") != bool(clips):
        raise UnsupportedWish("a video goes in to be extended, and only then", param="video")
    mode = "i2v" if first else "v2v" if clips else "t2v"
    # BFL calls 720p and 1080p hd and fhd.
    resolution = TIER_NAMES.get((request.resolution or "").lower(), request.resolution)
    named = request.model_copy(update={"resolution": resolution})
    return {
        "mode": mode,
        "duration": whole_seconds(request),
        "aspect_ratio": told_ratio(request, model.ratios if model else (), usual=VIDEO_RATIOS),
        "resolution": told_tier(named, model.tiers if model else {}, usual=TIERS),
        "keyframes": [as_base64(item) for item in first + last] or None,
        "start_video": as_base64(clips[0]) if clips else None,
    }


def _image_fields(request: GenerationRequest) -> dict[str, Any]:
    refuse_fields(request, "seconds", "resolution")
    traits = picture_traits(request.model)
    if traits.most is not None and len(request.media) > traits.most:
        text = f"{request.model} takes at most {traits.most} image(s)"
        raise UnsupportedWish(text, param=request.media[traits.most].role)
    fields: dict[str, Any] = {"seed": request.seed}
    for number, item in enumerate(request.media, 1):
        fields[traits.field if number == 1 else f"{traits.field}_{number}"] = as_base64(item)
    if not traits.step:
        fields["aspect_ratio"] = request.aspect_ratio or nearest_ratio(request, PICTURE_RATIOS)
        return fields
    if request.aspect_ratio and not request.size:
        raise UnsupportedWish(f"{request.model} takes a size, not an aspect_ratio", param="aspect_ratio")
    if request.size:
        width, height = (max(1, round(side / traits.step)) * traits.step for side in parse_size(request.size))
        fields |= {"width": width, "height": height}
    return fields
