"""Lengths and sizes that an upstream's model does not make, fitted to those that it makes where the operator allows it.

By default nothing is fitted: the request is refused. The names of the manuals that state a length (``PRESETS``) are the
exception: they take the next longer length that the model makes, and our copy of the film is trimmed to the stated one.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from app.catalog.presets import ModelPreset
from app.generation import GenerationRequest
from app.providers.base import Account, Capabilities, Fit, RouteFit
from app.providers.inputs import SAME_SHAPE, SAME_TIER, lines_of, parse_size

HD = "1080p"
SHAPE = re.compile(r"(\d+(?:\.\d+)?):(\d+(?:\.\d+)?)", re.ASCII)


@dataclass(frozen=True, slots=True)
class FittingRules:
    """What may be made in place of what is asked. ``preset_seconds`` and ``hd`` are what the model's public name states."""

    lengths: RouteFit = "exact"
    sizes: Fit = "exact"
    preset_seconds: int | None = None
    hd: bool = False

    @classmethod
    def of(
        cls,
        account: Account,
        preset: ModelPreset | None,
        *,
        lengths: RouteFit | None = None,
        sizes: Fit | None = None,
    ) -> "FittingRules":
        """``lengths`` and ``sizes`` of a route's line stand above the account's."""
        return cls(
            lengths=lengths or account.lengths,
            sizes=sizes or account.sizes,
            preset_seconds=preset.seconds if preset else None,
            hd=preset.hd if preset else False,
        )


EXACT = FittingRules()


class Fitting(BaseModel):
    """What a client asked for and what its upstream is asked for instead, by field of the request; what is not named is as
    asked. ``trim_to``: the length in seconds to which our copy is cut."""

    model_config = ConfigDict(frozen=True)

    asked: dict[str, float | str | None]
    made: dict[str, float | str | None]
    trim_to: float | None = None

    def applied_to(self, request: GenerationRequest) -> GenerationRequest:
        """The request as the upstream gets it. A storyboard of another length stands in its prompt."""
        shots = {"shots": ()} if "seconds" in self.made else {}
        return request.model_copy(update={**self.made, **shots})

    def as_document(self) -> dict[str, Any]:
        return self.model_dump(exclude_none=True)


def fit_request(request: GenerationRequest, able: Capabilities, rules: FittingRules) -> Fitting | None:
    """None where the request stays as it is, also where it can't be fitted: then the upstream's refusal stands."""
    if request.kind not in ("video", "image"):
        return None
    changed: dict[str, float | str | None] = {}
    trim_to = None
    if request.kind == "video" and request.seconds is not None and not (request.shots and able.native_shots):
        seconds, trim_to = _fit_seconds(request.seconds, able, rules, may_trim=request.action == "generate")
        changed |= {"seconds": seconds}
    changed |= _fit_shape(request, able, rules)
    changed = {name: value for name, value in changed.items() if value != getattr(request, name)}
    if not changed:
        return None
    asked = {name: getattr(request, name) for name in changed}
    return Fitting(asked=asked, made=changed, trim_to=trim_to)


# ---- lengths ------------------------------------------------------------------------------------


def _fit_seconds(
    asked: float, able: Capabilities, rules: FittingRules, *, may_trim: bool
) -> tuple[float, float | None]:
    """The length to ask for, and the one to trim to."""
    if _is_made(asked, able):
        return asked, None
    longer = _next_longer(asked, able)
    if asked == rules.preset_seconds and may_trim and longer is not None:
        return longer, asked
    if rules.lengths == "at_least":
        return longer or asked, None
    if rules.lengths == "nearest":
        shorter = _next_shorter(asked, able)
        near = [each for each in (longer, shorter) if each is not None]
        return min(near, key=lambda length: abs(length - asked), default=asked), None
    return asked, None


def _is_made(asked: float, able: Capabilities) -> bool:
    if able.lengths:
        return asked in able.lengths
    return able.seconds is None or able.seconds[0] <= asked <= able.seconds[1]


def _next_longer(asked: float, able: Capabilities) -> float | None:
    lengths = able.lengths or (able.seconds or ())[:1]
    return min((length for length in lengths if length > asked), default=None)


def _next_shorter(asked: float, able: Capabilities) -> float | None:
    lengths = able.lengths or (able.seconds or ())[1:]
    return max((length for length in lengths if length < asked), default=None)


# ---- sizes --------------------------------------------------------------------------------------


def _fit_shape(
    request: GenerationRequest, able: Capabilities, rules: FittingRules
) -> dict[str, float | str | None]:
    """New values of ``size``, ``resolution`` and ``aspect_ratio``."""
    wants_hd = rules.hd and request.kind == "video" and _asks_for_hd(request)
    if able.sizes and not able.tiers:
        return _fit_size(request, able.sizes, rules, wants_hd=wants_hd)
    changed: dict[str, float | str | None] = {}
    resolution = HD if wants_hd else request.resolution
    if resolution:
        fit: Fit = "nearest" if wants_hd else rules.sizes
        word = _fit_tier(lines_of(resolution), able.tiers, fit, asked=resolution)
        changed["resolution"] = word
        if wants_hd and request.size:
            changed["size"] = _size_below(request.size, able, lines=able.tiers.get(word or "", 0))
    elif request.size and able.tiers and rules.sizes != "exact":
        changed["resolution"] = _tier_for_size(min(parse_size(request.size)), able.tiers, rules.sizes)
    if able.ratios and rules.sizes == "nearest":
        changed["aspect_ratio"] = _fit_ratio(request, able.ratios)
    return changed


def _asks_for_hd(request: GenerationRequest) -> bool:
    """A size without a resolution is the client's own, which stands above the name."""
    return request.resolution == HD or (request.resolution is None and request.size is None)


def _size_below(size: str, able: Capabilities, *, lines: int) -> str:
    """The HD ``size`` as a model makes it that has fewer ``lines`` or pixels: of the same shape, in even numbers."""
    width, height = parse_size(size)
    factor = lines / min(width, height) if lines else 1.0
    if able.max_pixels:
        factor = min(factor, math.sqrt(able.max_pixels / (width * height)))
    if factor >= 1:
        return size
    return f"{math.floor(width * factor / 2) * 2}x{math.floor(height * factor / 2) * 2}"


def _fit_size(
    request: GenerationRequest, sizes: Iterable[str], rules: FittingRules, *, wants_hd: bool
) -> dict[str, float | str | None]:
    """For a model that makes these sizes only. An HD name asks for the one that is nearest to its shape in 1080p."""
    if request.size is None:
        return {}
    width, height = parse_size(request.size)
    if wants_hd:
        scale = 1080 / min(width, height)
        return {"size": _nearest_size(width * scale, height * scale, sizes), "resolution": None}
    if request.size in sizes or rules.sizes == "exact":
        return {}
    able = sizes
    if rules.sizes == "at_least":
        able = [size for size in sizes if _covers(parse_size(size), (width, height))]
    return {"size": _nearest_size(width, height, able)} if able else {}


def _nearest_size(width: float, height: float, sizes: Iterable[str]) -> str:
    """By how much either side would have to grow or shrink; the larger one of equals."""

    def distance(size: str) -> tuple[float, float]:
        wide, high = parse_size(size)
        return round(abs(math.log(wide / width)) + abs(math.log(high / height)), 6), -wide * high

    return min(sorted(sizes), key=distance)


def _covers(size: tuple[int, int], wanted: tuple[int, int]) -> bool:
    return size[0] >= wanted[0] and size[1] >= wanted[1]


def _tier_for_size(side: int, tiers: Mapping[str, int], fit: Fit) -> str | None:
    """The tier for a size with this short side; None where adapters take that one anyway."""
    usual = _nearest_tier(side, tiers)
    chosen = _fit_tier(side, tiers, fit)
    is_same = abs(math.log(tiers[usual] / side)) <= math.log1p(SAME_TIER)
    return None if chosen is None or (is_same and chosen == usual) else chosen


def _fit_tier(side: int, tiers: Mapping[str, int], fit: Fit, *, asked: str | None = None) -> str | None:
    """The vendor's word for a resolution with this short side; ``asked`` itself where nothing fits or nothing is known."""
    same = next((word for word in tiers if asked and word.lower() == asked.lower()), None)
    if same or fit == "exact" or not side:
        return same or asked
    able = {word: lines for word, lines in tiers.items() if fit == "nearest" or lines >= side}
    return _nearest_tier(side, able) if able else asked


def _nearest_tier(side: int, tiers: Mapping[str, int]) -> str:
    """The larger one of equals."""
    return min(tiers, key=lambda word: (round(abs(math.log(tiers[word] / side)), 6), -tiers[word]))


def _fit_ratio(request: GenerationRequest, ratios: Sequence[str]) -> str | None:
    """The nearest shape that is made, where the asked one, or that of the size, is none of them."""
    shapes = {ratio: shape for ratio in ratios if (shape := _shape(ratio))}
    asked, wide = request.aspect_ratio, 0.0
    if asked and asked not in ratios:
        wide = _shape(asked)
    elif not asked and request.size:
        width, height = parse_size(request.size)
        wide = width / height
    if not wide or not shapes:
        return asked
    nearest = min(shapes, key=lambda ratio: abs(math.log(shapes[ratio] / wide)))
    is_same = not asked and abs(math.log(shapes[nearest] / wide)) <= math.log1p(SAME_SHAPE)
    return None if is_same else nearest


def _shape(ratio: str) -> float:
    """Width by height; 0 for a word like ``auto``."""
    match = SHAPE.fullmatch(ratio)
    return float(match[1]) / float(match[2]) if match and float(match[2]) else 0.0
