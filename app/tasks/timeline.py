"""A task's timeline: one row for whatever happens to it, written with what happened."""

import json
import time
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.tables import timeline


async def add_timeline_row(
    connection: AsyncConnection, task_id: str, *, epoch: int, event: str, detail: dict[str, Any]
) -> None:
    """One timeline row, in the caller's transaction."""
    row = {
        "task_id": task_id,
        "at": time.time(),
        "epoch": epoch,
        "event": event,
        "detail": json.dumps(detail),
    }
    await connection.execute(sa.insert(timeline), row)
