"""Where a new task stands in the line for an account, and from when on it may be served.

**Within a key**, a task stands where it would if it had come ten minutes sooner (priority 1) or later (-1). That place is
fixed when it is created, so no task is overtaken by those that come more than twenty minutes after it: nothing starves.

**Between keys** the fair share stays: the key with the fewest running tasks is next. Among keys that have equally many,
turns are taken by share (``RoundRobin``): a key whose next task has priority 1 gets twice as many turns as one with 0, and four
times as many as one with -1, and each gets its turns.

``start_after`` is the row's ``not_before``: until then it has a place and its money, and gets no account. Its deadline begins
there. Crash points: all of this is columns of the row that is inserted, so there is nothing in between.
"""

from datetime import UTC, datetime
from typing import Any

from app.errors import InvalidRequest
from app.generation import GenerationRequest
from app.keys.key import ClientKey

HEAD_START = 600.0
"""Seconds for each step of priority."""


def queue_columns(
    request: GenerationRequest, key: ClientKey, *, created: float, now: float, wait: float
) -> dict[str, Any]:
    """``wait``: how long it may wait for an account, in seconds. Raises ``InvalidRequest`` for a priority that the key may
    not ask for."""
    priority = key.priority if request.priority is None else request.priority
    if request.priority is not None and priority > key.most_priority:
        raise InvalidRequest(
            f"This API key may ask for a priority of at most {key.most_priority}.", param="priority"
        )
    begins = max(now, request.start_after or 0.0)
    return {
        "priority": priority,
        "place": created - HEAD_START * priority,
        "not_before": begins if begins > now else 0.0,
        "deadline_at": begins + wait,
    }


def turn_share(priority: int) -> float:
    """How often a key's turn comes whose next task has this priority, beside 1 for one with 0."""
    return float(2**priority)


def moment_text(seconds: float) -> str:
    """As ISO 8601, like ``2026-12-24T18:00:00+00:00``."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
