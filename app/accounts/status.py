"""An account's status: whether it may be used, why not and until when, and its statistics."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from app.providers.base import Account

WHOLE_ACCOUNT = "*"
"""In place of an upstream model's name: the whole account."""
TRIAL_SECONDS = 120.0
"""A testing request whose outcome is never reported counts as over after this long."""

CooldownCode = Literal[
    "rate_limited",
    "quota_exhausted",
    "busy",
    "failing",
    "blocked",
    "unreachable",
    "forbidden",
    "refused",
    "cooling",
]
ESTIMATED_CODES: frozenset[CooldownCode] = frozenset(
    {"busy", "failing", "blocked", "unreachable", "forbidden", "refused"}
)
"""Cooldowns whose length we estimate; that of the others was set by the vendor or the operator."""
SuspendedBy = Literal["operator", "refusal", "look"]
"""Who disabled an account. ``refusal``: the vendor said that its key is bad; ``look``: and our own look confirmed it."""
BlockCode = Literal["disabled", "paused", "expired", "cooling", "quota_exhausted"]
Source = Literal["store", "file"]
QuotaUnit = Literal["count", "usd"]
Period = Literal["none", "day", "month"]


@dataclass(frozen=True, slots=True)
class Cooldown:
    """Why an account, or one upstream model on it, gets no work; times in UTC seconds, ``strikes`` refusals in a row.

    With ``trial_at`` set, one real request tests after ``until`` whether the cooldown is over: 0 means that no such
    request is under way, else it is when it was sent.
    """

    reason: str
    since: float
    until: float
    strikes: int = 1
    trial_at: float | None = None
    code: CooldownCode = "cooling"
    key_id: str = ""
    """The client key whose request led to it."""

    def is_active(self, now: float) -> bool:
        """Whether no (other) work should be sent there now."""
        return self.until > now or self.is_on_trial(now)

    def is_on_trial(self, now: float) -> bool:
        """Whether the testing request is under way."""
        return bool(self.trial_at) and now < (self.trial_at or 0.0) + TRIAL_SECONDS

    def half_open(self, now: float) -> bool:
        """Whether its time is over, and one request, but not more, may test it."""
        return self.trial_at is not None and not self.is_active(now)

    @property
    def is_estimated(self) -> bool:
        return self.code in ESTIMATED_CODES

    @property
    def ends_at(self) -> float:
        """When it is over at the latest, in UTC seconds."""
        return max(self.until, self.trial_at + TRIAL_SECONDS) if self.trial_at else self.until


@dataclass(frozen=True, slots=True)
class Suspension:
    """Who disabled an account and since when; times in UTC seconds.

    What a refusal disabled is looked at again at ``next_look_at``, after so many ``looks`` in vain. ``key_id``: the client
    key whose request led to it.
    """

    by: SuspendedBy
    since: float
    next_look_at: float | None = None
    looks: int = 0
    key_id: str = ""


@dataclass(frozen=True, slots=True)
class Quota:
    """What an account may still use: ``left`` of ``limit`` tasks or US dollars, refilled at ``resets_at`` (UTC seconds)."""

    unit: QuotaUnit
    limit: Decimal
    left: Decimal
    period: Period = "none"
    resets_at: float | None = None

    @classmethod
    def of_row(cls, row: Any) -> "Quota | None":
        """None for an account without a limit."""
        if row.quota_limit is None:
            return None
        left = row.quota_limit if row.quota_left is None else row.quota_left
        return cls(row.quota_unit, row.quota_limit, left, row.quota_period, row.quota_resets_at)

    def left_at(self, now: float) -> Decimal:
        over = self.resets_at is not None and self.resets_at <= now
        return self.limit if over else self.left


@dataclass(frozen=True, slots=True)
class AccountStatistics:
    """``seconds``: the sum over all successes. ``outcomes``: ``completed`` or an error's code, newest last."""

    successes: int = 0
    failures: int = 0
    seconds: float = 0.0
    outcomes: tuple[str, ...] = ()

    @property
    def average_seconds(self) -> float | None:
        return self.seconds / self.successes if self.successes else None


@dataclass(frozen=True, slots=True)
class BlockReason:
    """Why an account can't be used now; ``until`` in UTC seconds, None when that does not end by itself."""

    code: BlockCode
    text: str
    until: float | None = None


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """An account and all that decides whether it may be used now."""

    account: Account
    enabled: bool
    disabled_reason: str | None = None
    cooldowns: Mapping[str, Cooldown] = field(default_factory=dict)
    """By upstream model; ``*`` is the whole account. Includes those that are over but still count strikes."""
    quota: Quota | None = None
    statistics: AccountStatistics = AccountStatistics()
    note: str = ""
    source: Source = "store"
    created_at: float = 0.0
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the account's definition that only the operator reads."""
    problem: str | None = None
    """Why no provider can be built from its settings; then it serves nothing."""
    suspension: Suspension | None = None
    """Of a disabled account."""
    tested_at: float | None = None
    """When its vendor last accepted its key in a test."""
    stands_in: bool = False
    """The studio while no other account is proven: it works only where none of them may."""
    paused: str | None = None
    """What the operator holds back, the account or the model: tasks wait for it, and nothing new is sent there."""

    @classmethod
    def of_row(
        cls,
        row: Any,
        account: Account,
        *,
        extra: Mapping[str, Any],
        cooldowns: Mapping[str, Cooldown],
        suspension: Suspension | None = None,
    ) -> "AccountStatus":
        outcomes = tuple(json.loads(row.outcomes))
        return cls(
            account,
            row.enabled,
            row.disabled_reason,
            cooldowns=cooldowns,
            quota=Quota.of_row(row),
            statistics=AccountStatistics(row.successes, row.failures, row.seconds, outcomes),
            note=row.note,
            source=row.source,
            created_at=row.created_at,
            extra=extra,
            suspension=None if row.enabled else suspension,
            tested_at=row.tested_at,
        )

    def cooldown_for(self, model: str, now: float) -> Cooldown | None:
        """The active cooldown of the whole account or of this upstream model, whichever ends later."""
        if not self.cooldowns:
            return None
        both = [self.cooldowns.get(WHOLE_ACCOUNT), self.cooldowns.get(model)]
        active = [cooldown for cooldown in both if cooldown is not None and cooldown.is_active(now)]
        return max(active, key=lambda cooldown: cooldown.ends_at, default=None)

    @property
    def is_proven(self) -> bool:
        """Whether it has passed a test, or made something."""
        return self.tested_at is not None or self.statistics.successes > 0

    @property
    def is_wanted(self) -> bool:
        """Whether the operator wants it to be used, whatever an upstream said."""
        return self.enabled or (self.suspension is not None and self.suspension.by != "operator")

    def is_out_because_of(self, key_id: str, now: float) -> bool:
        """Whether requests of this client key took it, or a model on it, from everybody."""
        if self.suspension is not None and self.suspension.key_id == key_id:
            return True
        return any(each.key_id == key_id and each.is_active(now) for each in self.cooldowns.values())

    def active_cooldowns(self, now: float) -> dict[str, Cooldown]:
        """Every active cooldown, by upstream model (``*``: the whole account)."""
        return {model: cooldown for model, cooldown in self.cooldowns.items() if cooldown.is_active(now)}

    def half_open(self, model: str, now: float) -> bool:
        """Whether one request, but not more, may test the account now."""
        if not self.cooldowns:
            return False
        both = [self.cooldowns.get(WHOLE_ACCOUNT), self.cooldowns.get(model)]
        return any(cooldown.half_open(now) for cooldown in both if cooldown is not None)

    def blocked_by(self, model: str, now: float) -> BlockReason | None:
        """The first reason why it can't take work for an upstream model (``*``: any) now; None when it can."""
        if not self.enabled or self.problem:
            reason = self.problem or self.disabled_reason or "by the operator"
            return BlockReason("disabled", f"disabled: {reason}")
        if self.paused:
            return BlockReason("paused", self.paused)
        if self.account.expires_at is not None and self.account.expires_at <= now:
            return BlockReason("expired", "expired")
        if self.quota is not None and self.quota.left_at(now) <= 0:
            return BlockReason("quota_exhausted", "its quota is used up", self.quota.resets_at)
        cooldown = self.cooldown_for(model, now)
        if cooldown is None:
            return None
        code: BlockCode = "quota_exhausted" if cooldown.code == "quota_exhausted" else "cooling"
        return BlockReason(code, cooldown.reason, cooldown.ends_at)
