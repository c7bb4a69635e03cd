"""Whether it is our own network that is down, and not the upstream that could not be reached."""

import time

WINDOW_SECONDS = 10.0
SUSPICIOUS_HOSTS = 2


class NetworkMonitor:
    """Upstreams at different hosts that all stop being reachable within a moment, while nobody answers, have
    one thing in common: us. With one host only there is no telling, and it is the upstream's fault, unless the
    system itself says that no way leads out (``down``)."""

    def __init__(self) -> None:
        self._failures: dict[str, float] = {}
        self._answered_at = 0.0

    def record_answer(self) -> None:
        """Somebody out there spoke to us."""
        self._answered_at = time.time()
        if self._failures:
            self._failures.clear()

    def record_failure(self, host: str, now: float, *, down: bool = False) -> bool:
        """Note that ``host`` could not be reached; whether the fault seems to be ours."""
        self._failures = {h: at for h, at in self._failures.items() if at > now - WINDOW_SECONDS}
        self._failures[host] = now
        return len(self._failures) >= SUSPICIOUS_HOSTS or (down and self._answered_at < now - WINDOW_SECONDS)
