"""The states of a task, the allowed moves, and the timeline row that each leaves."""

import json
import time
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.tables import timeline

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


async def add_timeline_row(
    connection: AsyncConnection, task_id: str, *, epoch: int, event: str, detail: dict[str, Any]
) -> None:
    """Insert one timeline row in the caller's transaction."""
    row = {
        "task_id": task_id,
        "at": time.time(),
        "epoch": epoch,
        "event": event,
        "detail": json.dumps(detail),
    }
    await connection.execute(sa.insert(timeline), row)
