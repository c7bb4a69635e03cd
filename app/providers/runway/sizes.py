"""Runway's size fields: pixels as ``W:H``, a shape with a resolution, or ``auto_720p``."""

import math
from collections.abc import Sequence
from typing import Any

from app.errors import UnsupportedWish
from app.generation import GenerationRequest
from app.providers.inputs import SAME_SHAPE, nearest_ratio, nearest_tier, parse_size, refuse_fields
from app.providers.runway.models import AUTO, Endpoint

SAME_AREA = math.log(1.8)
"""How far the pixels of a film may be off those asked for: tiers of Runway's models lie further apart."""
EQUAL_RATIO_DIFFERENCE = 0.02


def size_fields(
    request: GenerationRequest, endpoint: Endpoint | None, *, follows_input: bool
) -> dict[str, Any]:
    """``follows_input``: the film has the shape of a picture or video that goes along. Raises ``UnsupportedWish`` for a
    size that the model does not make."""
    if endpoint is None:
        ratio = request.size.replace("x", ":") if request.size else request.aspect_ratio
        return {"ratio": ratio, "resolution": request.resolution}
    if endpoint.target:
        # Aleph extends a source to another shape, and keeps its quality.
        refuse_fields(request, "size", "resolution")
        return {"targetAspectRatio": nearest_ratio(request, endpoint.target)}
    if endpoint.pixel_ratios and not (follows_input and endpoint.auto_tiers and _only_quality(request)):
        return {"ratio": _pixel_ratio(request, endpoint)}
    if not follows_input and not endpoint.shapes:
        _refuse_shapes(request)
    tiers = endpoint.auto_tiers or endpoint.resolution
    if endpoint.shapes:
        shape = nearest_ratio(request, endpoint.shapes)
        return {"ratio": shape, "resolution": _tier_of(request, tiers)}
    refuse_fields(request, "aspect_ratio")
    tier = _tier_of(request, tiers)
    return {"ratio": tier and AUTO + tier} if endpoint.auto_tiers else {"resolution": tier}


def _only_quality(request: GenerationRequest) -> bool:
    return bool(request.resolution) and not request.size and not request.aspect_ratio


def _refuse_shapes(request: GenerationRequest) -> None:
    """A model without a field for the shape makes 16:9 from text."""
    refuse_fields(request, "aspect_ratio")
    nearest_ratio(request, ("16:9",))


def _tier_of(request: GenerationRequest, tiers: Sequence[str]) -> str | None:
    if not tiers:
        refuse_fields(request, "size", "resolution")
        return None
    return nearest_tier(request, {tier: _tier_lines(tier) for tier in tiers})


def _pixel_ratio(request: GenerationRequest, endpoint: Endpoint) -> str | None:
    """The exact size, else the closest ratio of the model, and among equal ratios the closest area."""
    ratios = endpoint.pixel_ratios
    exact = (request.size or "").replace("x", ":")
    if exact in ratios:
        return exact
    usual = min(ratios, key=_squareness) if request.kind == "image" else ratios[0]
    shape = exact or request.aspect_ratio
    if not shape and not request.resolution:
        return usual if "ratio" in endpoint.needs else None
    wanted, param = _ratio_value(shape or usual), "size" if exact else "aspect_ratio"
    off = {word: abs(_ratio_value(word) / wanted - 1) for word in ratios}
    if min(off.values()) > SAME_SHAPE:
        raise UnsupportedWish(f"{request.model} has only the sizes {', '.join(ratios)}", param=param)
    alike = [word for word in ratios if off[word] <= min(off.values()) + EQUAL_RATIO_DIFFERENCE]
    area = _wanted_area(request)
    distance = {word: abs(math.log(math.prod(_ratio_sides(word)) / area)) for word in alike}
    nearest = min(alike, key=lambda word: distance[word])
    if (request.size or request.resolution) and distance[nearest] > SAME_AREA:
        param = "size" if request.size else "resolution"
        raise UnsupportedWish(f"{request.model} has only the sizes {', '.join(ratios)}", param=param)
    return nearest


def _squareness(ratio: str) -> tuple[float, int]:
    """The least for the smallest square."""
    return abs(math.log(_ratio_value(ratio))), math.prod(_ratio_sides(ratio))


def _wanted_area(request: GenerationRequest) -> float:
    """Pixels of the request. A resolution counts as the lines of a 16:9 frame; default 720p."""
    if request.size:
        return math.prod(parse_size(request.size))
    return _tier_lines(request.resolution or "720p") ** 2 * 16 / 9


def _tier_lines(tier: str) -> int:
    number = tier.lower().removesuffix("p")
    lines = {"2k": 1440, "4k": 2160}.get(number)
    if lines is None and not number.isdecimal():
        raise UnsupportedWish(f"resolution {tier} can't be read", param="resolution")
    return lines or int(number)


def _ratio_sides(ratio: str) -> tuple[int, int]:
    width, _, height = ratio.partition(":")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise UnsupportedWish(f"aspect_ratio {ratio} can't be read", param="aspect_ratio")
    return int(width), int(height)


def _ratio_value(ratio: str) -> float:
    width, height = _ratio_sides(ratio)
    return width / height
