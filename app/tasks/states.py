"""The states of a task, the allowed moves, and what each client vocabulary calls them."""

from typing import Literal

State = Literal["queued", "submitting", "running", "storing", "completed", "failed", "cancelled"]

OPEN: frozenset[State] = frozenset({"queued", "submitting", "running", "storing"})
TERMINAL: frozenset[State] = frozenset({"completed", "failed", "cancelled"})

MOVES: dict[State, frozenset[State]] = {
    "queued": frozenset({"submitting", "failed", "cancelled"}),
    "submitting": frozenset({"queued", "running", "failed", "cancelled"}),
    "running": frozenset({"storing", "failed", "cancelled"}),
    "storing": frozenset({"completed", "failed", "cancelled"}),
    "completed": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
}

# ``running`` splits in two outside: accepted but queued at the upstream, and being made.
OPENAI = {
    "queued": "queued",
    "submitting": "queued",
    "accepted": "queued",
    "running": "in_progress",
    "storing": "in_progress",
    "completed": "completed",
    "failed": "failed",
    "cancelled": "failed",
}
MANUAL = OPENAI | {"queued": "submitted", "submitting": "submitted", "accepted": "submitted"}
TASKS = {
    **dict.fromkeys(OPENAI, "processing"),
    "completed": "completed",
    "failed": "failed",
    "cancelled": "failed",
}
UNIFIED = {
    "queued": "NOT_START",
    "submitting": "SUBMITTED",
    "accepted": "QUEUED",
    "running": "IN_PROGRESS",
    "storing": "IN_PROGRESS",
    "completed": "SUCCESS",
    "failed": "FAILURE",
    "cancelled": "FAILURE",
}
OPENROUTER = OPENAI | {
    "queued": "pending",
    "submitting": "pending",
    "accepted": "pending",
    "cancelled": "cancelled",
}
ARK = {
    "queued": "queued",
    "submitting": "queued",
    "accepted": "queued",
    "running": "running",
    "storing": "running",
    "completed": "succeeded",
    "failed": "failed",
    "cancelled": "cancelled",
}
# What new-api documents; what it really answers is UNIFIED, and clients read either.
NEW_API = OPENAI


def may_move(old: State, new: State) -> bool:
    """Whether a task in ``old`` may become ``new``."""
    return new in MOVES[old]
