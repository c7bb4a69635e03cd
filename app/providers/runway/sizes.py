"""Runway's size fields: pixels as ``W:H``, a shape with a resolution, or ``auto_720p``."""

import math
from collections.abc import Sequence
from typing import Any

from app.errors import UpstreamRejected
from app.generation import GenerationRequest
from app.providers.inputs import nearest_ratio, parse_size, refuse_fields
from app.providers.runway.models import RunwayModel, SizeForm

USUAL_TIERS = ("720p", "1080p")
MAX_RATIO_DIFFERENCE = 0.1
"""Ratios that differ by more than this from the requested one are refused."""
EQUAL_RATIO_DIFFERENCE = 0.02


def size_fields(request: GenerationRequest, model: RunwayModel, *, size_form: SizeForm) -> dict[str, Any]:
    """Raises ``UpstreamRejected`` for a size that the model does not have."""
    if size_form == "none":
        refuse_fields(request, "size", "resolution")
        if not model.shapes:
            refuse_fields(request, "aspect_ratio")
            return {}
        # Aleph is the only model that can extend a source to another shape.
        return {"targetAspectRatio": nearest_ratio(request, model.shapes)}
    if size_form == "auto":
        return {"ratio": f"auto_{_quality_tier(request, USUAL_TIERS) or USUAL_TIERS[0]}"}
    if size_form == "resolution":
        return {"resolution": _quality_tier(request, model.tiers or USUAL_TIERS)}
    if model.shapes or model.tiers:
        shape = nearest_ratio(request, model.shapes) if model.shapes else None
        return {"ratio": shape, "resolution": _quality_tier(request, model.tiers)}
    if not model.ratios:
        ratio = request.size.replace("x", ":") if request.size else request.aspect_ratio
        return {"ratio": ratio, "resolution": request.resolution}
    return {"ratio": _nearest_ratio(request, model)}


def _nearest_ratio(request: GenerationRequest, model: RunwayModel) -> str | None:
    """The exact size, else the closest ratio of the model, and among equal ratios the closest area."""
    exact = (request.size or "").replace("x", ":")
    if exact in model.ratios or (exact and request.kind == "image"):
        return exact  # image models have more sizes than are listed here
    shape = exact or request.aspect_ratio
    if not shape and not request.resolution:
        return model.ratios[0] if model.needs_ratio else None
    wanted = _ratio_value(shape or model.ratios[0])
    off = {word: abs(_ratio_value(word) / wanted - 1) for word in model.ratios}
    if min(off.values()) > MAX_RATIO_DIFFERENCE:
        ratios, param = ", ".join(model.ratios), "size" if exact else "aspect_ratio"
        raise UpstreamRejected(f"{request.model} has only the sizes {ratios}", param=param)
    alike = [word for word in model.ratios if off[word] <= min(off.values()) + EQUAL_RATIO_DIFFERENCE]
    area = _wanted_area(request)
    return min(alike, key=lambda word: abs(math.log(math.prod(_ratio_sides(word)) / area)))


def _quality_tier(request: GenerationRequest, tiers: Sequence[str]) -> str | None:
    if request.resolution:
        if request.resolution.lower() not in tiers:
            text = f"resolution must be one of {', '.join(tiers)} for {request.model}"
            raise UpstreamRejected(text, param="resolution")
        return request.resolution.lower()
    if not request.size:
        return None
    lines = min(parse_size(request.size))
    return min(tiers, key=lambda tier: abs(_tier_lines(tier) - lines))


def _wanted_area(request: GenerationRequest) -> float:
    """Pixels of the request. A resolution counts as the lines of a 16:9 frame; default 720p."""
    if request.size:
        return math.prod(parse_size(request.size))
    return _tier_lines(request.resolution or "720p") ** 2 * 16 / 9


def _tier_lines(tier: str) -> int:
    number = tier.lower().removesuffix("p")
    lines = {"2k": 1440, "4k": 2160}.get(number)
    if lines is None and not number.isdecimal():
        raise UpstreamRejected(f"resolution {tier} can't be read", param="resolution")
    return lines or int(number)


def _ratio_sides(ratio: str) -> tuple[int, int]:
    width, _, height = ratio.partition(":")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise UpstreamRejected(f"aspect_ratio {ratio} can't be read", param="aspect_ratio")
    return int(width), int(height)


def _ratio_value(ratio: str) -> float:
    width, height = _ratio_sides(ratio)
    return width / height
