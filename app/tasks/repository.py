"""Rows of tasks, their timeline and receipts. Every write of a run names the epoch with which it took the task.

Queries for admission are in ``admission/waiting.py``, those about money in ``billing.py``.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app import clock
from app.db.among import among
from app.db.connection import AsyncConnection
from app.db.grouped_writes import GroupedWrites
from app.db.session import Database
from app.db.tables import receipts, slots, tasks, timeline
from app.errors import NoAvailableAccount
from app.generation import Kind
from app.ops.metrics import count_end
from app.providers.base import Operation
from app.tasks.billing import SILENT, UNSENT, VendorWord
from app.tasks.creation import NewTask, insert_tasks
from app.tasks.ends import TaskLeaving, record_ended, write_leaving
from app.tasks.moves import FREE_SLOT, RecordedMove, TaskMove, write_recorded
from app.tasks.receipt_files import empty_receipts
from app.tasks.receipts import Acceptance, insert_receipts, latest_receipt
from app.tasks.states import LEAVING, MOVES, OPEN, TERMINAL, State
from app.tasks.task import Task, add_timeline_row

__all__ = ["StaleRun", "TaskRepository", "add_timeline_row", "task_of"]

_RENAMED = {"request", "operation", "result", "excluded", "fitted"}
_NOT_READ = {"idempotency_key", "prefers", "hook_url", "hook_base", "attempt_epoch", "end_user", "tags"}
COLUMNS = [
    column.label(f"{column.name}_text") if column.name in _RENAMED else column
    for column in tasks.c
    if column.name not in _NOT_READ
]
LISTED = [sa.null().label(c.name) if c.name == "operation_text" else c for c in COLUMNS]
"""Of lists: without what the vendor accepted, which may be large and is only for a run."""
_WAITING = tasks.c.state == sa.literal_column("'queued'"), tasks.c.account_id.is_(None)
_TAKE = (
    sa.update(tasks)
    .where(
        among(tasks.c.id, "task_ids"),
        tasks.c.state.in_(OPEN),
        tasks.c.account_id.is_not(None),
    )
    .values(epoch=tasks.c.epoch + 1)
    .returning(*COLUMNS)
)


class StaleRun(Exception):
    """Another run has taken the task, or the task has ended: this run must not change it any more."""


class OperationTaken(Exception):
    """The vendor named an operation that already belongs to another task, whose id is ``owner``."""

    def __init__(self, owner: str) -> None:
        super().__init__(owner)
        self.owner = owner


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks a numbered list shows; each part that is set narrows it. ``since`` in UTC seconds."""

    kind: Kind | None = None
    states: Sequence[State] = ()
    model: str | None = None
    ids: Sequence[str] | None = None
    since: float | None = None


def task_of(row: Any) -> Task:
    # Not ``row._mapping``, which looks each of 33 names up by itself.
    return Task(**dict(zip(row._fields, row, strict=True)))


class TaskRepository:
    """Reads and writes of tasks, their timeline and their receipts."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._inserts = GroupedWrites(self._insert_group)
        self._takes = GroupedWrites(self._take_group)
        self._moves = GroupedWrites(self._move_group)
        self._acceptances = GroupedWrites(self._accept_group)
        self._ends = GroupedWrites(self._end_group)
        self._by_id = database.keyed_reads(COLUMNS, key=tasks.c.id)

    # ---- reading --------------------------------------------------------------------------------

    async def get(self, task_id: str) -> Task | None:
        values = await self._by_id.get(task_id)
        return None if values is None else Task(**dict(zip(self._by_id.names, values, strict=True)))

    async def page(
        self,
        owner: str,
        *,
        after: str | None,
        limit: int,
        ascending: bool,
        kind: str | None,
        states: Sequence[State] = (),
    ) -> list[Task]:
        """Up to ``limit`` of the owner's tasks after the id ``after``, in the order asked for."""
        query = sa.select(*LISTED).where(tasks.c.owner == owner, tasks.c.deleted.is_(False))
        if kind:
            query = query.where(tasks.c.kind == kind)
        if states:
            query = query.where(tasks.c.state.in_(states))
        if after:
            query = query.where(tasks.c.id > after if ascending else tasks.c.id < after)
        order = tasks.c.id.asc() if ascending else tasks.c.id.desc()
        async with self.database.read() as connection:
            return [task_of(row) for row in await connection.execute(query.order_by(order).limit(limit))]

    async def numbered_page(
        self, owner: str, *, offset: int, size: int, chosen: TaskFilter
    ) -> tuple[list[Task], int]:
        """``size`` of the owner's tasks after the first ``offset``, newest first; and how many there are."""
        which = [tasks.c.owner == owner, tasks.c.deleted.is_(False), *_filter_conditions(chosen)]
        rows = sa.select(*LISTED).where(*which).order_by(tasks.c.id.desc()).limit(size).offset(offset)
        number = sa.select(sa.func.count()).select_from(tasks).where(*which)
        async with self.database.read() as connection:
            total = int((await connection.execute(number)).scalar_one())
            return [task_of(row) for row in await connection.execute(rows)], total

    async def with_idempotency_key(self, owner: str, idempotency_key: str) -> Task | None:
        """The owner's task that was created with this key, also when it has been deleted."""
        query = sa.select(*LISTED).where(tasks.c.owner == owner, tasks.c.idempotency_key == idempotency_key)
        async with self.database.read() as connection:
            row = (await connection.execute(query)).first()
        return task_of(row) if row else None

    async def read_timeline(self, task_id: str) -> list[dict[str, Any]]:
        """The timeline, oldest first."""
        query = sa.select(timeline).where(timeline.c.task_id == task_id).order_by(timeline.c.id)
        async with self.database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [
            {"at": r.at, "epoch": r.epoch, "event": r.event, "detail": json.loads(r.detail)} for r in rows
        ]

    async def latest_receipt(self, task_id: str) -> Operation | None:
        """The operation that an upstream accepted for the task, in whichever run."""
        return await latest_receipt(self.database, task_id)

    async def open_ids(self, connection: AsyncConnection) -> list[str]:
        """Dispatched tasks that have not ended: each of them must be in the queue."""
        query = sa.select(tasks.c.id).where(tasks.c.state.in_(OPEN), tasks.c.account_id.is_not(None))
        return list((await connection.execute(query)).scalars())

    async def cancelling_ids(self) -> list[str]:
        query = sa.select(tasks.c.id).where(tasks.c.state.in_(OPEN), tasks.c.cancel_requested)
        async with self.database.read_few() as connection:
            return list((await connection.execute(query)).scalars())

    async def expired_ids(self, now: float, *, limit: int = 100) -> list[str]:
        """Ended tasks whose files have expired."""
        # As in the partial index; by their state SQLite would read all that have ever ended.
        due = tasks.c.expires_at <= now, sa.text("NOT purged"), tasks.c.state.concat("").in_(TERMINAL)
        query = sa.select(tasks.c.id).where(*due)
        async with self.database.read_few() as connection:
            return list((await connection.execute(query.limit(limit))).scalars())

    async def open_counts(self) -> dict[str, int]:
        """Open tasks by state, and ``slots`` in use."""
        by_state = (
            sa.select(tasks.c.state, sa.func.count()).where(tasks.c.state.in_(OPEN)).group_by(tasks.c.state)
        )
        async with self.database.read() as connection:
            found = {row[0]: int(row[1]) for row in await connection.execute(by_state)}
            used = await connection.execute(sa.select(sa.func.count()).select_from(slots))
            return {**found, "slots": int(used.scalar_one())}

    # ---- writing --------------------------------------------------------------------------------

    async def insert(self, new: NewTask) -> None:
        """Raises what ``insert_tasks`` raises."""
        hold = new.hold
        with nullcontext() if hold is None else hold.announced_to_relay(new.row["created_at"]):
            await self._inserts.add(new)

    async def take(self, task_id: str) -> Task | None:
        """Take a dispatched task for a run by raising its epoch. None when there is nothing to run."""
        return await self._takes.add(task_id)

    async def move(
        self,
        task: Task,
        old: State,
        new: State,
        *,
        detail: dict[str, Any] | None = None,
        word: VendorWord = SILENT,
        **values: Any,
    ) -> None:
        """One move between states, with its timeline row. ``word``: what the vendor said about a task that ends
        without a film. Raises ``StaleRun``."""
        assert new in MOVES[old], f"{old} may not become {new}"
        move = TaskMove(task.id, task.epoch, old, new, values)
        if new in LEAVING:
            done = await self._ends.add(TaskLeaving(move, task.account_id, detail or {}, word))
        else:
            done = await self._moves.add(RecordedMove(move, detail or {}))
        if not done:
            raise StaleRun

    async def accept(self, task: Task, operation: Operation, *, now: float, deadline_at: float) -> None:
        """Insert the vendor's receipt and move to running. Raises ``StaleRun``, and ``OperationTaken`` for an operation
        of another task; the receipt is kept even then. ``deadline_at``: of the run, which begins here."""
        outcome = await self._acceptances.add(Acceptance(task, operation, now, deadline_at))
        if outcome == "stale":
            raise StaleRun
        if outcome != "running":
            raise OperationTaken(outcome)

    # ---- groups of writes -----------------------------------------------------------------------

    async def close(self) -> None:
        for writes in (self._inserts, self._takes, self._moves, self._acceptances, self._ends):
            await writes.close()

    async def _insert_group(self, new: Sequence[NewTask]) -> list[None]:
        async with self.database.write() as connection:
            await insert_tasks(connection, new)
        return [None] * len(new)

    async def _take_group(self, task_ids: Sequence[str]) -> list[Task | None]:
        async with self.database.write_one() as connection:
            rows = (await connection.execute(_TAKE, {"task_ids": sorted(task_ids)})).all()
        taken = {task.id: task for task in map(task_of, rows)}
        return [taken.pop(task_id, None) for task_id in task_ids]

    async def _move_group(self, moves: Sequence[RecordedMove]) -> list[bool]:
        async with self.database.write_one() as connection:
            moved = await write_recorded(connection, moves)
        return [each.move.task_id in moved for each in moves]

    async def _end_group(self, leaving: Sequence[TaskLeaving]) -> list[bool]:
        async with self.database.write() as connection:
            moved = await write_leaving(connection, leaving)
        return [each.move.task_id in moved for each in leaving]

    async def _accept_group(self, accepted: Sequence[Acceptance]) -> list[str]:
        """``running``, ``stale``, or the owner of the operation."""
        async with self.database.write() as connection:
            owners = await insert_receipts(connection, accepted)
            free = [each for each in accepted if each.task.id not in owners]
            moved = await write_recorded(connection, [_acceptance_move(each) for each in free])
        found = dict.fromkeys((each.task.id for each in accepted), "stale")
        found |= dict.fromkeys(moved, "running") | owners
        return [found[each.task.id] for each in accepted]

    async def requeue_forgotten(self, task: Task, *, now: float, detail: dict[str, Any]) -> None:
        """Back into the queue, without the operation and its receipts: its upstream knows it no longer. Raises
        ``StaleRun``."""
        gone = {"operation": None, "account_id": None, "started_at": None, "not_before": now}
        async with self.database.write() as connection:
            move = TaskMove(task.id, task.epoch, "running", "queued", gone)
            leaving = TaskLeaving(move, task.account_id, detail, SILENT)
            done = await write_leaving(connection, [leaving])
            if done:
                await connection.execute(sa.delete(receipts).where(receipts.c.task_id == task.id))
        if not done:
            raise StaleRun

    async def free_slot(self, task: Task) -> None:
        """Give back the slot of a task whose vendor has done its work."""
        async with self.database.write_one() as connection:
            await connection.execute(FREE_SLOT, {"of_task": task.id})

    async def keep_result(self, task: Task, result: str) -> None:
        """Record stored files before slow stages of delivery. Raises ``StaleRun``."""
        mine = tasks.c.id == task.id, tasks.c.epoch == task.epoch, tasks.c.state == "storing"
        async with self.database.write_one() as connection:
            done = await connection.execute(sa.update(tasks).where(*mine).values(result=result))
        if done.rowcount == 0:
            raise StaleRun

    async def add_timeline_row(self, task: Task, event: str, **detail: Any) -> None:
        """A timeline row without a change of state."""
        async with self.database.write_one() as connection:
            await add_timeline_row(connection, task.id, epoch=task.epoch, event=event, detail=detail)

    async def write_progress(self, rows: list[dict[str, Any]]) -> None:
        """Update many tasks at once: ``{id_, epoch_, progress_, generating_}``. Only running tasks, never backwards."""
        raised = (
            sa.update(tasks)
            .where(
                tasks.c.id == sa.bindparam("id_"),
                tasks.c.epoch == sa.bindparam("epoch_"),
                tasks.c.state == "running",
                tasks.c.progress <= sa.bindparam("progress_"),
            )
            .values(progress=sa.bindparam("progress_"), generating=sa.bindparam("generating_"))
        )
        async with self.database.write() as connection:
            await connection.execute(raised, sorted(rows, key=lambda row: row["id_"]))  # as moves lock rows

    async def request_cancel(self, task_id: str, *, delete: bool) -> Task | None:
        """Cancel a task that waits for an account at once; mark any other for its run to stop."""
        mark: dict[str, Any] = {"deleted": True, "expires_at": clock.now()} if delete else {}
        waiting = tasks.c.id == task_id, *_WAITING
        running = tasks.c.id == task_id, tasks.c.state.in_(OPEN)
        async with self.database.write() as connection:
            ended = await _cancel_waiting(connection, *waiting)
            if not ended:
                await connection.execute(sa.update(tasks).where(*running).values(cancel_requested=True))
            if mark:
                await connection.execute(sa.update(tasks).where(tasks.c.id == task_id).values(**mark))
            await record_ended(connection, dict.fromkeys(ended, UNSENT))
        return await self.get(task_id)

    async def cancel_requeued(self) -> list[str]:
        """Cancel tasks that were requeued while their client cancelled them: no run would see the mark."""
        async with self.database.write_many() as connection:
            ended = await _cancel_waiting(connection, *_WAITING, tasks.c.cancel_requested)
            await record_ended(connection, dict.fromkeys(ended, UNSENT))
        return ended

    async def fail_overdue(
        self, now: float, *, refused: Callable[[Kind, str], NoAvailableAccount | None] | None = None
    ) -> list[str]:
        """Fail tasks that waited for an account past their deadline. ``refused``: the error for a model that no
        account can serve."""
        due = *_WAITING, tasks.c.deadline_at < now
        groups = sa.select(tasks.c.kind, tasks.c.model).where(*due).distinct()
        ids: list[str] = []
        async with self.database.read_few() as connection:
            found = (await connection.execute(groups)).all()
        for kind, model in found:
            error = refused(kind, model) if refused else None
            text = error.message if error else "No account was free before its deadline."
            code = error.code if error else "deadline_exceeded"
            values = {"state": "failed", "finished_at": now, "expires_at": now, "epoch": tasks.c.epoch + 1}
            ended = (
                sa.update(tasks)
                .where(*due, tasks.c.kind == kind, tasks.c.model == model)
                .values(**values, error_code=code, error_message=text)
            )
            async with self.database.write_many() as connection:
                gone = list((await connection.execute(ended.returning(tasks.c.id))).scalars())
                for task_id in gone:
                    await add_timeline_row(
                        connection, task_id, epoch=0, event="failed", detail={"code": code}
                    )
                await record_ended(connection, dict.fromkeys(gone, UNSENT))
            for task_id in gone:
                ids.append(task_id)
                count_end(kind, "failed", code)
        return ids

    async def mark_purged(self, task_id: str) -> None:
        async with self.database.write() as connection:
            await connection.execute(sa.update(tasks).where(tasks.c.id == task_id).values(purged=True))
            await empty_receipts(connection, task_id)


def _filter_conditions(chosen: TaskFilter) -> list[sa.ColumnElement[bool]]:
    equal = ((tasks.c.kind, chosen.kind), (tasks.c.model, chosen.model))
    found: list[sa.ColumnElement[bool]] = [column == value for column, value in equal if value]
    if chosen.states:
        found.append(tasks.c.state.in_(chosen.states))
    if chosen.ids is not None:
        found.append(tasks.c.id.in_(chosen.ids))
    if chosen.since is not None:
        found.append(tasks.c.created_at >= chosen.since)
    return found


def _acceptance_move(accepted: Acceptance) -> RecordedMove:
    task = accepted.task
    values = {
        "operation": accepted.document,
        "started_at": accepted.at,
        "deadline_at": accepted.deadline_at,
    }
    move = TaskMove(task.id, task.epoch, "submitting", "running", values)
    return RecordedMove(move, {"operation": accepted.operation.id})


async def _cancel_waiting(connection: AsyncConnection, *which: sa.ColumnElement[bool]) -> list[str]:
    now = clock.now()
    values = {"state": "cancelled", "finished_at": now, "expires_at": now, "epoch": tasks.c.epoch + 1}
    ended = (
        sa.update(tasks).where(*which).values(**values, error_code="cancelled", error_message="Cancelled.")
    )
    ids = list((await connection.execute(ended.returning(tasks.c.id))).scalars())
    for task_id in ids:
        await add_timeline_row(connection, task_id, epoch=0, event="cancelled", detail={"by": "client"})
    return ids
