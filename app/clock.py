"""The time: a wall clock that may be set at any moment, held against one that only counts seconds.

Everything that is stored or compared with what is stored takes its time from ``now``, so that a jump of the wall clock
changes nothing for as long as it may still be a mistake. What can't be undone (deleting files and rows, failing a task for
its deadline, refilling a quota) asks ``has_passed`` or ``sure_now``: they say no while the two clocks disagree. A jump is
accepted once the new time has stood for ``SETTLE_SECONDS``, because the clock may have been wrong before it. Seconds between
two looks of one process are measured with ``time.monotonic`` alone; what others must be told (signatures, tokens of a
vendor) takes the wall clock as it is.
"""

import time
from collections.abc import Callable

import structlog

log = structlog.get_logger()
JUMP_SECONDS = 30.0
"""Clocks that drift apart by less between two looks are being adjusted, not set."""
SETTLE_SECONDS = 600.0
"""A new time that has stood for so long is the time."""
ADVICE = (
    "Nothing is deleted or given up for its age until the new time has stood for {minutes:.0f} minutes. "
    "If it is wrong, set the clock of this machine (NTP) before that."
)


def read_sleep() -> float:
    """Seconds that this machine was suspended since it was started, where the system counts them."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return 0.0 if boot is None else time.clock_gettime(boot) - time.monotonic()


class SteadyClock:
    """UTC seconds that ignore a jump of the wall clock until it has stood for a while."""

    def __init__(
        self,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[], float] = read_sleep,
    ) -> None:
        self._wall, self._monotonic, self._sleep = wall, monotonic, sleep
        counted = monotonic()
        self._offset = wall() - counted
        """Wall time less counted seconds, as long as they agree."""
        self._slept = sleep()
        self._jump: tuple[float, float] | None = None
        """The offset after a jump that is not accepted yet, and when it was first seen (counted seconds)."""
        self._sure_from = counted

    def now(self) -> float:
        wall = self._wall()
        offset = wall - self._monotonic()
        if self._jump is not None or abs(offset - self._offset) > JUMP_SECONDS:
            return self._look()[0]
        self._offset = offset
        return wall

    def sure_now(self) -> float | None:
        """The time for what can't be undone; None while it is in doubt."""
        moment, counted = self._look()
        return moment if self._jump is None and counted >= self._sure_from else None

    def has_passed(self, moment: float) -> bool:
        """Whether ``moment`` (UTC seconds) is surely over."""
        sure = self.sure_now()
        return sure is not None and moment < sure

    def continue_from(self, last_seen: float | None) -> None:
        """Call at the start of a process with the time that an earlier one noted last."""
        if last_seen is None:
            return
        counted = self._monotonic()
        ahead = self._wall() - last_seen
        if ahead < -JUMP_SECONDS:
            self._offset = last_seen - counted  # the jump back is seen at the next look
        elif ahead > SETTLE_SECONDS:
            # Down for long, or a wrong clock: that can't be told apart, so the wall clock is followed and not trusted.
            self._sure_from = counted + SETTLE_SECONDS
            log.warning("clock.unconfirmed", seconds_since_last_sweep=round(ahead), advice=_advice())

    def _look(self) -> tuple[float, float]:
        """The time, and the counted seconds at which it was read."""
        wall, counted = self._wall(), self._monotonic()
        offset = wall - counted
        if abs(offset - self._offset) > JUMP_SECONDS:
            self._judge_jump(offset, counted)
        else:
            if self._jump is not None:
                log.info("clock.returned")
            self._offset, self._jump = offset, None
        return counted + self._offset, counted

    def _judge_jump(self, offset: float, counted: float) -> None:
        change, slept = offset - self._offset, self._sleep()
        if counted < self._sure_from or abs(change - (slept - self._slept)) <= JUMP_SECONDS:
            # The machine slept, or its clock was not trusted anyway: follow it at once, and wait from here.
            self._accept(offset, slept)
            self._sure_from = counted + SETTLE_SECONDS
            log.warning("clock.followed", seconds=round(change), advice=_advice())
        elif self._jump is None or abs(offset - self._jump[0]) > JUMP_SECONDS:
            self._jump = offset, counted
            log.error("clock.jumped", seconds=round(change), advice=_advice())
        elif counted - self._jump[1] >= SETTLE_SECONDS:
            self._accept(offset, slept)
            log.warning("clock.accepted", seconds=round(change))

    def _accept(self, offset: float, slept: float) -> None:
        self._offset, self._slept, self._jump = offset, slept, None


def _advice() -> str:
    return ADVICE.format(minutes=SETTLE_SECONDS / 60)


CLOCK = SteadyClock()
"""The one of this process: there is one wall clock to watch."""
now = CLOCK.now
sure_now = CLOCK.sure_now
has_passed = CLOCK.has_passed
