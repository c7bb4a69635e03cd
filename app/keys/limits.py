"""Limits the requests of a key in any 60 seconds; counted in this process."""

import math
import time
from collections import deque
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Protocol

from app.errors import RateLimited
from app.keys.key import ClientKey

WINDOW_SECONDS = 60.0
KEPT_KEYS = 10_000
UNCOUNTED_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})
"""These create nothing: a client can always read, cancel and download what it has paid for."""


@dataclass(frozen=True, slots=True)
class RateDecision:
    """``reset``: seconds until one more request is possible. ``wait``: seconds that a rejected request must wait;
    None when the request is allowed."""

    limit: int
    remaining: int
    reset: float
    wait: float | None = None

    def headers(self) -> list[tuple[bytes, bytes]]:
        """OpenAI's header names, and its way to write a duration."""
        return [
            (b"x-ratelimit-limit-requests", b"%d" % self.limit),
            (b"x-ratelimit-remaining-requests", b"%d" % self.remaining),
            (b"x-ratelimit-reset-requests", f"{math.ceil(self.reset * 1000)}ms".encode()),
        ]


class RateLimiter(Protocol):
    """Counts the requests of keys."""

    async def take(self, key_id: str, limit: int) -> RateDecision:
        """Count one request, unless ``limit`` requests were counted in the last minute."""
        ...

    async def close(self) -> None: ...


class LocalLimiter:
    """Keeps the times of the last ``limit`` requests of each key. ``clock`` is in seconds."""

    def __init__(
        self, *, window: float = WINDOW_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._window = window
        self._clock = clock
        self._taken: dict[str, deque[float]] = {}

    async def take(self, key_id: str, limit: int) -> RateDecision:
        now = self._clock()
        taken = self._taken.get(key_id)
        if taken is None:
            self._forget_idle(now)
            taken = self._taken[key_id] = deque()
        while taken and taken[0] <= now - self._window:
            taken.popleft()
        allowed = len(taken) < limit
        if allowed:
            taken.append(now)
        # If the limit has been lowered, several of the oldest requests must expire first.
        oldest = taken[max(0, len(taken) - limit)]
        ahead = oldest + self._window - now
        return RateDecision(limit, max(0, limit - len(taken)), ahead, None if allowed else ahead)

    async def close(self) -> None:
        """Nothing to close."""

    def _forget_idle(self, now: float) -> None:
        """Forget keys without a request in the window, so that memory stays bounded."""
        if len(self._taken) < KEPT_KEYS:
            return
        quiet = [name for name, taken in self._taken.items() if not taken or taken[-1] <= now - self._window]
        for name in quiet:
            del self._taken[name]


async def count_request(limiter: RateLimiter, key: ClientKey, scope: MutableMapping[str, Any]) -> None:
    """Count an ASGI request that creates something, on its key and on the key's project, and put the rate limit headers of
    its response into the scope.

    The key is asked first: what its own limit refuses takes nothing from the others of its project. Raises ``RateLimited``.
    """
    if scope.get("method") in UNCOUNTED_METHODS:
        return
    tightest: RateDecision | None = None
    for holder, whose in ((key, "API key"), (key.team, "API key's project")):
        if holder is None or holder.rpm is None:
            continue
        verdict = await limiter.take(holder.id, holder.rpm)
        if tightest is None or verdict.wait is not None or verdict.remaining < tightest.remaining:
            tightest = verdict
            scope.setdefault("state", {})["headers"] = verdict.headers()
        if verdict.wait is not None:
            raise RateLimited(
                f"This {whose} may make {holder.rpm} requests a minute. Please wait {math.ceil(verdict.wait)} s.",
                retry_after=verdict.wait,
            )
