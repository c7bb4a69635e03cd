"""Builds DashScope's image requests, for one of four paths.

https://help.aliyun.com/zh/model-studio/qwen-image-api, https://help.aliyun.com/zh/model-studio/wan-image-generation-api-reference
"""

import math
from dataclasses import dataclass
from typing import Any

from app.errors import UpstreamRejected
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

SERVICES = "/api/v1/services/aigc"
PATHS = {
    "text": f"{SERVICES}/text2image/image-synthesis",
    "pictures": f"{SERVICES}/image2image/image-synthesis",
    "messages": f"{SERVICES}/image-generation/generation",
    "direct": f"{SERVICES}/multimodal-generation/generation",
}
"""``direct`` answers with the picture, the others with a task. ``messages`` and ``direct`` take chat messages."""
IMAGE: frozenset[MediaKind] = frozenset({"image"})
TIERS = {"1K": 1024, "2K": 2048, "4K": 4096}
QWEN_SIZES = ("1664*928", "1472*1104", "1328*1328", "1104*1472", "928*1664")
ROUND = 16
RESERVED = {
    "model", "prompt", "input", "parameters", "messages", "images", "size", "n", "enable_sequential", "stream",
}  # fmt: skip
"""What ``extra`` can't set: these choose the model, the price or the inputs."""


@dataclass(frozen=True, slots=True)
class DashScopeImageModel:
    """One family; all ``parts`` occur in its models' names."""

    parts: tuple[str, ...]
    path: str
    references: int = 0
    sizes: tuple[str, ...] = ()
    """The only sizes it makes; empty: any."""


MODELS = (
    DashScopeImageModel(("wan2.7", "image"), "messages", 9),
    DashScopeImageModel(("wan2.6", "t2i"), "messages"),
    DashScopeImageModel(("wan2.6", "image"), "messages", 4),
    DashScopeImageModel(("wan2.5", "i2i"), "pictures", 2),
    DashScopeImageModel(("wan", "t2i"), "text"),
    DashScopeImageModel(("qwen-image-edit",), "direct", 3),
    DashScopeImageModel(("qwen-image-2",), "direct", 3),
    DashScopeImageModel(("qwen-image-3",), "direct", 3),
    DashScopeImageModel(("qwen-image-max",), "direct", 0, QWEN_SIZES),
    DashScopeImageModel(("qwen-image",), "text", 0, QWEN_SIZES),
    DashScopeImageModel(("z-image",), "direct"),
)


def model_of(name: str) -> DashScopeImageModel | None:
    """None for names that are not a picture model's."""
    return next((model for model in MODELS if all(part in name.lower() for part in model.parts)), None)


def roles_of(model: DashScopeImageModel) -> frozenset[Role]:
    return frozenset({"reference_image"}) if model.references else frozenset()


def known_model(request: GenerationRequest) -> DashScopeImageModel:
    model = model_of(request.model)
    if model is None:
        raise UpstreamRejected(f"{request.model} makes no image", param="model")
    return model


def image_body(request: GenerationRequest) -> dict[str, Any]:
    """The body for the path of its model. Raises ``UpstreamRejected`` for what it has no field for."""
    model = known_model(request)
    check_request(request, roles_of(model), kinds=IMAGE)
    refuse_fields(request, "style", "characters")
    pictures = [as_data_uri(item) for item in at_most(request, "reference_image", model.references)]
    parameters: dict[str, Any] = {
        "size": _size_field(request, model),
        "seed": request.seed,
        "watermark": request.watermark,
        "n": 1,
    }
    fields: dict[str, Any] = {"prompt": request.prompt, "negative_prompt": request.negative_prompt}
    if model.path in {"messages", "direct"}:
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


def _size_field(request: GenerationRequest, model: DashScopeImageModel) -> str | None:
    tier = request.resolution.upper() if request.resolution else None
    if tier is not None and (tier not in TIERS or model.sizes):
        able = ", ".join(model.sizes or TIERS)
        text = f"resolution must be one of {able} for {request.model}, not {request.resolution}"
        raise UpstreamRejected(text, param="resolution")
    if request.size and not model.sizes:
        return request.size.replace("x", "*")
    if request.aspect_ratio is None and not request.size:
        return tier
    wide, high = parse_size(request.size) if request.size else _aspect_sides(request)
    if model.sizes:
        return min(model.sizes, key=lambda size: abs(math.log(wide / high) - math.log(_aspect_value(size))))
    unit = TIERS[tier or "1K"] / math.sqrt(wide * high)
    return f"{_round_side(wide * unit)}*{_round_side(high * unit)}"


def _aspect_sides(request: GenerationRequest) -> tuple[int, int]:
    wide, colon, high = (request.aspect_ratio or "").partition(":")
    if not (colon and wide.isdecimal() and high.isdecimal() and int(wide) and int(high)):
        text = f"aspect_ratio must be like 16:9, not {request.aspect_ratio}"
        raise UpstreamRejected(text, param="aspect_ratio")
    return int(wide), int(high)


def _aspect_value(size: str) -> float:
    width, height = parse_size(size.replace("*", "x"))
    return width / height


def _round_side(length: float) -> int:
    return round(length / ROUND) * ROUND
