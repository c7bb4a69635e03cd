"""How long a vendor has not known a submission whose answer was lost."""

import time

from app.errors import PollFailed


class MissingSubmissions:
    """Since when each submission has been unknown to its vendor, in this process."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def confirm_missing(self, key: str, *, after: float, otherwise: str) -> None:
        """Returns once ``key`` has been unknown for ``after`` seconds: then it never arrived. Until then raises
        ``PollFailed`` with ``otherwise``, as the vendor may not have recorded it yet."""
        since = self._since.setdefault(key, time.monotonic())
        if time.monotonic() - since < after:
            raise PollFailed(otherwise)
        del self._since[key]
