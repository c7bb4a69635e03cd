"""When a delivery is tried again, as Standard Webhooks recommends, and when it is given up."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from app.webhooks.sender import AttemptOutcome

DELAYS: tuple[float, ...] = (0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds before each attempt, about three days together."""
MAX_RETRY_AFTER_SECONDS = 86_400.0
ASKS_FOR_TIME = {429, 502, 503, 504}
GONE = 410
State = Literal["pending", "delivered", "failed"]


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """What becomes of a delivery after an attempt; ``next_at`` in UTC seconds matters while pending."""

    state: State
    next_at: float


def decide_retry(
    outcome: AttemptOutcome, made: int, *, now: float, delays: Sequence[float] = DELAYS
) -> RetryDecision:
    """``made``: attempts so far, this one among them. A receiver that asks for more time gets it."""
    if outcome.is_delivered:
        return RetryDecision("delivered", now)
    if outcome.final or outcome.status == GONE or made >= len(delays):
        return RetryDecision("failed", now)
    asked = outcome.retry_after if outcome.status in ASKS_FOR_TIME else None
    delay = delays[made] * random.uniform(1.0, 1.1)  # noqa: S311 - jitter, not a secret
    return RetryDecision("pending", now + max(delay, min(asked or 0.0, MAX_RETRY_AFTER_SECONDS)))
