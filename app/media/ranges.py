"""The header arithmetic of partial and conditional downloads (RFC 9110, sections 13 and 14)."""

import re
from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime

from app.errors import RangeNotSatisfiable

ONE_RANGE = re.compile(r"\s*bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.IGNORECASE)


def parse_range(value: str, size: int) -> tuple[int, int] | None:
    """First byte and the one after the last; None when the whole file is the right answer.

    Several ranges, other units and nonsense count as no range. Raises ``RangeNotSatisfiable``.
    """
    match = ONE_RANGE.fullmatch(value)
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1 if last else size)
        if last and int(last) < int(first):
            return None
    if start >= size:
        raise RangeNotSatisfiable(size)
    return start, end


def is_unchanged(if_none_match: str, etag: str) -> bool:
    """Whether the client has this very file; a weak comparison, as the RFC wants it here."""
    known = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in known or etag.removeprefix("W/") in known


def range_applies(if_range: str, *, etag: str, modified: datetime) -> bool:
    """Whether ``If-Range`` still holds; without the header it always does."""
    if not if_range:
        return True
    if '"' in if_range:
        return if_range == etag and not etag.startswith("W/")
    try:
        return parsedate_to_datetime(if_range) == modified.replace(microsecond=0)
    except (ValueError, TypeError):
        return False


def http_date(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)
