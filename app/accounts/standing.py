"""How an account stands: whether it may be used, why not, until when, and how it has done so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from app.providers.base import Account

WHOLE = "*"
"""In place of an upstream model's name: the whole account."""
TRIAL_SECONDS = 120.0
"""A trial that nobody heard of again is over after this long."""

CooldownCode = Literal[
    "rate_limited", "quota_exhausted", "busy", "failing", "unreachable", "forbidden", "cooling"
]
GUESSED: frozenset[CooldownCode] = frozenset({"busy", "failing", "unreachable", "forbidden"})
"""Rests whose length is ours; the others were named by the vendor or the operator."""
ObstacleCode = Literal["disabled", "expired", "cooling", "quota_exhausted"]
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

    def rests(self, now: float) -> bool:
        """Whether nobody else should be sent there now."""
        return self.until > now or self.tried(now)

    def tried(self, now: float) -> bool:
        """Whether the one real request is out."""
        return bool(self.trial_at) and now < (self.trial_at or 0.0) + TRIAL_SECONDS

    def half_open(self, now: float) -> bool:
        """Whether its time is over, and one request, but not more, may show whether it is."""
        return self.trial_at is not None and not self.rests(now)

    @property
    def guessed(self) -> bool:
        return self.code in GUESSED

    @property
    def ends(self) -> float:
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
class Statistics:
    """``seconds`` that all successes took together; ``outcomes``: ``completed`` or an error's code, newest last."""

    successes: int = 0
    failures: int = 0
    seconds: float = 0.0
    outcomes: tuple[str, ...] = ()

    @property
    def average_seconds(self) -> float | None:
        return self.seconds / self.successes if self.successes else None


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why an account can't be used now; ``until`` in UTC seconds, None when it does not end by itself."""

    code: ObstacleCode
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
    statistics: Statistics = Statistics()
    note: str = ""
    source: Source = "store"
    created_at: float = 0.0
    fault: str | None = None
    """Why nobody can speak for it as it is set up; then it serves nothing."""

    def cooling(self, model: str, now: float) -> Cooldown | None:
        """The rest of the whole account or of this upstream model, the one that ends later."""
        if not self.cooldowns:
            return None
        found = [self.cooldowns.get(WHOLE), self.cooldowns.get(model)]
        resting = [cooldown for cooldown in found if cooldown is not None and cooldown.rests(now)]
        return max(resting, key=lambda cooldown: cooldown.ends, default=None)

    def resting(self, now: float) -> dict[str, Cooldown]:
        """All that rests on it now, by upstream model (``*``: the whole account)."""
        return {model: cooldown for model, cooldown in self.cooldowns.items() if cooldown.rests(now)}

    def half_open(self, model: str, now: float) -> bool:
        """Whether one request, but not more, may go there now."""
        if not self.cooldowns:
            return False
        found = [self.cooldowns.get(WHOLE), self.cooldowns.get(model)]
        return any(cooldown.half_open(now) for cooldown in found if cooldown is not None)

    def blocked_by(self, model: str, now: float) -> Obstacle | None:
        """The first reason why it can't take this upstream model now, ``*`` for any; None when it can."""
        if not self.enabled or self.fault:
            reason = self.fault or self.disabled_reason or "by the operator"
            return Obstacle("disabled", f"disabled: {reason}")
        if self.account.expires_at is not None and self.account.expires_at <= now:
            return Obstacle("expired", "expired")
        if self.quota is not None and self.quota.left_at(now) <= 0:
            return Obstacle("quota_exhausted", "its quota is used up", self.quota.resets_at)
        cooldown = self.cooling(model, now)
        if cooldown is None:
            return None
        code: ObstacleCode = "quota_exhausted" if cooldown.code == "quota_exhausted" else "cooling"
        return Obstacle(code, cooldown.reason, cooldown.ends)
