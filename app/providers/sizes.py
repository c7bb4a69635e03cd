"""Sizes in vendors' words: a ratio and a quality tier, from what the client wrote."""

import math
from collections.abc import Mapping, Sequence

from app.errors import UpstreamRejected
from app.generation import GenerationRequest


def nearest_ratio(request: GenerationRequest, able: Sequence[str]) -> str | None:
    """The client's own ratio, else the one in ``able`` nearest to its size; None when it named neither.

    Raises ``UpstreamRejected`` for a ratio that is not in ``able``.
    """
    if request.aspect_ratio:
        if request.aspect_ratio not in able:
            known = ", ".join(able)
            text = f"aspect_ratio must be one of {known} for {request.model}, not {request.aspect_ratio}"
            raise UpstreamRejected(text, param="aspect_ratio")
        return request.aspect_ratio
    if not request.size:
        return None
    width, height = parse_size(request.size)
    named = [word for word in able if ":" in word]
    return min(named, key=lambda word: abs(math.log(width / height / _ratio_value(word))))


def nearest_tier(request: GenerationRequest, able: Mapping[str, int]) -> str | None:
    """The client's own resolution, else the one whose short side (``able``, in pixels) is nearest to its size's.

    Raises ``UpstreamRejected`` for a resolution that is not in ``able``.
    """
    if request.resolution:
        found = next((word for word in able if word.lower() == request.resolution.lower()), None)
        if found is None:
            known = ", ".join(able)
            text = f"resolution must be one of {known} for {request.model}, not {request.resolution}"
            raise UpstreamRejected(text, param="resolution")
        return found
    if not request.size:
        return None
    short = min(parse_size(request.size))
    return min(able, key=lambda word: abs(math.log(able[word] / short)))


def parse_size(size: str) -> tuple[int, int]:
    """Width and height of ``WxH``."""
    width, height = (int(part) for part in size.lower().split("x"))
    return width, height


def _ratio_value(ratio: str) -> float:
    width, height = ratio.split(":")
    return float(width) / float(height)
