"""Where a waiting task stands, and how long it may take until its turn comes."""

import time
from collections import Counter
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.session import Database
from app.db.tables import slots, tasks
from app.tasks.task import Task
from app.tasks.waiting import WAITING, Group, ahead, queued, under_way

RECENT_SECONDS = 3600.0
MOST_RECENT = 50
KEPT_SECONDS = 1.0
"""All who ask within this time are told from one count of the line."""


@dataclass(frozen=True, slots=True)
class Place:
    """The position among ``waiting`` for the same model, from 1; ``seconds`` until its turn by what tasks of it
    took lately, None when none has ended lately or none is under way."""

    position: int
    waiting: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class _Count:
    """Waiting tasks and busy slots by key; a slot of this model is free every ``pace`` seconds."""

    counts: dict[str, int]
    busy: Counter[str]
    pace: float | None
    at: float = field(default_factory=time.monotonic)


class WaitingLine:
    """Looks at the line as admission would."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._counted: dict[Group, _Count] = {}

    async def place(self, task: Task) -> Place | None:
        """None for a task that does not wait for an account."""
        if task.state != "queued" or task.account_id is not None:
            return None
        async with self._database.read() as connection:
            line = await self._line(connection, (task.kind, task.model))
            before = await _before(connection, task)
        turn = before + 1 + line.busy[task.key_id]
        others = {key_id: count for key_id, count in line.counts.items() if key_id != task.key_id}
        position = before + 1 + ahead(others, line.busy, turn - 1)
        seconds = None if line.pace is None else round(position * line.pace, 1)
        return Place(position, max(sum(line.counts.values()), position), seconds)

    async def _line(self, connection: AsyncConnection, group: Group) -> _Count:
        now = time.monotonic()
        self._counted = {g: each for g, each in self._counted.items() if each.at > now - KEPT_SECONDS}
        if group not in self._counted:
            counts, busy = await queued(connection, group), await under_way(connection)
            self._counted[group] = _Count(counts, busy, await _pace(connection, group))
        return self._counted[group]


async def _before(connection: AsyncConnection, task: Task) -> int:
    """Tasks of the same key that came earlier."""
    mine = tasks.c.kind == task.kind, tasks.c.model == task.model, tasks.c.key_id == task.key_id
    query = sa.select(sa.func.count()).where(*WAITING, *mine, tasks.c.id < task.id)
    return int((await connection.execute(query)).scalar_one())


async def _pace(connection: AsyncConnection, group: Group) -> float | None:
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
        .limit(MOST_RECENT)
        .subquery()
    )
    mean = (await connection.execute(sa.select(sa.func.avg(took.c.seconds)))).scalar_one()
    return None if mean is None else float(mean) / beside
