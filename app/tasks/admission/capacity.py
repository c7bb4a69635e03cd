"""What every account has left during one pass of admission, and who of those with room gets a task."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from app.accounts import cooldown_rules
from app.accounts.status import WHOLE_ACCOUNT, Quota
from app.catalog.candidates import Candidate
from app.catalog.ranking import RoundRobin
from app.generation import Kind

NOTHING = Decimal(0)
ONE = Decimal(1)


@dataclass(slots=True)
class Capacity:
    """The store's word at the start of a pass, and what the pass has given away since.

    ``taken``: slots by account and kind; ``sent``: dispatches of the last minute by account; ``quotas`` of those
    accounts that have one.
    """

    slots_taken: dict[tuple[str, Kind], int] = field(default_factory=dict)
    sent_last_minute: dict[str, int] = field(default_factory=dict)
    quotas: Mapping[str, Quota] = field(default_factory=dict)
    quota_spent: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    trials_under_way: set[tuple[str, str]] = field(default_factory=set)
    """Account and upstream model (``*``: the whole account) for which a trial is out already."""
    trials_given: set[tuple[str, str]] = field(default_factory=set)
    """Those to which this pass gives one."""

    def free_slots(self, candidate: Candidate, kind: Kind) -> int:
        """How many more tasks of a kind may go there now."""
        account = candidate.account
        found = account.slots_for(kind) - self.slots_taken.get((account.id, kind), 0)
        if account.rpm is not None:
            found = min(found, account.rpm - self.sent_last_minute.get(account.id, 0))
        quota = self.quotas.get(account.id)
        if quota is not None:
            left = quota.left - self.quota_spent[account.id]
            found = min(found, int(left) if quota.unit == "count" else found if left > NOTHING else 0)
        if (self.trials_under_way | self.trials_given) & {
            (account.id, candidate.model),
            (account.id, WHOLE_ACCOUNT),
        }:
            found = 0
        return found

    def take_slot(self, candidate: Candidate, kind: Kind, *, reserve: Decimal) -> None:
        account_id = candidate.account.id
        self.slots_taken[account_id, kind] = self.slots_taken.get((account_id, kind), 0) + 1
        self.sent_last_minute[account_id] = self.sent_last_minute.get(account_id, 0) + 1
        quota = self.quotas.get(account_id)
        if quota is not None:
            self.quota_spent[account_id] += ONE if quota.unit == "count" else reserve

    def relative_load(self, candidate: Candidate, kind: Kind) -> float:
        return self.slots_taken.get((candidate.account.id, kind), 0) / candidate.share


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
        usable = [c for c in able if c.status.blocked_by(c.model, now) is None]
        trying = {c.account.id: _trial_scope(c, now) for c in usable if c.status.half_open(c.model, now)}
        if not usable:  # better one that may be well again than nobody
            usable = [c for c in able if _may_try(c, now)]
            trying = {c.account.id: _trial_scope(c, now) for c in usable}
        disabled = [c for c in candidates if _usable_if_enabled(c, now)]
        return cls(kind, {c.account.id for c in able}, usable, trying, disabled)

    def bind_accounts(self, account_ids: set[str]) -> None:
        """``account_ids``: out of use, and waited for."""
        self.bound_ids = account_ids & {c.account.id for c in self.disabled}

    def startable_count(self, ledger: Capacity) -> int:
        """How many tasks could start now."""
        bound = [c for c in self.disabled if c.account.id in self.bound_ids]
        return sum(
            min(free, 1) if c.account.id in self.trial_scopes else free
            for c in (*self.usable, *bound)
            if (free := ledger.free_slots(c, self.kind)) > 0
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
        found = [c for c in among if c.account.id in allowed and ledger.free_slots(c, self.kind) > 0]
        self.is_full = self.is_full or (plain and not found)
        return min(
            found,
            key=lambda c: (
                c.order,
                c.account.tier,
                ledger.relative_load(c, self.kind),
                turns.turn_of(c.account.id),
            ),
            default=None,
        )


def _trial_scope(candidate: Candidate, now: float) -> str:
    """What of it is to be tried: ``*``, or the model alone."""
    whole = candidate.status.cooldowns.get(WHOLE_ACCOUNT)
    return (
        WHOLE_ACCOUNT
        if whole is not None and (whole.is_active(now) or whole.half_open(now))
        else candidate.model
    )


def _may_try(candidate: Candidate, now: float) -> bool:
    obstacle = candidate.status.blocked_by(candidate.model, now)
    return (
        obstacle is not None
        and obstacle.code == "cooling"
        and cooldown_rules.may_probe(candidate.status.cooldown_for(candidate.model, now), now, last=True)
    )


def _usable_if_enabled(candidate: Candidate, now: float) -> bool:
    """Whether it could be used, were it not out of use."""
    standing = candidate.status
    if standing.enabled:
        return False
    return replace(standing, enabled=True).blocked_by(candidate.model, now) is None
