"""The states of a task and the allowed moves."""

from typing import Literal

State = Literal["queued", "submitting", "running", "storing", "completed", "failed", "cancelled"]

MoneyState = Literal["settled", "released", "held"]
"""What became of the money that was reserved for a task; ``held`` until the operator decides."""

OPEN: frozenset[State] = frozenset({"queued", "submitting", "running", "storing"})
TERMINAL: frozenset[State] = frozenset({"completed", "failed", "cancelled"})
LEAVING = TERMINAL | {"queued"}
"""In these a task holds no slot: who moves there gives back the slot, and what was taken with it."""

JOINED = "segments"
"""In place of an account's id, of a film that is joined of segments: these have accounts (``segments/``)."""
SEGMENT_OWNER = "segment:"
"""Before a film's id, the owner of its segments: so no list of a client has them, and none finds them by their ids."""
SEGMENT_DIALECT = "segment"

MOVES: dict[State, frozenset[State]] = {
    "queued": frozenset(
        {"submitting", "queued", "failed", "cancelled"}
    ),  # queued: another account may be able
    "submitting": frozenset({"queued", "running", "failed", "cancelled"}),
    "running": frozenset(
        {"storing", "queued", "failed", "cancelled"}
    ),  # queued: the operator's own hardware has forgotten it
    "storing": frozenset({"completed", "failed", "cancelled"}),
    "completed": frozenset(),
    "failed": frozenset({"running"}),  # while its money is held: a receipt came late
    "cancelled": frozenset(),
}

PUBLIC_STATES = ("queued", "submitting", "accepted", "running", "storing", "completed", "failed", "cancelled")
"""``Task.public_state``: what each dialect has a word for. ``accepted`` is running, but queued at the upstream."""
