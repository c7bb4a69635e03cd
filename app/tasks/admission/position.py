"""Where a waiting task stands, and how long it may take until its turn comes."""

import time
from collections import Counter
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.session import Database
from app.db.tables import slots, tasks
from app.tasks.admission.waiting import WAITING, Group, count_ahead, slots_by_key, waiting_by_key
from app.tasks.task import Task

RECENT_SECONDS = 3600.0
RECENT_TASKS = 50
SNAPSHOT_SECONDS = 1.0
"""All who ask within this time are told from one count of the line."""


@dataclass(frozen=True, slots=True)
class QueuePosition:
    """The position among ``waiting`` for the same model, from 1; ``seconds`` until its turn by what tasks of it
    took lately, None when none has ended lately or none is under way."""

    position: int
    waiting: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class _QueueSnapshot:
    """Waiting tasks and busy slots by key; a slot of this model is free every ``pace`` seconds."""

    counts: dict[str, int]
    busy: Counter[str]
    seconds_per_task: float | None
    at: float = field(default_factory=time.monotonic)


class QueuePositions:
    """Looks at the line as admission would."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._snapshots: dict[Group, _QueueSnapshot] = {}

    async def position_of(self, task: Task) -> QueuePosition | None:
        """None for a task that does not wait for an account."""
        if task.state != "queued" or task.account_id is not None:
            return None
        async with self._database.read() as connection:
            line = await self._queue_snapshot(connection, (task.kind, task.model))
            before = await _count_earlier(connection, task)
        turn = before + 1 + line.busy[task.key_id]
        others = {key_id: count for key_id, count in line.counts.items() if key_id != task.key_id}
        position = before + 1 + count_ahead(others, line.busy, turn - 1)
        seconds = None if line.seconds_per_task is None else round(position * line.seconds_per_task, 1)
        return QueuePosition(position, max(sum(line.counts.values()), position), seconds)

    async def _queue_snapshot(self, connection: AsyncConnection, group: Group) -> _QueueSnapshot:
        now = time.monotonic()
        self._snapshots = {g: each for g, each in self._snapshots.items() if each.at > now - SNAPSHOT_SECONDS}
        if group not in self._snapshots:
            counts, busy = await waiting_by_key(connection, group), await slots_by_key(connection)
            self._snapshots[group] = _QueueSnapshot(counts, busy, await _seconds_per_task(connection, group))
        return self._snapshots[group]


async def _count_earlier(connection: AsyncConnection, task: Task) -> int:
    """Tasks of the same key that came earlier."""
    mine = tasks.c.kind == task.kind, tasks.c.model == task.model, tasks.c.key_id == task.key_id
    query = sa.select(sa.func.count()).where(*WAITING, *mine, tasks.c.id < task.id)
    return int((await connection.execute(query)).scalar_one())


async def _seconds_per_task(connection: AsyncConnection, group: Group) -> float | None:
    same = tasks.c.kind == group[0], tasks.c.model == group[1]
    held = sa.select(sa.func.count()).select_from(slots).join(tasks, tasks.c.id == slots.c.task_id)
    beside = int((await connection.execute(held.where(*same))).scalar_one())
    if not beside:
        return None
    ended = tasks.c.finished_at > time.time() - RECENT_SECONDS, tasks.c.started_at.is_not(None)
    took = (
        sa.select((tasks.c.finished_at - tasks.c.started_at).label("seconds"))
        .where(*ended, *same)
        .order_by(tasks.c.finished_at.desc())
        .limit(RECENT_TASKS)
        .subquery()
    )
    mean = (await connection.execute(sa.select(sa.func.avg(took.c.seconds)))).scalar_one()
    return None if mean is None else float(mean) / beside
