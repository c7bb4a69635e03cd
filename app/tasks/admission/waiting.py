"""Tasks that wait for an account: in which order they are served, fair between keys, and where each one stands."""

import heapq
import time
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, get_args

import sqlalchemy as sa

from app import clock
from app.catalog.candidates import RoundRobin
from app.catalog.waits import AccountWait
from app.db.connection import AsyncConnection
from app.db.session import Database
from app.db.tables import slots, tasks
from app.generation import Kind
from app.tasks.queueing import turn_share
from app.tasks.task import Task

KINDS: tuple[Kind, ...] = get_args(Kind)
Group = tuple[Kind, str]
"""A kind and a public model."""
MAX_KEYS = 400
"""SQLite allows 500 parts in one compound query."""
WAITING = tasks.c.state == sa.literal_column("'queued'"), tasks.c.account_id.is_(None)
RECENT_SECONDS = 3600.0
RECENT_TASKS = 50
SNAPSHOT_SECONDS = 1.0
"""Queue positions that are asked for within this time are computed from one count."""


def waiting_now(now: float | sa.BindParameter[float]) -> sa.ColumnElement[bool]:
    """Tasks that may be admitted. One whose time to wait is over may not, also if no sweep has ended it yet."""
    return sa.and_(*WAITING, tasks.c.not_before <= now, tasks.c.deadline_at > now)


async def waiting_groups(connection: AsyncConnection) -> list[Group]:
    """Kinds and models with waiting tasks, including those whose pause after a refusal has not ended.

    Each query skips to the next model in the index: this runs at every end of a task, however many wait.
    """
    groups: list[Group] = []
    last: dict[Kind, str] = dict.fromkeys(KINDS, "")
    while last:
        given = {f"after_{kind}": after for kind, after in last.items()}
        rows = (await connection.execute(_next_models(tuple(last)), given)).all()
        last = {row.kind: row.model for row in rows if row.model is not None}
        groups += last.items()
    return groups


@cache
def _next_models(kinds: tuple[Kind, ...]) -> sa.CompoundSelect[Any]:
    model = sa.func.min(tasks.c.model).label("model")
    return sa.union_all(
        *(
            sa.select(sa.literal_column(f"'{kind}'").label("kind"), model).where(
                *WAITING,
                tasks.c.kind == sa.literal_column(f"'{kind}'"),
                tasks.c.model > sa.bindparam(f"after_{kind}"),
            )
            for kind in kinds
        )
    )


async def preferred_accounts(connection: AsyncConnection, account_ids: Collection[str]) -> set[str]:
    """Those of ``account_ids`` that some waiting task prefers."""
    query = sa.select(tasks.c.prefers).where(*WAITING, tasks.c.prefers.in_(account_ids)).distinct()
    return set((await connection.execute(query)).scalars())


_OF_GROUP = (
    *WAITING,
    tasks.c.kind == sa.bindparam("of_kind"),
    tasks.c.model == sa.bindparam("of_model"),
)
_BY_KEY = sa.select(tasks.c.key_id, sa.func.count()).where(*_OF_GROUP).group_by(tasks.c.key_id)
# Not a join: with a million finished tasks, SQLite would read all of them to find those of a few slots.
_HOLDER = sa.select(tasks.c.key_id).where(tasks.c.id == slots.c.task_id).scalar_subquery()
_HOLDERS = sa.select(_HOLDER.label("key_id")).select_from(slots).subquery()
_BUSY_KEYS = sa.select(_HOLDERS.c.key_id, sa.func.count()).group_by(_HOLDERS.c.key_id)


def _few_by_key() -> sa.Select[Any]:
    """Skips from key to key in the index, and counts no more of each than can matter: thousands may wait."""
    first = sa.select(sa.func.min(tasks.c.key_id).label("key_id")).where(*_OF_GROUP)
    found = first.cte("found", recursive=True)
    following = sa.select(sa.func.min(tasks.c.key_id)).where(*_OF_GROUP, tasks.c.key_id > found.c.key_id)
    found = found.union_all(sa.select(following.scalar_subquery()).where(found.c.key_id.is_not(None)))
    some = sa.select(tasks.c.id).where(*_OF_GROUP, tasks.c.key_id == found.c.key_id)
    some = some.limit(sa.bindparam("most", type_=sa.Integer)).correlate(found)
    count = sa.select(sa.func.count()).select_from(some.subquery())
    return sa.select(found.c.key_id, count.scalar_subquery()).where(found.c.key_id.is_not(None))


_FEW_BY_KEY = _few_by_key()


async def waiting_by_key(
    connection: AsyncConnection, group: Group, *, most: int | None = None
) -> dict[str, int]:
    """Waiting tasks of one model by key, of each at most so many."""
    given: dict[str, Any] = {"of_kind": group[0], "of_model": group[1]}
    if most is None:
        found = await connection.execute(_BY_KEY, given)
    else:
        found = await connection.execute(_FEW_BY_KEY, given | {"most": most})
    return {row[0]: int(row[1]) for row in found}


async def slots_by_key(connection: AsyncConnection) -> Counter[str]:
    """Tasks that hold a slot, by key."""
    return Counter({row[0]: int(row[1]) for row in await connection.execute(_BUSY_KEYS)})


async def next_tasks(
    connection: AsyncConnection,
    group: Group,
    *,
    busy: Counter[str],
    turns: RoundRobin,
    now: float,
    limit: int,
) -> list[Any]:
    """The tasks of one model that are served next: at least ``limit``, if so many wait."""
    counts = await waiting_by_key(connection, group, most=limit)
    level = _fill_level(counts, busy, limit)
    parts = []
    for key_id in sorted(counts, key=lambda key_id: (busy[key_id], turns.turn_of(key_id)))[:MAX_KEYS]:
        share = level - busy[key_id]
        if share > 0:
            parts.append(_of_key(group, key_id, now=now, limit=share))
    return list((await connection.execute(sa.union_all(*parts))).all()) if parts else []


class FairQueue:
    """Iterates over waiting tasks of all models in the order in which they are served.

    The key with the fewest running tasks is next; among equal keys they take turns by the priority of their tasks
    (``queueing.py``), so that keys alternate even on a single slot.
    """

    def __init__(self, rows: Iterable[Any], busy: Counter[str], turns: RoundRobin) -> None:
        self._busy = busy
        self._turns = turns
        self._rows: dict[str, deque[Any]] = defaultdict(deque)
        for row in sorted(rows, key=lambda row: (row.place, row.id)):
            self._rows[row.key_id].append(row)

    def __iter__(self) -> Iterator[Any]:
        ranked = [self._key_rank(key_id) for key_id in self._rows]
        heapq.heapify(ranked)
        while ranked:
            *_, key_id = heapq.heappop(ranked)
            yield self._rows[key_id].popleft()
            if self._rows[key_id]:
                heapq.heappush(ranked, self._key_rank(key_id))

    def record_served(self, row: Any) -> None:
        """Count the task as running for its key: call it when the task of the last iteration gets an account."""
        self._busy[row.key_id] += 1
        self._turns.take_turn(row.key_id, turn_share(row.priority))

    def _key_rank(self, key_id: str) -> tuple[int, float, float, str, str]:
        first = self._rows[key_id][0]
        return self._busy[key_id], self._turns.turn_of(key_id), first.place, first.id, key_id


def _of_key(group: Group, key_id: str, *, now: float, limit: int) -> sa.Select[Any]:
    """One query for each key, which the index answers without reading the queue of other keys."""
    mine = tasks.c.kind == group[0], tasks.c.model == group[1], tasks.c.key_id == key_id
    columns = (
        tasks.c.id,
        tasks.c.kind,
        tasks.c.model,
        tasks.c.key_id,
        tasks.c.excluded,
        tasks.c.prefers,
        tasks.c.only_account,
        tasks.c.priority,
        tasks.c.place,
    )
    ordered = sa.select(*columns).where(waiting_now(now), *mine).order_by(tasks.c.place, tasks.c.id)
    return sa.select(ordered.limit(limit).subquery())


def _fill_level(counts: Mapping[str, int], busy: Mapping[str, int], limit: int) -> int:
    """Water-filling: the smallest number of running tasks per key at which at least ``limit`` tasks are due."""
    low, high = 0, limit + max((busy[key_id] for key_id in counts), default=0)
    while low < high:
        middle = (low + high) // 2
        if count_ahead(counts, busy, middle) >= limit:
            high = middle
        else:
            low = middle + 1
    return low


def count_ahead(counts: Mapping[str, int], busy: Mapping[str, int], turn: int) -> int:
    """How many tasks can start until every key has ``turn`` running tasks or no more waiting."""
    return sum(min(count, max(0, turn - busy[key_id])) for key_id, count in counts.items())


@dataclass(frozen=True, slots=True)
class QueuePosition:
    """Position among the ``waiting`` tasks of a model, from 1. ``seconds`` is an estimate of the wait, from the
    duration of recent tasks; None when none has ended in the last hour or none is running. ``reason``: why no account may
    take any of them now."""

    position: int
    waiting: int
    seconds: float | None
    reason: str | None = None

    def behind(self, wait: AccountWait | None) -> "QueuePosition":
        """The position of tasks that wait until an account may be used again."""
        if wait is None:
            return self
        known = [seconds for seconds in (self.seconds, wait.seconds) if seconds is not None]
        whole = None if wait.seconds is None else round(max(known), 1)
        return replace(self, seconds=whole, reason=wait.reason)


@dataclass(frozen=True, slots=True)
class _QueueSnapshot:
    """Waiting tasks and busy slots by key; a slot of this model becomes free every ``seconds_per_task``."""

    counts: dict[str, int]
    busy: Counter[str]
    seconds_per_task: float | None
    at: float = field(default_factory=time.monotonic)


class QueuePositions:
    """Queue positions in the order that admission uses."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._snapshots: dict[Group, _QueueSnapshot] = {}

    async def position_of(self, task: Task) -> QueuePosition | None:
        """None when the task does not wait for an account."""
        if task.state != "queued" or task.account_id is not None:
            return None
        async with self._database.read() as connection:
            snapshot = await self._queue_snapshot(connection, (task.kind, task.model))
            earlier = await _count_earlier(connection, task)
        turn = earlier + 1 + snapshot.busy[task.key_id]
        others = {key_id: count for key_id, count in snapshot.counts.items() if key_id != task.key_id}
        position = earlier + 1 + count_ahead(others, snapshot.busy, turn - 1)
        seconds = (
            None if snapshot.seconds_per_task is None else round(position * snapshot.seconds_per_task, 1)
        )
        return QueuePosition(position, max(sum(snapshot.counts.values()), position), seconds)

    async def _queue_snapshot(self, connection: AsyncConnection, group: Group) -> _QueueSnapshot:
        now = time.monotonic()
        self._snapshots = {g: each for g, each in self._snapshots.items() if each.at > now - SNAPSHOT_SECONDS}
        if group not in self._snapshots:
            counts, busy = await waiting_by_key(connection, group), await slots_by_key(connection)
            self._snapshots[group] = _QueueSnapshot(counts, busy, await _seconds_per_task(connection, group))
        return self._snapshots[group]


async def _count_earlier(connection: AsyncConnection, task: Task) -> int:
    """Waiting tasks of the same key and model that stand before it."""
    mine = tasks.c.kind == task.kind, tasks.c.model == task.model, tasks.c.key_id == task.key_id
    ahead = sa.or_(tasks.c.place < task.place, sa.and_(tasks.c.place == task.place, tasks.c.id < task.id))
    query = sa.select(sa.func.count()).where(*WAITING, *mine, ahead)
    return int((await connection.execute(query)).scalar_one())


async def _seconds_per_task(connection: AsyncConnection, group: Group) -> float | None:
    same = tasks.c.kind == group[0], tasks.c.model == group[1]
    holds = sa.exists().where(tasks.c.id == slots.c.task_id, *same)
    held = sa.select(sa.func.count()).select_from(slots).where(holds)
    running = int((await connection.execute(held)).scalar_one())
    if not running:
        return None
    ended = tasks.c.finished_at > clock.now() - RECENT_SECONDS, tasks.c.started_at.is_not(None)
    took = (
        sa.select((tasks.c.finished_at - tasks.c.started_at).label("seconds"))
        .where(*ended, *same)
        .order_by(tasks.c.finished_at.desc())
        .limit(RECENT_TASKS)
        .subquery()
    )
    mean = (await connection.execute(sa.select(sa.func.avg(took.c.seconds)))).scalar_one()
    return None if mean is None else float(mean) / running
