"""When a delivery is tried again, as Standard Webhooks recommends, and when it is given up."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from app.webhooks.sender import Outcome

DELAYS: tuple[float, ...] = (0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds before each attempt, about three days together."""
LONGEST_ASKED = 86_400.0
ASKS_FOR_TIME = {429, 502, 503, 504}
GONE = 410
State = Literal["pending", "delivered", "failed"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a delivery after an attempt; ``next_at`` in UTC seconds matters while pending."""

    state: State
    next_at: float


def judge(outcome: Outcome, made: int, *, now: float, delays: Sequence[float] = DELAYS) -> Verdict:
    """``made``: attempts so far, this one among them. A receiver that asks for more time gets it."""
    if outcome.delivered:
        return Verdict("delivered", now)
    if outcome.final or outcome.status == GONE or made >= len(delays):
        return Verdict("failed", now)
    asked = outcome.retry_after if outcome.status in ASKS_FOR_TIME else None
    delay = delays[made] * random.uniform(1.0, 1.1)  # noqa: S311 - jitter, not a secret
    return Verdict("pending", now + max(delay, min(asked or 0.0, LONGEST_ASKED)))
