"""What relays say in a header about the cost of a call: https://docs.litellm.ai/docs/proxy/cost_tracking"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from math import isfinite
from typing import Any

from app.providers.base import PollAnswer, Succeeded

COST_HEADER = "x-litellm-response-cost"


def stated_bill(headers: Mapping[str, str]) -> dict[str, Any]:
    """As ``usage``, in US dollars; empty where nothing is said, or something else than a number."""
    with suppress(ValueError):
        if isfinite(cost := float(headers.get(COST_HEADER, ""))):
            return {"cost": cost}
    return {}


def with_bill(answer: PollAnswer, bill: Mapping[str, Any]) -> PollAnswer:
    """A success with what the answer to its submission said of its cost; its own word counts before that."""
    return replace(answer, usage={**bill, **answer.usage}) if isinstance(answer, Succeeded) else answer
