"""The candidates of one waiting model, and which of them gets a waiting task."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from app.accounts.limits import Capacity
from app.catalog.candidates import Candidate, RoundRobin, rank_key, usable_now
from app.generation import Kind


@dataclass(slots=True)
class CandidateSet:
    """The candidates of one waiting model: all that are able, and of them those that may be used now."""

    kind: Kind
    able_ids: set[str]
    usable: list[Candidate]
    trial_scopes: dict[str, str]
    """Of the usable, those that rest and get one request to see whether it is over: of ``*`` or their model."""
    disabled: list[Candidate]
    """Nothing new goes there but what is bound to work that they did."""
    bound_ids: set[str] = field(default_factory=set)
    """Accounts out of use that something waits for."""
    is_full: bool = False
    """Found to have no room left for a task that may go anywhere."""

    @classmethod
    def from_candidates(cls, candidates: Iterable[Candidate], kind: Kind, *, now: float) -> "CandidateSet":
        candidates = list(candidates)
        able = [c for c in candidates if c.status.enabled]
        usable = usable_now(able, now)
        disabled = [c for c in candidates if _usable_if_enabled(c, now)]
        return cls(kind, {c.account.id for c in able}, usable.candidates, dict(usable.trial_scopes), disabled)

    def bind_accounts(self, account_ids: set[str]) -> None:
        """``account_ids``: out of use, and waited for."""
        self.bound_ids = account_ids & {c.account.id for c in self.disabled}

    def startable_count(self, ledger: Capacity) -> int:
        """How many tasks could start now."""
        bound = [c for c in self.disabled if c.account.id in self.bound_ids]
        return sum(
            min(free, 1) if c.account.id in self.trial_scopes else free
            for c in (*self.usable, *bound)
            if (free := ledger.free_slots(c.account, c.model, self.kind)) > 0
        )

    def best_candidate(self, row: Any, ledger: Capacity, turns: RoundRobin) -> Candidate | None:
        """The lowest rank that has room, and in it the least busy by share; what prefers an account waits for
        that one while it is able, or was put out of use since."""
        plain = row.prefers is None and row.excluded == "[]"
        if plain and self.is_full:
            return None
        excluded = json.loads(row.excluded)
        allowed, among = self.able_ids.difference(excluded), self.usable
        if row.prefers in self.bound_ids and row.prefers not in excluded:
            allowed, among = {row.prefers}, self.disabled
        elif row.prefers in allowed:
            allowed = {row.prefers}
        found = [
            c
            for c in among
            if c.account.id in allowed and ledger.free_slots(c.account, c.model, self.kind) > 0
        ]
        self.is_full = self.is_full or (plain and not found)
        return min(
            found,
            key=lambda c: rank_key(c, ledger.slots_taken.get((c.account.id, self.kind), 0), turns),
            default=None,
        )


def _usable_if_enabled(candidate: Candidate, now: float) -> bool:
    """Whether it could be used, were it not out of use."""
    standing = candidate.status
    if standing.enabled:
        return False
    return replace(standing, enabled=True).blocked_by(candidate.model, now) is None
