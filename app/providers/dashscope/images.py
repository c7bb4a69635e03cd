"""Builds DashScope's image requests, for one of four paths.

https://help.aliyun.com/zh/model-studio/qwen-image-api, https://help.aliyun.com/zh/model-studio/wan-image-generation-api-reference
"""

import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from app.errors import UnsupportedWish
from app.generation import GenerationRequest, MediaKind
from app.providers.fact_checks import pick_size
from app.providers.inputs import (
    as_data_uri,
    at_most,
    check_request,
    extra_fields,
    nearest_tier,
    refuse_fields,
    without_none,
)
from app.providers.model_facts import ModelFacts, read_facts

SERVICES = "/api/v1/services/aigc"
PATHS = {
    "text": f"{SERVICES}/text2image/image-synthesis",
    "pictures": f"{SERVICES}/image2image/image-synthesis",
    "messages": f"{SERVICES}/image-generation/generation",
    "direct": f"{SERVICES}/multimodal-generation/generation",
}
"""``direct`` answers with the picture, the others with a task. ``messages`` and ``direct`` take chat messages."""
IMAGE: frozenset[MediaKind] = frozenset({"image"})
ROUND = 16
RESERVED = {
    "model", "prompt", "input", "parameters", "messages", "images", "size", "n", "enable_sequential", "stream",
}  # fmt: skip
"""What ``extra`` can't set: these choose the model, the price or the inputs."""


class PictureTraits(BaseModel):
    """The traits of a family of picture models."""

    model_config = ConfigDict(extra="forbid")

    path: Literal["text", "pictures", "messages", "direct"]


def picture_path(model: ModelFacts) -> str:
    """A name of ``PATHS``."""
    return PictureTraits.model_validate(model.traits).path


def find_picture(name: str) -> ModelFacts | None:
    """None for names that are not a picture model's."""
    model = read_facts("dashscope").find_model(name)
    return model if model is not None and model.kind == "image" else None


def known_picture(request: GenerationRequest) -> ModelFacts:
    model = find_picture(request.model)
    if model is None:
        raise UnsupportedWish(f"{request.model} makes no image", param="model")
    return model


def image_body(request: GenerationRequest) -> dict[str, Any]:
    """The body for the path of its model. Raises ``UnsupportedWish`` for what it has no field for."""
    model = known_picture(request)
    path = picture_path(model)
    check_request(request, frozenset(model.inputs), kinds=IMAGE)
    refuse_fields(request, "characters", "seconds")
    most = model.inputs.get("reference_image", 0)
    pictures = [as_data_uri(item) for item in at_most(request, "reference_image", most)]
    parameters: dict[str, Any] = {
        "size": _size_field(request, model),
        "seed": request.seed,
        "watermark": request.watermark,
        "n": 1,
    }
    fields: dict[str, Any] = {"prompt": request.prompt, "negative_prompt": request.negative_prompt}
    if path in {"messages", "direct"}:
        content = [*({"image": picture} for picture in pictures), {"text": request.prompt}]
        fields = {"messages": [{"role": "user", "content": content}]}
        parameters["negative_prompt"] = request.negative_prompt
    elif pictures:
        fields["images"] = pictures
    return {
        "model": request.model,
        "input": without_none(fields),
        "parameters": extra_fields(request, RESERVED) | without_none(parameters),
    }


def _size_field(request: GenerationRequest, model: ModelFacts) -> str | None:
    if model.sizes:
        picked = pick_size(request, model)
        return picked.replace("x", "*") if picked else None
    tier = nearest_tier(request.model_copy(update={"size": None}), model.tiers)
    if request.size:
        return request.size.replace("x", "*")
    if request.aspect_ratio is None:
        return tier
    wide, high = _aspect_sides(request)
    unit = model.tiers[tier or "1K"] / math.sqrt(wide * high)
    return f"{_round_side(wide * unit)}*{_round_side(high * unit)}"


def _aspect_sides(request: GenerationRequest) -> tuple[int, int]:
    wide, colon, high = (request.aspect_ratio or "").partition(":")
    if not (colon and wide.isdecimal() and high.isdecimal() and int(wide) and int(high)):
        text = f"aspect_ratio must be like 16:9, not {request.aspect_ratio}"
        raise UnsupportedWish(text, param="aspect_ratio")
    return int(wide), int(high)


def _round_side(length: float) -> int:
    return round(length / ROUND) * ROUND
