"""Spreads relayed calls over accounts: the route's order, the account's tier, then each by its share."""

from collections import Counter

from app.catalog.turns import Turns
from app.relay.doors import Door


class Spread:
    """Counts what is open, and whose turn it is: between calls that never overlap, turns alone make the shares."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self._turns = Turns()

    def enter(self, door: Door) -> None:
        """Count a call as open on its account, until ``leave``."""
        account_id = door.account.id
        self._open[account_id] += 1
        self._turns.taken(account_id, door.candidate.share)

    def leave(self, door: Door) -> None:
        account_id = door.account.id
        self._open[account_id] -= 1
        if not self._open[account_id]:
            del self._open[account_id]

    def opened(self, door: Door) -> int:
        return self._open[door.account.id]

    def order(self, doors: list[Door]) -> list[Door]:
        return doors if len(doors) < 2 else sorted(doors, key=self._rank)

    def _rank(self, door: Door) -> tuple[int, int, float, float]:
        candidate = door.candidate
        account_id, share = candidate.account.id, candidate.share
        load = self._open[account_id] / share
        return candidate.order, candidate.account.tier, load, self._turns.of(account_id)
