"""What many requests need and the store knows: read by one for all, kept for seconds, and read again before it ends."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Generic, TypeVar

import structlog

log = structlog.get_logger()
Value = TypeVar("Value")
RENEWED_AFTER = 0.5
"""After this share of its time a value that is in use is read again, in the background."""
PAUSE_SECONDS = 1.0
"""No second attempt in the background for this long after the store failed."""


def _report_store(error: BaseException) -> None:
    log.warning("store.unread", error=type(error).__name__)


class SharedRead(Generic[Value]):
    """The result of ``read``, kept for ``seconds`` from the moment when the reading began.

    Whoever finds it too old waits for the one read that is under way. ``away``: errors of a store that does not answer; they
    leave a kept value as it is for ``pause`` seconds at least, and are told to ``report``. Any other error, as of a key
    that is gone, ends it.
    """

    __slots__ = (
        "_away",
        "_edition",
        "_fresh_until",
        "_is_renewal",
        "_kept_edition",
        "_pause",
        "_paused_until",
        "_read",
        "_reading",
        "_reading_edition",
        "_renew_at",
        "_report",
        "_seconds",
        "last",
    )

    def __init__(
        self,
        read: Callable[[], Awaitable[Value]],
        *,
        seconds: float,
        away: tuple[type[BaseException], ...] = (),
        pause: float = PAUSE_SECONDS,
        report: Callable[[BaseException], None] = _report_store,
        first: Value | None = None,
    ) -> None:
        """``first``: what ``get_or_last`` gives while nothing could be read yet."""
        self.last: Value | None = first
        """What was read last, however old."""
        self._read = read
        self._seconds = seconds
        self._away = away
        self._pause = pause
        self._report = report
        self._edition = 0
        """Raised by each change: what a read saw that began before it is not kept for later."""
        self._kept_edition = self._reading_edition = -1
        self._fresh_until = self._renew_at = self._paused_until = 0.0
        self._reading: asyncio.Task[Value] | None = None
        self._is_renewal = False
        """Whether the read under way was begun while the value was fresh, so that nobody need wait for it."""

    def recent(self) -> Value | None:
        """The value while it is fresh, else None: at once, for hot paths. Begins to read it again when it soon ends."""
        now = monotonic()
        if now < self._renew_at:
            return self.last
        if now >= self._fresh_until:
            return None
        if self._reading is None and now >= self._paused_until:
            self._begin()
            self._is_renewal = True
        return self.last

    async def get(self) -> Value:
        """The value, at most ``seconds`` old. Raises what ``read`` raises."""
        value = self.recent()
        return await self.read() if value is None else value

    @property
    def is_fresh(self) -> bool:
        """Whether ``get`` would return ``last``, at once."""
        return self.recent() is not None

    async def read_anew(self) -> Value:
        """As it is now, also if it was read just before. Raises what ``read`` raises."""
        self.expire()
        return await self.read()

    async def get_or_last(self) -> Value:
        """The value; while the store is slow or away, what was read last. Only one call waits to find that out; a value that
        nobody has used for a while may be from long ago, and everybody waits for the next."""
        value = self.recent()
        value = self.last if value is None else value
        if value is None:
            return await self.read()
        is_slow = self._reading is not None and (self._is_renewal or self._paused_until > 0.0)
        is_current = self._reading_edition == self._edition
        if (is_slow and is_current) or monotonic() < max(self._fresh_until, self._paused_until):
            return value
        try:
            return await self.read()
        except self._away:
            return value

    async def read(self) -> Value:
        """What is read from now on, or by a read under way that no change has overtaken."""
        return await asyncio.shield(self._begin())

    def expire(self) -> None:
        """It has changed: nothing that was read, or is being read, answers for it any more."""
        self._edition += 1
        self._fresh_until = self._renew_at = 0.0

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    def _begin(self) -> asyncio.Task[Value]:
        if self._reading is None or self._reading_edition != self._edition:
            self._reading_edition, self._is_renewal = self._edition, False
            self._reading = asyncio.create_task(self._read_and_keep(self._edition))
            self._reading.add_done_callback(self._note_end)
        return self._reading

    async def _read_and_keep(self, edition: int) -> Value:
        began = monotonic()
        value = await self._read()
        self._paused_until = 0.0
        if edition >= self._kept_edition:
            self._kept_edition, self.last = edition, value
        if edition == self._edition:
            self._fresh_until = began + self._seconds
            self._renew_at = began + self._seconds * RENEWED_AFTER
        return value

    def _note_end(self, reading: "asyncio.Task[Value]") -> None:
        if self._reading is reading:
            self._reading, self._is_renewal = None, False
        error = None if reading.cancelled() else reading.exception()
        if isinstance(error, self._away):
            self._paused_until = monotonic() + self._pause
            self._report(error)
        elif error is not None:
            self.expire()
