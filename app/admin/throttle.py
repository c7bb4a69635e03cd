"""Slows down guessing: after a few failures each try must wait longer, by address and by name."""

import time
from collections import OrderedDict
from dataclasses import dataclass

from app.errors import SignInThrottled

MOST_REMEMBERED = 10_000
FORGOTTEN_SECONDS = 3600.0


@dataclass(slots=True)
class FailureRecord:
    failures: int
    last: float


@dataclass(frozen=True, slots=True)
class ThrottleRule:
    """``free`` failures cost nothing; after them the wait doubles from one second up to ``longest`` seconds."""

    free: int
    longest: float


# A name's wait stays short: whoever guesses must not be able to keep its owner out.
BY_ADDRESS = ThrottleRule(free=8, longest=900.0)
BY_NAME = ThrottleRule(free=5, longest=30.0)


class SignInThrottle:
    """In memory: a restart forgets, and each replica counts for itself."""

    def __init__(self) -> None:
        self._records: OrderedDict[tuple[str, str], FailureRecord] = OrderedDict()

    def begin_attempt(self, *, address: str, name: str | None, now: float | None = None) -> None:
        """Count a try as failed until ``succeeded`` says otherwise, so that many at once are seen.

        Raises ``SignInThrottled`` with the seconds to wait.
        """
        now = time.monotonic() if now is None else now
        places = [(("address", address), BY_ADDRESS)]
        if name is not None:
            places.append((("name", name.lower()), BY_NAME))
        wait = max(self._seconds_to_wait(place, allowance, now=now) for place, allowance in places)
        if wait > 0:
            raise SignInThrottled("Too many tries; please wait a little.", retry_after=wait)
        for place, _ in places:
            self._count_failure(place, now)

    def forget_failures(self, *, address: str, name: str | None) -> None:
        self._records.pop(("address", address), None)
        if name is not None:
            self._records.pop(("name", name.lower()), None)

    def _seconds_to_wait(self, place: tuple[str, str], allowance: ThrottleRule, *, now: float) -> float:
        record = self._records.get(place)
        if record is None or record.failures < allowance.free:
            return 0.0
        pause = min(2.0 ** min(record.failures - allowance.free, 20), allowance.longest)
        return record.last + pause - now

    def _count_failure(self, place: tuple[str, str], now: float) -> None:
        record = self._records.get(place)
        if record is None or now - record.last > FORGOTTEN_SECONDS:
            record = self._records[place] = FailureRecord(0, now)
        record.failures += 1
        record.last = now
        self._records.move_to_end(place)
        while len(self._records) > MOST_REMEMBERED:
            self._records.popitem(last=False)
