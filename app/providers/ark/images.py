"""Builds the bodies of Ark's image calls (``/images/generations``), and reads their cost.

https://www.volcengine.com/docs/82379/1541523
"""

import math
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from app.errors import UnsupportedWish
from app.generation import GenerationRequest, MediaKind, Role
from app.providers.inputs import (
    as_data_uri,
    at_most,
    check_request,
    extra_fields,
    parse_size,
    refuse_fields,
    without_none,
)
from app.providers.model_facts import ModelFacts, read_facts

IMAGE: frozenset[MediaKind] = frozenset({"image"})
TIERS = {"1K": 1024, "2K": 2048, "3K": 3072, "4K": 4096}
RATIOS = {"1:1", "4:3", "3:4", "16:9", "9:16", "3:2", "2:3", "21:9", "9:21"}
PICTURES: frozenset[Role] = frozenset({"reference_image"})
ROUND = 16
RESERVED = {
    "model", "prompt", "image", "size", "n", "response_format", "stream", "sequential_image_generation",
    "sequential_image_generation_options", "tools", "layer_decomposition", "api_key",
}  # fmt: skip
"""What ``extra`` can't set: these choose the model, the account, the price, the inputs or the form of the answer."""


class PictureTraits(BaseModel):
    """The traits of a family of picture models."""

    model_config = ConfigDict(extra="forbid")

    min_pixels: int = 0
    max_pixels: int | None = None
    tier: str = "2K"
    """What it makes when only a ratio is given."""


def find_picture(name: str) -> ModelFacts | None:
    """None for a model that is not known: Ark decides."""
    return read_facts("ark").find_model(name)


def traits_of(model: ModelFacts | None) -> PictureTraits:
    return PictureTraits.model_validate(model.traits) if model else PictureTraits()


def roles_of(model: ModelFacts | None) -> frozenset[Role]:
    return PICTURES if model is None else frozenset(model.inputs)


def image_body(request: GenerationRequest) -> dict[str, Any]:
    """The body of an images call. Raises ``UnsupportedWish`` for what the model has no field for."""
    model = find_picture(request.model)
    check_request(request, roles_of(model), kinds=IMAGE if model is None else {model.kind} & IMAGE)
    refuse_fields(request, "negative_prompt", "characters", "seconds")
    given = request.media_with("reference_image")
    if model is not None and model.inputs:
        given = at_most(request, "reference_image", model.inputs["reference_image"])
    pictures = [as_data_uri(item) for item in given]
    fields: dict[str, Any] = {
        "model": request.model,
        "prompt": request.prompt,
        "image": (pictures[0] if len(pictures) == 1 else pictures) or None,
        "size": _size_field(request, traits_of(model)),
        "seed": request.seed,
        "watermark": request.watermark,
        "response_format": "url",
    }
    return extra_fields(request, RESERVED) | without_none(fields)


def usage_of(usage: Mapping[str, Any]) -> dict[str, Any]:
    return {"images": usage["generated_images"], **usage} if "generated_images" in usage else dict(usage)


def _size_field(request: GenerationRequest, model: PictureTraits) -> str | None:
    if request.size:
        return _enlarged_size(*parse_size(request.size), model)
    tier = request.resolution.upper() if request.resolution else None
    if tier is not None and tier not in TIERS:
        text = f"resolution must be one of {', '.join(TIERS)} for {request.model}, not {request.resolution}"
        raise UnsupportedWish(text, param="resolution")
    if request.aspect_ratio is None:
        return tier
    if request.aspect_ratio not in RATIOS:
        text = f"aspect_ratio must be one of {', '.join(sorted(RATIOS))}, not {request.aspect_ratio}"
        raise UnsupportedWish(text, param="aspect_ratio")
    wide, high = (int(part) for part in request.aspect_ratio.split(":"))
    unit = TIERS[tier or model.tier] / math.sqrt(wide * high)
    return _enlarged_size(_round_up(wide * unit), _round_up(high * unit), model)


def _enlarged_size(width: int, height: int, model: PictureTraits) -> str:
    """``width`` x ``height``, or the smallest size of that shape that the model makes."""
    if width * height >= model.min_pixels:
        return f"{width}x{height}"
    factor = math.sqrt(model.min_pixels / (width * height))
    return f"{_round_up(width * factor)}x{_round_up(height * factor)}"


def _round_up(length: float) -> int:
    return math.ceil(length / ROUND) * ROUND
