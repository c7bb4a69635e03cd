"""Size, aspect ratio and resolution: what the client says of them in any of their words, and what the model's name implies."""

import math
from collections.abc import Collection
from dataclasses import dataclass

from app.catalog.presets import PRESETS, ModelPreset
from app.dialects.fields.sizes import (
    RATIO_SLACK,
    TIER,
    TIER_SLACK,
    ratio_value,
    scaled_size,
    sides,
    tier_height,
)
from app.dialects.fields.words import (
    HD,
    RATIO,
    RESOLUTION,
    Stated,
    contradiction,
    one_value,
    read_text,
    read_word,
)
from app.dialects.http.body import Body
from app.dialects.http.gateway import SIZE, read_size
from app.dialects.prompt.directives import Orientation
from app.errors import InvalidRequest

RATIOS: dict[str, Orientation] = {"16:9": "landscape", "9:16": "portrait"}
"""The ratios that the manuals' names of models can be turned to."""
ORIENTATIONS = {
    "landscape": "16:9",
    "horizontal": "16:9",
    "portrait": "9:16",
    "vertical": "9:16",
    "square": "1:1",
}
STATED_SIZE = "1280x720"
"""For a model whose name implies no size, where a prompt asks for an orientation."""
HD_TIER = "1080p"


@dataclass(frozen=True, slots=True)
class Shape:
    """``size`` is ``WxH`` in pixels."""

    size: str | None
    aspect_ratio: str | None
    resolution: str | None


def read_shape(
    body: Body,
    preset: ModelPreset,
    *,
    implied: str | None,
    turned: Orientation | None = None,
    hd: bool = False,
    flags: Collection[str] = HD,
    zero_unset: bool = False,
) -> Shape:
    """What the client said wins over ``implied``, the size that the model's name or the source video has: a ratio turns
    it, a resolution scales it. ``turned`` is an orientation in the prompt, ``hd`` whether prompt or name ask for it;
    ``flags`` are the fields that ask for it and count.

    Raises ``InvalidRequest`` for words that contradict each other.
    """
    size, ratio, resolution = (
        read_pixels(body, zero_unset=zero_unset),
        _read_ratio(body),
        _read_tier(body, flags),
    )
    if ratio and preset.name in PRESETS and preset.kind == "video" and ratio.value not in RATIOS:
        raise InvalidRequest(f"{ratio.name} must be one of {', '.join(RATIOS)}", param=ratio.name)
    tier = resolution.value if resolution else HD_TIER if hd else None
    shape = ratio.value if ratio else None
    if size is not None:
        _refuse_contradictions(size, ratio, resolution)
        oriented = size.value if ratio else _oriented_size(size.value, turned)
        return _sized(oriented, shape, resolution)
    orientation = RATIOS.get(shape or "") or turned
    if implied is None and ratio is None and orientation:
        implied = STATED_SIZE
    if implied is None or (ratio and (ratio.value not in RATIOS or _is_square(implied))):
        return Shape(None, shape, tier)
    size_text = _oriented_size(implied, orientation)
    if tier is None:
        return Shape(size_text, None, None)
    scaled = scaled_size(size_text, tier)
    return Shape(scaled, None if scaled else _usual_ratio(size_text), tier)


def _sized(size: str, ratio: str | None, resolution: Stated[str] | None) -> Shape:
    """For a size that the client states: a name or a prompt that asks for hd changes nothing, a flag scales it."""
    if resolution is None or resolution.name not in HD or _is_hd(size):
        return Shape(size, ratio, resolution.value if resolution else None)
    return Shape(scaled_size(size, resolution.value), ratio, resolution.value)


def _is_hd(size: str) -> bool:
    return min(sides(size)) >= 1080 or abs(math.log(min(sides(size)) / 1080)) <= TIER_SLACK


def read_pixels(body: Body, *, zero_unset: bool = False) -> Stated[str] | None:
    """``WxH`` from ``size``, ``width`` and ``height``, or a ``resolution`` in pixels."""
    found = []
    if size := read_size(body.text("size")):
        found.append(Stated("size", size))
    if sides := _read_sides(body, low=0 if zero_unset else 1):
        found.append(Stated("width", sides))
    text = read_text(body, "resolution") or ""
    if SIZE.fullmatch(text):
        found.append(Stated("resolution", read_size(text, param="resolution") or ""))
    return one_value(found)


def is_quality_tier(body: Body) -> bool:
    """Whether ``quality`` means a resolution; other words for quality are the upstream's own."""
    value = body.value("quality")
    return isinstance(value, str) and TIER.fullmatch(value.strip()) is not None


def _read_sides(body: Body, *, low: int) -> str | None:
    width, height = body.integer("width", low=low), body.integer("height", low=low)
    if not width and not height:
        return None
    if not width or not height:
        missing = "height" if width else "width"
        raise InvalidRequest(f"{missing} is required beside the other", param=missing)
    return read_size(f"{width}x{height}", param="width")


def _read_ratio(body: Body) -> Stated[str] | None:
    def read(name: str) -> str | None:
        text = read_text(body, name)
        if text is None or name != "orientation":
            return text
        if text.lower() not in ORIENTATIONS:
            raise InvalidRequest(f"orientation must be one of {', '.join(ORIENTATIONS)}", param=name)
        return ORIENTATIONS[text.lower()]

    return read_word(RATIO, read)


def _read_tier(body: Body, flags: Collection[str]) -> Stated[str] | None:
    """The name of a resolution. Raises ``InvalidRequest`` for one below what ``hd`` asks for."""

    def read(name: str) -> str | None:
        if name == "quality" and not is_quality_tier(body):
            return None
        text = read_text(body, name)
        return None if text is None or SIZE.fullmatch(text) else text

    stated = read_word(RESOLUTION, read, same=str.lower)
    flag = next((name for name in flags if body.boolean(name)), None)
    if flag is None:
        return stated
    if stated is None:
        return Stated(flag, HD_TIER)
    height = tier_height(stated.value)
    if height is not None and height < 1080:
        raise contradiction(stated.name, flag)
    return stated


def _refuse_contradictions(
    size: Stated[str], ratio: Stated[str] | None, resolution: Stated[str] | None
) -> None:
    width, height = sides(size.value)
    value = ratio_value(ratio.value) if ratio else None
    if ratio and value and abs(math.log(width / height / value)) > RATIO_SLACK:
        raise contradiction(size.name, ratio.name)
    if resolution is None or resolution.name in HD:
        return
    tier = tier_height(resolution.value)
    if tier and abs(math.log(min(width, height) / tier)) > TIER_SLACK:
        raise contradiction(size.name, resolution.name)


def _usual_ratio(size: str) -> str:
    width, height = sides(size)
    return "1:1" if width == height else "16:9" if width > height else "9:16"


def _is_square(size: str) -> bool:
    return len(set(size.split("x"))) == 1


def _oriented_size(size: str, orientation: Orientation | None) -> str:
    if orientation is None:
        return size
    short, long = sorted(sides(size))
    return f"{long}x{short}" if orientation == "landscape" else f"{short}x{long}"
