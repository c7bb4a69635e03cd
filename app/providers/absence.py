"""When a submission that a vendor does not know surely never arrived: only after it stayed unknown a while."""

import time

from app.errors import PollFailed


class MissingSubmissions:
    """Since when each submission has been asked for in vain, in this process."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def confirm_missing(self, key: str, *, after: float, otherwise: str) -> None:
        """Returns once ``key`` has been missing for ``after`` seconds; until then raises ``PollFailed`` with
        ``otherwise``, as the vendor may still be taking it in."""
        since = self._since.setdefault(key, time.monotonic())
        if time.monotonic() - since < after:
            raise PollFailed(otherwise)
        del self._since[key]
