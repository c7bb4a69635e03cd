"""Calls a minute, and calls at once, of accounts that are limited: counted here, for this process."""

from collections import defaultdict, deque

from app.relay.endpoint_table import UpstreamEndpoint

MINUTE = 60.0


class CallRates:
    """In memory only, as the relay's path is: several processes each keep an account's whole rate."""

    def __init__(self) -> None:
        self._calls: dict[str, deque[float]] = defaultdict(deque)

    def has_capacity(self, door: UpstreamEndpoint, now: float, *, opened: int) -> bool:
        account = door.account
        if account.limits and opened >= account.limits.get("text", opened + 1):
            return False
        if account.rpm is None:
            return True
        calls = self._calls[account.id]
        while calls and calls[0] <= now - MINUTE:
            calls.popleft()
        return len(calls) < account.rpm

    def record_call(self, door: UpstreamEndpoint, now: float) -> None:
        if door.account.rpm is not None:
            self._calls[door.account.id].append(now)
