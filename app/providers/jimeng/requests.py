"""Builds Jimeng's requests: a ``req_key`` for each kind of work, and its fields. https://www.volcengine.com/docs/85621"""

from typing import Any

from pydantic import BaseModel, ConfigDict

from app.errors import UnsupportedWish
from app.generation import GenerationRequest, MediaInput, Role
from app.providers.fact_checks import settle_request
from app.providers.inputs import (
    as_base64,
    at_most,
    check_request,
    extra_fields,
    nearest_tier,
    public_url,
    refuse_fields,
    told_ratio,
    whole_seconds,
    without_none,
)
from app.providers.model_facts import ModelFacts, read_facts

RATIOS = ("16:9", "4:3", "1:1", "3:4", "9:16", "21:9")
"""For models that are not known."""
FRAME_RATE = 24
RESERVED = {
    "req_key", "prompt", "frames", "binary_data_base64", "image_urls", "image_base64", "aspect_ratio", "callback_url",
}  # fmt: skip
"""What ``extra`` can't set: these choose the model, the price or the inputs."""
FAMILY = "jimeng_v30"
"""A name of our own: the ``req_key`` follows from the frames and the resolution."""
FAMILY_KEYS = {
    (0, "720p"): "jimeng_t2v_v30",
    (0, "1080p"): "jimeng_t2v_v30_1080p",
    (1, "720p"): "jimeng_i2v_first_v30",
    (1, "1080p"): "jimeng_i2v_first_v30_1080",
    (2, "720p"): "jimeng_i2v_first_tail_v30",
    (2, "1080p"): "jimeng_i2v_first_tail_v30_1080",
}
ROLES: frozenset[Role] = frozenset({"first_frame", "last_frame"})


class JimengTraits(BaseModel):
    """The traits of one ``req_key``."""

    model_config = ConfigDict(extra="forbid")

    frames: tuple[int, ...]
    """How many frames it takes."""
    template: bool = False
    """It needs a ``template_id``."""


def find_model(name: str) -> ModelFacts | None:
    return read_facts("jimeng").find_model(name)


def roles_of(model: ModelFacts | None) -> frozenset[Role]:
    return ROLES if model is None else frozenset(model.inputs)


def request_body(request: GenerationRequest) -> dict[str, Any]:
    """The body of a submit, ``req_key`` first. Raises ``UnsupportedWish`` for what it has no field for."""
    model = find_model(request.model)
    request = settle_request(request, model)
    check_request(request, roles_of(model))
    refuse_fields(request, "negative_prompt", "characters")
    if request.watermark:
        raise UnsupportedWish(f"{request.model} sets no watermark", param="watermark")
    frames = (*at_most(request, "first_frame", 1), *at_most(request, "last_frame", 1))
    _check_frames(request, model, frames)
    seconds = _checked_seconds(request, model)
    fields: dict[str, Any] = {
        "req_key": _request_key(request, model, len(frames)),
        "prompt": request.prompt,
        "seed": request.seed,
        "frames": None if seconds is None else FRAME_RATE * seconds + 1,
        "aspect_ratio": _ratio_field(request, model, framed=bool(frames)),
    }
    if any(item.content is None for item in frames):
        fields["image_urls"] = [public_url(item) for item in frames]
    elif frames:
        fields["binary_data_base64"] = [as_base64(item) for item in frames]
    return extra_fields(request, RESERVED) | without_none(fields)


def _check_frames(
    request: GenerationRequest, model: ModelFacts | None, frames: tuple[MediaInput, ...]
) -> None:
    if frames and frames[0].role == "last_frame":
        raise UnsupportedWish("a last frame needs a first frame", param="last_frame")
    if model is None:
        return
    traits = JimengTraits.model_validate(model.traits)
    if len(frames) not in traits.frames:
        wanted = " or ".join(str(number) for number in traits.frames)
        text = f"{request.model} takes {wanted} frame(s), not {len(frames)}"
        missing = "last_frame" if frames and max(traits.frames) > len(frames) else "input_reference"
        raise UnsupportedWish(text, param=missing)
    if traits.template and not request.extra.get("template_id"):
        raise UnsupportedWish(f"{request.model} needs a template_id", param="template_id")


def _request_key(request: GenerationRequest, model: ModelFacts | None, frames: int) -> str:
    if model is None:
        # It has no field for a resolution, and none is known to be its own.
        refuse_fields(request, "resolution")
        return request.model
    tier = nearest_tier(request, model.tiers)
    return FAMILY_KEYS[frames, tier or "720p"] if request.model == FAMILY else request.model


def _ratio_field(request: GenerationRequest, model: ModelFacts | None, *, framed: bool) -> str | None:
    """The picture has a shape of its own; there is no field for another one."""
    if framed:
        refuse_fields(request, "aspect_ratio")
        if request.model != FAMILY:
            refuse_fields(request, "size")
        return None
    return told_ratio(request, model.ratios if model else (), usual=RATIOS)


def _checked_seconds(request: GenerationRequest, model: ModelFacts | None) -> int | None:
    seconds = whole_seconds(request)
    if model is not None and seconds is not None and seconds not in model.lengths:
        able = " or ".join(f"{length:g}" for length in model.lengths)
        text = f"seconds must be {able} for {request.model}, not {seconds}"
        raise UnsupportedWish(text, param="seconds")
    return seconds
