"""Which language a client reads: Chinese, as the manuals' programs do, unless its ``Accept-Language`` says otherwise."""

import re
from collections.abc import Mapping
from typing import Literal

Language = Literal["zh", "en"]

RANGE = re.compile(
    r"\s*([a-z]{1,8}|\*)(?:-[a-z0-9-]{1,40})?\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*)?", re.I | re.A
)
LONGEST_HEADER = 1000


def language_of(headers: Mapping[str, str]) -> Language:
    """English for a client that names languages and prefers another one to Chinese."""
    chinese = other = 0.0
    for part in headers.get("accept-language", "")[:LONGEST_HEADER].split(","):
        match = RANGE.fullmatch(part)
        if match is None or match[1] == "*":
            continue
        weight = float(match[2] or 1)
        if match[1].lower() == "zh":
            chinese = max(chinese, weight)
        else:
            other = max(other, weight)
    return "en" if other > chinese else "zh"
