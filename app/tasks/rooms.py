"""What every account has left during one pass of admission, and who of those with room gets a task."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from app.accounts import cooling
from app.accounts.standing import WHOLE, Quota
from app.catalog.candidates import Candidate
from app.catalog.turns import Turns
from app.generation import Kind

NOTHING = Decimal(0)
ONE = Decimal(1)


@dataclass(slots=True)
class Ledger:
    """The store's word at the start of a pass, and what the pass has given away since.

    ``taken``: slots by account and kind; ``sent``: dispatches of the last minute by account; ``quotas`` of those
    accounts that have one.
    """

    taken: dict[tuple[str, Kind], int] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    quotas: Mapping[str, Quota] = field(default_factory=dict)
    spent: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    out: set[tuple[str, str]] = field(default_factory=set)
    """Account and upstream model (``*``: the whole account) for which a trial is out already."""
    trials: set[tuple[str, str]] = field(default_factory=set)
    """Those to which this pass gives one."""

    def free(self, candidate: Candidate, kind: Kind) -> int:
        """How many more tasks of a kind may go there now."""
        account = candidate.account
        found = account.slots_for(kind) - self.taken.get((account.id, kind), 0)
        if account.rpm is not None:
            found = min(found, account.rpm - self.sent.get(account.id, 0))
        quota = self.quotas.get(account.id)
        if quota is not None:
            left = quota.left - self.spent[account.id]
            found = min(found, int(left) if quota.unit == "count" else found if left > NOTHING else 0)
        if (self.out | self.trials) & {(account.id, candidate.model), (account.id, WHOLE)}:
            found = 0
        return found

    def give(self, candidate: Candidate, kind: Kind, *, reserve: Decimal) -> None:
        account_id = candidate.account.id
        self.taken[account_id, kind] = self.taken.get((account_id, kind), 0) + 1
        self.sent[account_id] = self.sent.get(account_id, 0) + 1
        quota = self.quotas.get(account_id)
        if quota is not None:
            self.spent[account_id] += ONE if quota.unit == "count" else reserve

    def load(self, candidate: Candidate, kind: Kind) -> float:
        return self.taken.get((candidate.account.id, kind), 0) / candidate.share


@dataclass(slots=True)
class Choice:
    """The candidates of one waiting model: all that are able, and of them those that may be used now."""

    kind: Kind
    able: set[str]
    usable: list[Candidate]
    trying: dict[str, str]
    """Of the usable, those that rest and get one request to see whether it is over: of ``*`` or their model."""
    disabled: list[Candidate]
    """Nothing new goes there but what is bound to work that they did."""
    bound: set[str] = field(default_factory=set)
    """Accounts out of use that something waits for."""
    full: bool = False
    """Found to have no room left for a task that may go anywhere."""

    @classmethod
    def of(cls, candidates: Iterable[Candidate], kind: Kind, *, now: float) -> "Choice":
        candidates = list(candidates)
        able = [c for c in candidates if c.standing.enabled]
        usable = [c for c in able if c.standing.blocked_by(c.model, now) is None]
        trying = {c.account.id: _resting(c, now) for c in usable if c.standing.half_open(c.model, now)}
        if not usable:  # better one that may be well again than nobody
            usable = [c for c in able if _may_try(c, now)]
            trying = {c.account.id: _resting(c, now) for c in usable}
        disabled = [c for c in candidates if _would_do(c, now)]
        return cls(kind, {c.account.id for c in able}, usable, trying, disabled)

    def bind(self, account_ids: set[str]) -> None:
        """``account_ids``: out of use, and waited for."""
        self.bound = account_ids & {c.account.id for c in self.disabled}

    def wanted(self, ledger: Ledger) -> int:
        """How many tasks could start now."""
        bound = [c for c in self.disabled if c.account.id in self.bound]
        return sum(
            min(free, 1) if c.account.id in self.trying else free
            for c in (*self.usable, *bound)
            if (free := ledger.free(c, self.kind)) > 0
        )

    def best(self, row: Any, ledger: Ledger, turns: Turns) -> Candidate | None:
        """The lowest rank that has room, and in it the least busy by share; what prefers an account waits for
        that one while it is able, or was put out of use since."""
        plain = row.prefers is None and row.excluded == "[]"
        if plain and self.full:
            return None
        excluded = json.loads(row.excluded)
        allowed, among = self.able.difference(excluded), self.usable
        if row.prefers in self.bound and row.prefers not in excluded:
            allowed, among = {row.prefers}, self.disabled
        elif row.prefers in allowed:
            allowed = {row.prefers}
        found = [c for c in among if c.account.id in allowed and ledger.free(c, self.kind) > 0]
        self.full = self.full or (plain and not found)
        return min(
            found,
            key=lambda c: (
                c.order,
                c.account.tier,
                ledger.load(c, self.kind),
                turns.of(c.account.id),
            ),
            default=None,
        )


def _resting(candidate: Candidate, now: float) -> str:
    """What of it is to be tried: ``*``, or the model alone."""
    whole = candidate.standing.cooldowns.get(WHOLE)
    return WHOLE if whole is not None and (whole.rests(now) or whole.half_open(now)) else candidate.model


def _may_try(candidate: Candidate, now: float) -> bool:
    obstacle = candidate.standing.blocked_by(candidate.model, now)
    return (
        obstacle is not None
        and obstacle.code == "cooling"
        and cooling.may_try(candidate.standing.cooling(candidate.model, now), now, last=True)
    )


def _would_do(candidate: Candidate, now: float) -> bool:
    """Whether it could be used, were it not out of use."""
    standing = candidate.standing
    if standing.enabled:
        return False
    return replace(standing, enabled=True).blocked_by(candidate.model, now) is None
