"""How an account stands: whether it may be used, why not, until when, and how it has done so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from app.providers.base import Account

WHOLE_ACCOUNT = "*"
"""In place of an upstream model's name: the whole account."""
TRIAL_SECONDS = 120.0
"""A trial that nobody heard of again is over after this long."""

CooldownCode = Literal[
    "rate_limited", "quota_exhausted", "busy", "failing", "unreachable", "forbidden", "cooling"
]
ESTIMATED_CODES: frozenset[CooldownCode] = frozenset({"busy", "failing", "unreachable", "forbidden"})
"""Rests whose length is ours; the others were named by the vendor or the operator."""
BlockCode = Literal["disabled", "expired", "cooling", "quota_exhausted"]
Source = Literal["store", "file"]
QuotaUnit = Literal["count", "usd"]
Period = Literal["none", "day", "month"]


@dataclass(frozen=True, slots=True)
class Cooldown:
    """Why an account, or one upstream model on it, rests; times in UTC seconds, ``strikes`` in a row.

    One with ``trial_at`` set opens by half when its time is over: one real request shows whether it is really
    over. 0 means that none is out, else it is when that one went out.
    """

    reason: str
    since: float
    until: float
    strikes: int = 1
    trial_at: float | None = None
    code: CooldownCode = "cooling"

    def is_active(self, now: float) -> bool:
        """Whether nobody else should be sent there now."""
        return self.until > now or self.is_on_trial(now)

    def is_on_trial(self, now: float) -> bool:
        """Whether the one real request is out."""
        return bool(self.trial_at) and now < (self.trial_at or 0.0) + TRIAL_SECONDS

    def half_open(self, now: float) -> bool:
        """Whether its time is over, and one request, but not more, may show whether it is."""
        return self.trial_at is not None and not self.is_active(now)

    @property
    def is_estimated(self) -> bool:
        return self.code in ESTIMATED_CODES

    @property
    def ends_at(self) -> float:
        """When to look again at the latest."""
        return max(self.until, self.trial_at + TRIAL_SECONDS) if self.trial_at else self.until


@dataclass(frozen=True, slots=True)
class Quota:
    """What an account may still do: ``left`` of ``limit`` tasks or dollars, full again at ``resets_at``."""

    unit: QuotaUnit
    limit: Decimal
    left: Decimal
    period: Period = "none"
    resets_at: float | None = None

    def left_at(self, now: float) -> Decimal:
        over = self.resets_at is not None and self.resets_at <= now
        return self.limit if over else self.left


@dataclass(frozen=True, slots=True)
class AccountStatistics:
    """``seconds`` that all successes took together; ``outcomes``: ``completed`` or an error's code, newest last."""

    successes: int = 0
    failures: int = 0
    seconds: float = 0.0
    outcomes: tuple[str, ...] = ()

    @property
    def average_seconds(self) -> float | None:
        return self.seconds / self.successes if self.successes else None


@dataclass(frozen=True, slots=True)
class BlockReason:
    """Why an account can't be used now; ``until`` in UTC seconds, None when it does not end by itself."""

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
    """By upstream model; ``*`` is the whole account. Also those that are over but count strikes."""
    quota: Quota | None = None
    statistics: AccountStatistics = AccountStatistics()
    note: str = ""
    source: Source = "store"
    created_at: float = 0.0
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the account's definition that only the operator reads."""
    problem: str | None = None
    """Why nobody can speak for it as it is set up; then it serves nothing."""

    def cooldown_for(self, model: str, now: float) -> Cooldown | None:
        """The rest of the whole account or of this upstream model, the one that ends later."""
        if not self.cooldowns:
            return None
        found = [self.cooldowns.get(WHOLE_ACCOUNT), self.cooldowns.get(model)]
        resting = [cooldown for cooldown in found if cooldown is not None and cooldown.is_active(now)]
        return max(resting, key=lambda cooldown: cooldown.ends_at, default=None)

    def active_cooldowns(self, now: float) -> dict[str, Cooldown]:
        """All that rests on it now, by upstream model (``*``: the whole account)."""
        return {model: cooldown for model, cooldown in self.cooldowns.items() if cooldown.is_active(now)}

    def half_open(self, model: str, now: float) -> bool:
        """Whether one request, but not more, may go there now."""
        if not self.cooldowns:
            return False
        found = [self.cooldowns.get(WHOLE_ACCOUNT), self.cooldowns.get(model)]
        return any(cooldown.half_open(now) for cooldown in found if cooldown is not None)

    def blocked_by(self, model: str, now: float) -> BlockReason | None:
        """The first reason why it can't take this upstream model now, ``*`` for any; None when it can."""
        if not self.enabled or self.problem:
            reason = self.problem or self.disabled_reason or "by the operator"
            return BlockReason("disabled", f"disabled: {reason}")
        if self.account.expires_at is not None and self.account.expires_at <= now:
            return BlockReason("expired", "expired")
        if self.quota is not None and self.quota.left_at(now) <= 0:
            return BlockReason("quota_exhausted", "its quota is used up", self.quota.resets_at)
        cooldown = self.cooldown_for(model, now)
        if cooldown is None:
            return None
        code: BlockCode = "quota_exhausted" if cooldown.code == "quota_exhausted" else "cooling"
        return BlockReason(code, cooldown.reason, cooldown.ends_at)
