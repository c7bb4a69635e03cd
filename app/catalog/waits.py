"""Why a model has to wait for its accounts, and for how long: what a refusal says and what a waiting task shows."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from app.accounts.status import AccountStatus
from app.catalog.candidates import Candidate, ExcludedAccount

COUNTED_CODES = ("paused", "cooling", "quota_exhausted", "disabled", "expired", "fault")
CODE_WORDS = {"cooling": "cooling down", "fault": "misconfigured", "paused": "paused by the operator"}


@dataclass(slots=True)
class BlockCount:
    """The accounts of a model by what blocks them, and when each of these ends, in seconds from now."""

    counted: Counter[str] = field(default_factory=Counter)
    ends: dict[str, list[float]] = field(default_factory=dict)

    @classmethod
    def of(cls, assessed: Iterable[Candidate | ExcludedAccount], now: float) -> "BlockCount":
        found = cls()
        for each in assessed:
            if isinstance(each, ExcludedAccount):
                found.counted[each.code if each.code == "fault" else "unsupported"] += 1
                continue
            blocked = each.status.blocked_by(each.model, now)
            if blocked is not None:
                found.counted[blocked.code] += 1
            if blocked is not None and blocked.until:
                found.ends.setdefault(blocked.code, []).append(max(blocked.until - now, 0.0))
        return found

    @property
    def first_end(self) -> float | None:
        return min((end for ends in self.ends.values() for end in ends), default=None)

    def text(self, model: str, *, with_times: bool = True) -> str:
        parts = [self._part(code, with_times=with_times) for code in COUNTED_CODES if self.counted[code]]
        if self.counted["unsupported"]:
            verb = "doesn't" if self.counted["unsupported"] == 1 else "don't"
            parts.append(f"{self.counted['unsupported']} {verb} support {model}")
        return ", ".join(parts) or "There is no account"

    def _part(self, code: str, *, with_times: bool) -> str:
        ends = self.ends.get(code) if with_times else None
        when = f" (next in {math.ceil(min(ends))} s)" if ends else ""
        return f"{self.counted[code]} {CODE_WORDS.get(code, code.replace('_', ' '))}{when}"


@dataclass(frozen=True, slots=True)
class AccountWait:
    """``reason`` counts the accounts by what blocks them, as ``count`` does; ``seconds`` until the first is free, None if
    that ends not by itself."""

    reason: str
    seconds: float | None
    count: BlockCount = field(default_factory=BlockCount)


def account_wait(candidates: Iterable[Candidate], model: str, now: float) -> AccountWait | None:
    """None while one of them may be used."""
    candidates = list(candidates)
    if any(each.status.blocked_by(each.model, now) is None for each in candidates):
        return None
    count = BlockCount.of(candidates, now)
    return AccountWait(count.text(model, with_times=False), count.first_end, count)


def recovers_within(
    status: AccountStatus, model: str, *, now: float, stated: float, estimated: float
) -> bool:
    """Whether an account may take work for an upstream model now or soon. What is paused is waited for, however long. A rest that a vendor or the operator stated, as for
    want of credit, may last ``stated`` seconds; one of our own estimate, which a trial may end at any time, ``estimated``."""
    blocked = status.blocked_by(model, now)
    if blocked is None or blocked.code == "paused":
        return True
    cooldown = status.cooldown_for(model, now)
    is_estimate = cooldown is not None and cooldown.is_estimated and blocked.until == cooldown.ends_at
    patience = estimated if is_estimate else stated
    return blocked.until is not None and blocked.until <= now + patience
