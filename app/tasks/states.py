"""The states of a task and the allowed moves."""

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

PUBLIC_STATES = ("queued", "submitting", "accepted", "running", "storing", "completed", "failed", "cancelled")
"""``Task.public_state``: what each dialect has a word for. ``accepted`` is running, but queued at the upstream."""
