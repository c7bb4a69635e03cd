"""Spreads relayed calls over accounts: the route's order, the account's tier, then each by its share."""

from collections import Counter

from app.catalog.candidates import RankKey, RoundRobin, rank_key
from app.relay.endpoint_table import UpstreamEndpoint


class LeastLoadedBalancer:
    """Counts what is open, and whose turn it is: between calls that never overlap, turns alone make the shares."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self._turns = RoundRobin()

    def call_started(self, door: UpstreamEndpoint) -> None:
        """Count a call as open on its account, until ``leave``."""
        account_id = door.account.id
        self._open[account_id] += 1
        self._turns.take_turn(account_id, door.candidate.share)

    def call_ended(self, door: UpstreamEndpoint) -> None:
        account_id = door.account.id
        self._open[account_id] -= 1
        if not self._open[account_id]:
            del self._open[account_id]

    def open_calls(self, door: UpstreamEndpoint) -> int:
        return self._open[door.account.id]

    def sort_endpoints(self, doors: list[UpstreamEndpoint]) -> list[UpstreamEndpoint]:
        return doors if len(doors) < 2 else sorted(doors, key=self._sort_key)

    def _sort_key(self, endpoint: UpstreamEndpoint) -> RankKey:
        return rank_key(endpoint.candidate, self._open[endpoint.account.id], self._turns)
