"""What is remembered of days that are over, so that overviews of a month read two days of it."""

import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Sums = TypeVar("Sums")
SETTLED_SECONDS = 86_400.0
"""A day that ended so long ago changes by late bills only."""
REMEMBERED_SECONDS = 3_600.0
"""After this time a late bill is seen too."""
MOST_REMEMBERED = 400


class ClosedDays(Generic[Sums]):
    """Sums by the span of a day in UTC seconds, whatever the zone that cuts it."""

    def __init__(self, *, seconds: float = REMEMBERED_SECONDS) -> None:
        self._seconds = seconds
        self._known: dict[tuple[float, float], tuple[float, Sums]] = {}
        """With when each was read."""

    async def sums(
        self, begin: float, end: float, *, now: float, read: Callable[[float, float], Awaitable[Sums]]
    ) -> Sums:
        """Of one day, read only where it is not remembered."""
        known = self._known.get((begin, end))
        if known is not None and time.monotonic() - known[0] < self._seconds:
            return known[1]
        found = await read(begin, end)
        if end <= now - SETTLED_SECONDS:
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            self._known[begin, end] = time.monotonic(), found
        return found
