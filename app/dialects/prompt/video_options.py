"""Fields that several dialects share, with the manuals' rules on them."""

import math
import re

from app.catalog.presets import PRESETS, STYLES, ModelPreset
from app.dialects.http.body import Body
from app.dialects.http.gateway import Gateway, read_size
from app.dialects.http.media_sources import read_source
from app.dialects.prompt.directives import Directives, Orientation
from app.errors import InvalidRequest
from app.generation import MediaInput
from app.keys.key import ClientKey
from app.tasks.characters import ClipRange

MOMENT = re.compile(r"\s*(\d{1,5}(?:\.\d{1,3})?)\s*[,，]\s*(\d{1,5}(?:\.\d{1,3})?)\s*")
SHORTEST_MOMENT, LONGEST_MOMENT = 1.0, 3.0
RATIOS: dict[str, Orientation] = {"16:9": "landscape", "9:16": "portrait"}
CHARACTER_FIELDS = ("character_url", "character_timestamps")
STATED_SIZES = "1280x720"
SORA = ("sora-2", "sora-2-pro")
SORA_SECONDS = 10
LONGEST_SECONDS = 3_600


def read_hd(body: Body, preset: ModelPreset) -> bool:
    """Whether ``hd`` is requested. Raises ``InvalidRequest`` for a preset without hd."""
    hd = body.boolean("hd") or False
    if hd and preset.name in PRESETS and "pro" not in preset.needs:
        raise InvalidRequest(f"hd is only for sora-2-pro, not for {preset.name}", param="hd")
    return hd


def read_resolution(body: Body, *, hd: bool) -> str | None:
    """``resolution``, or 1080p for ``hd`` and ``enable_upsample``."""
    upsample = body.boolean("enable_upsample")
    return body.text("resolution") or ("1080p" if hd or upsample else None)


def video_seconds(preset: ModelPreset, seconds: int | None) -> float | None:
    """The requested seconds, else those in the model's name, else the manuals' default for Sora."""
    return seconds or preset.seconds or (SORA_SECONDS if preset.base in SORA else None)


def size_and_ratio(
    body: Body, preset: ModelPreset, directives: Directives, *, ratio_name: str = "aspect_ratio"
) -> tuple[str | None, str | None]:
    """``size`` (``WxH``) and ``aspect_ratio``. A ratio rotates the size of the preset, or replaces a square one."""
    ratio = body.text(ratio_name) or None
    if ratio and preset.name in PRESETS and preset.kind == "video" and ratio not in RATIOS:
        raise InvalidRequest(f"{ratio_name} must be one of {', '.join(RATIOS)}", param=ratio_name)
    size = read_size(body.text("size"))
    if size:
        return _oriented_size(size, directives.orientation), ratio
    orientation = RATIOS.get(ratio or "") or directives.orientation
    if preset.size is None and ratio is None and orientation:
        return _oriented_size(STATED_SIZES, orientation), None
    if preset.size is None or (ratio and (ratio not in RATIOS or _is_square(preset.size))):
        return None, ratio
    return _oriented_size(preset.size, orientation), None


def read_style(body: Body, *, directive: str | None = None) -> str | None:
    """``style``, else the style in the prompt. Raises ``InvalidRequest`` with the list of styles."""
    style = body.text("style") or directive
    if style and style not in STYLES:
        raise InvalidRequest(f"style must be one of {', '.join(STYLES)}", param="style")
    return style or None


def read_time_span(body: Body, name: str) -> ClipRange | None:
    """``start,end`` in seconds, one to three seconds apart. Raises ``InvalidRequest``."""
    text = body.text(name)
    if not text:
        return None
    match = MOMENT.fullmatch(text)
    if match is None:
        raise InvalidRequest(f"{name} must be start,end in seconds, like 1,3", param=name)
    start, end = float(match[1]), float(match[2])
    length = end - start
    if length < SHORTEST_MOMENT and not math.isclose(length, SHORTEST_MOMENT):
        raise InvalidRequest(f"{name} must span at least {SHORTEST_MOMENT:g} second", param=name)
    if length > LONGEST_MOMENT and not math.isclose(length, LONGEST_MOMENT):
        raise InvalidRequest(f"{name} must span at most {LONGEST_MOMENT:g} seconds", param=name)
    return ClipRange(start, end, param=name)


async def read_character(body: Body, services: Gateway, key: ClientKey) -> list[MediaInput]:
    """The character in ``character_url``, which is created on first use."""
    moment = read_time_span(body, "character_timestamps")
    source = body.source("character_url")
    if source is None:
        if moment is not None:
            raise InvalidRequest("character_timestamps needs character_url", param="character_timestamps")
        return []
    clip = await read_source(source, services, role="source_video", param="character_url")
    character = await services.characters.create(clip, key=key, clip_range=moment, param="character_url")
    return [character.as_input()]


def _is_square(size: str) -> bool:
    return len(set(size.split("x"))) == 1


def _oriented_size(size: str, orientation: Orientation | None) -> str:
    if orientation is None:
        return size
    short, long = sorted(int(part) for part in size.split("x"))
    return f"{long}x{short}" if orientation == "landscape" else f"{short}x{long}"
