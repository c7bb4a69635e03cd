"""Days of a time zone: where they begin, and the day that a stored minute belongs to."""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sqlalchemy as sa

from app.errors import InvalidRequest

UTC_ZONE = ZoneInfo("UTC")
MINUTES_PER_DAY = 1440
FIRST_DAY = date(1970, 1, 1)


@lru_cache(maxsize=1000)
def read_zone(name: str, *, param: str = "zone") -> ZoneInfo:
    """By its IANA name, like ``Asia/Shanghai``; UTC for an empty one. Raises ``InvalidRequest``."""
    if not name:
        return UTC_ZONE
    try:
        return ZoneInfo(name) if len(name) <= 64 and name.isascii() else _no_zone(param)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return _no_zone(param)


def _no_zone(param: str) -> ZoneInfo:
    raise InvalidRequest(f"{param} must be the name of a time zone, like Asia/Shanghai", param=param)


def start_of_day(day: date, zone: ZoneInfo) -> float:
    """UTC seconds of its first moment; where the clocks skip midnight, that is one o'clock."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()


def day_at(at: float, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(at, zone).date()


def day_of_number(number: int) -> date:
    """The day that is so many days after the first of 1970."""
    return FIRST_DAY + timedelta(days=number)


def offset_spans(zone: ZoneInfo, since: float, until: float) -> list[tuple[int, int]]:
    """How far the zone's clocks are ahead of UTC: up to each minute (since 1970; the last is the end), so many minutes."""
    spans: list[tuple[int, int]] = []
    begin, end = int(since // 60), int(until // 60) + 1
    while begin < end:
        after = min(begin + MINUTES_PER_DAY, end)
        offset = _offset_at(begin, zone)
        if _offset_at(after, zone) != offset:
            after = _change_between(begin, after, zone)
        if spans and spans[-1][1] == offset:
            spans.pop()
        spans.append((after, offset))
        begin = after
    return spans


def day_number(minute: sa.ColumnElement[int], spans: list[tuple[int, int]]) -> sa.ColumnElement[int]:
    """The local day of a minute, counted from the first of 1970, in SQL."""
    days = [(bound, (minute + offset) // MINUTES_PER_DAY) for bound, offset in spans]
    if len(days) < 2:
        return days[0][1] if days else minute // MINUTES_PER_DAY
    return sa.case(*((minute < bound, day) for bound, day in days[:-1]), else_=days[-1][1])


def _offset_at(minute: int, zone: ZoneInfo) -> int:
    ahead = datetime.fromtimestamp(minute * 60, UTC).astimezone(zone).utcoffset()
    return int(ahead.total_seconds() // 60) if ahead is not None else 0


def _change_between(low: int, high: int, zone: ZoneInfo) -> int:
    """The first minute of another offset than that at ``low``."""
    before = _offset_at(low, zone)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset_at(middle, zone) == before else (low, middle)
    return high
