"""When a request wants to be made: its ``priority`` and its ``start_after``."""

from datetime import datetime

from app import clock
from app.dialects.http.body import Body
from app.errors import InvalidRequest

LONGEST_WAIT = 30 * 86_400.0
"""Seconds: money is reserved, and inputs are kept, for as long."""


def read_priority(body: Body) -> int | None:
    """-1, 0 or 1. Raises ``InvalidRequest``."""
    return body.integer("priority", low=-1, high=1)


def read_start(body: Body) -> float | None:
    """UTC seconds, from seconds or an ISO 8601 moment with its zone; a moment that is over is now. Raises
    ``InvalidRequest``."""
    value = body.value("start_after")
    if value is None or value == "":
        return None
    moment = _moment_of(value)
    if moment is None or not 0 <= moment <= clock.now() + LONGEST_WAIT:
        raise InvalidRequest(
            "start_after must be seconds since 1970, or a moment like 2026-12-24T18:00:00Z, at most 30 days from now",
            param="start_after",
        )
    return moment


def _moment_of(value: object) -> float | None:
    """None for what is no moment."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, str):
        return None
    text = value.strip()
    if text.replace(".", "", 1).isdecimal() and len(text) < 30:
        return float(text)
    try:
        read = datetime.fromisoformat(text)
        return read.timestamp() if read.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
