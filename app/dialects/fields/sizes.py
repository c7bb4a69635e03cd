"""Arithmetic of sizes, ratios and the names of resolutions."""

import math
import re

TIER = re.compile(r"(\d{3,4})p|([24])k", re.IGNORECASE | re.ASCII)
TIERS_IN_K = {"2": 1440, "4": 2160}
RATIO_SLACK, TIER_SLACK = 0.08, 0.2
"""How far a size may be from a ratio, or its short side from a tier, as a logarithm: 1280x704 is 16:9, 1792x1024 is 1080p."""
WIDE = 16 / 9
USUAL_SIDE = 720


def stated_size(ratio: str | None, tier: str | None) -> str | None:
    """A size of this ratio and resolution, upright as OpenAI's where only the resolution is said; None where neither is."""
    if not ratio and not tier:
        return None
    wide = ratio_value(ratio or "") or 1 / WIDE
    short = tier_height(tier or "") or USUAL_SIDE
    long = round(short * max(wide, 1 / wide) / 2) * 2
    return f"{long}x{short}" if wide > 1 else f"{short}x{long}"


def scaled_size(size: str, tier: str) -> str | None:
    """``size`` with the short side of ``tier``; None for a tier that names no height."""
    short = tier_height(tier)
    if short is None:
        return None
    width, height = sides(size)
    ratio = max(width, height) / min(width, height)
    if abs(math.log(ratio / WIDE)) <= RATIO_SLACK:
        ratio = WIDE
    long = round(short * ratio / 2) * 2
    return f"{long}x{short}" if width > height else f"{short}x{long}"


def tier_height(tier: str) -> int | None:
    match = TIER.fullmatch(tier.strip())
    if match is None:
        return None
    return int(match[1]) if match[1] else TIERS_IN_K[match[2]]


def ratio_value(ratio: str) -> float | None:
    match = re.fullmatch(r"(\d{1,4}):(\d{1,4})", ratio)
    return int(match[1]) / int(match[2]) if match and int(match[1]) and int(match[2]) else None


def sides(size: str) -> tuple[int, int]:
    width, height = (int(side) for side in size.split("x"))
    return width, height
