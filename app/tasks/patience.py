"""When a run gives up on what a vendor holds: never after one look, and never on the word of something in between."""

import time
from dataclasses import dataclass, field

from app import clock
from app.errors import FilmgateError, LabelsFailed, PayloadTooLarge, ResultUnreadable

LOST_SECONDS = 600.0
"""A vendor that for so long says that it does not know an operation has lost it: its reads may lag behind its writes,
and a deployment may answer in its place for minutes."""
GONE_SECONDS = 3600.0
"""The same for work that it has finished: its links may live on."""
LOST_LOOKS = 5
OVERDUE_SECONDS = 24 * 3600.0
"""A task past its deadline ends at the vendor's next answer; without any, so much later."""
RESULT_SECONDS = 24 * 3600.0
"""A result is fetched for so long after it was made: vendors' links live for ten minutes to a day."""
UNREADABLE_ATTEMPTS = 8
"""Copies of a result that was whole and was no film (or too large) before it is given up."""
BUSY_ATTEMPTS = 4
"""Failed copies before a task gives its slot back: its vendor has done its work."""
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0


class LostWatch:
    """Whether a vendor has said for long enough that it does not know an operation, without any other answer."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: float | None = None
        self._looks = 0

    def record_answer(self) -> None:
        self._since, self._looks = None, 0

    def record_missing(self) -> None:
        self._since = time.monotonic() if self._since is None else self._since
        self._looks += 1

    @property
    def is_lost(self) -> bool:
        lasting = self._since is not None and time.monotonic() - self._since >= self._seconds
        return lasting and self._looks >= LOST_LOOKS


@dataclass(slots=True)
class ResultPatience:
    """How long the result of one finished operation is fetched. ``until``: the task's deadline, in UTC seconds."""

    made_at: float
    until: float
    attempts: int = 0
    vendor: LostWatch = field(default_factory=lambda: LostWatch(GONE_SECONDS))
    is_kept: bool = False
    """It lies in our store and lacks its labels: no link can expire any more."""
    _unreadable: int = 0
    _pause: float = field(default_factory=lambda: FIRST_PAUSE_SECONDS)

    def record_failure(self, error: FilmgateError | OSError) -> None:
        self.attempts += 1
        self.is_kept = self.is_kept or isinstance(error, LabelsFailed)
        self._unreadable += isinstance(error, ResultUnreadable | PayloadTooLarge)

    @property
    def is_over(self) -> bool:
        over = clock.has_passed(max(self.until, self.made_at + RESULT_SECONDS))
        return not self.is_kept and (over or self.vendor.is_lost or self._unreadable >= UNREADABLE_ATTEMPTS)

    @property
    def is_worth_a_row(self) -> bool:
        """Whether the attempt is told in the timeline: a thousand of them would hide everything else."""
        return self.attempts & (self.attempts - 1) == 0

    @property
    def frees_slot(self) -> bool:
        return self.attempts == BUSY_ATTEMPTS

    def next_pause(self) -> float:
        """Seconds until the next attempt."""
        pause, self._pause = self._pause, min(self._pause * 2, LONGEST_PAUSE_SECONDS)
        return pause
