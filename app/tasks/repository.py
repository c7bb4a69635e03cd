"""Rows of tasks, their timeline and receipts. Every write of a run names the epoch with which it took the task.

Queries for admission are in ``admission/waiting.py``, those about money in ``billing.py``.
"""

import json
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.limits import release_account
from app.db.session import Database
from app.db.tables import receipts, slots, tasks, timeline
from app.errors import NoAvailableAccount
from app.generation import Kind
from app.providers.base import Operation
from app.tasks import billing
from app.tasks.states import MOVES, OPEN, TERMINAL, State
from app.tasks.task import Task, add_timeline_row
from app.webhooks import outbox

__all__ = ["StaleRun", "TaskRepository", "add_timeline_row", "task_of"]

_RENAMED = {"request", "operation", "result", "excluded"}
_NOT_READ = {"not_before", "idempotency_key", "prefers", "hook_url", "hook_base"}
COLUMNS = [
    column.label(f"{column.name}_text") if column.name in _RENAMED else column
    for column in tasks.c
    if column.name not in _NOT_READ
]
_WAITING = tasks.c.state == sa.literal_column("'queued'"), tasks.c.account_id.is_(None)
_BY_ID = sa.select(*COLUMNS).where(tasks.c.id == sa.bindparam("task_id"))


class StaleRun(Exception):
    """Another run has taken the task, or the task has ended: this run must not change it any more."""


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks a numbered list shows; each part that is set narrows it. ``since`` in UTC seconds."""

    kind: Kind | None = None
    states: Sequence[State] = ()
    model: str | None = None
    ids: Sequence[str] | None = None
    since: float | None = None


def task_of(row: Any) -> Task:
    return Task(**row._mapping)


class TaskRepository:
    """Reads and writes of tasks, their timeline and their receipts."""

    def __init__(self, database: Database) -> None:
        self.database = database

    # ---- reading --------------------------------------------------------------------------------

    async def get(self, task_id: str) -> Task | None:
        row = await self.database.read_one(_BY_ID, {"task_id": task_id})
        return task_of(row) if row else None

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
        query = sa.select(*COLUMNS).where(tasks.c.owner == owner, tasks.c.deleted.is_(False))
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
        rows = sa.select(*COLUMNS).where(*which).order_by(tasks.c.id.desc()).limit(size).offset(offset)
        number = sa.select(sa.func.count()).select_from(tasks).where(*which)
        async with self.database.read() as connection:
            total = int((await connection.execute(number)).scalar_one())
            return [task_of(row) for row in await connection.execute(rows)], total

    async def same_request(
        self, owner: str, *, idempotency_key: str | None, fingerprint: str, since: float | None
    ) -> Task | None:
        """The task of an equal earlier request: by its idempotency key, else by its fingerprint after ``since``."""
        query = sa.select(*COLUMNS).where(tasks.c.owner == owner)
        if idempotency_key is not None:
            query = query.where(tasks.c.idempotency_key == idempotency_key)
        else:
            query = query.where(tasks.c.fingerprint == fingerprint, tasks.c.created_at >= since)
        async with self.database.read() as connection:
            row = (await connection.execute(query.order_by(tasks.c.id.desc()).limit(1))).first()
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
        query = sa.select(receipts.c.operation).where(receipts.c.task_id == task_id)
        async with self.database.read() as connection:
            text = (await connection.execute(query.order_by(receipts.c.id.desc()).limit(1))).scalar()
        return Operation.model_validate_json(text) if text else None

    async def open_ids(self, connection: AsyncConnection) -> list[str]:
        """Dispatched tasks that have not ended: each of them must be in the queue."""
        query = sa.select(tasks.c.id).where(tasks.c.state.in_(OPEN), tasks.c.account_id.is_not(None))
        return list((await connection.execute(query)).scalars())

    async def cancelling_ids(self) -> list[str]:
        query = sa.select(tasks.c.id).where(tasks.c.state.in_(OPEN), tasks.c.cancel_requested)
        async with self.database.read() as connection:
            return list((await connection.execute(query)).scalars())

    async def expired_ids(self, now: float, *, limit: int = 100) -> list[str]:
        """Ended tasks whose files have expired."""
        due = tasks.c.expires_at <= now, tasks.c.purged.is_(False), tasks.c.state.in_(TERMINAL)
        query = sa.select(tasks.c.id).where(*due)
        async with self.database.read() as connection:
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

    async def insert(
        self, row: dict[str, Any], *, detail: dict[str, Any], hold: billing.BudgetHold | None = None
    ) -> None:
        """Raises ``IntegrityError`` when the idempotency key is taken, and what
        ``BudgetHold.check_and_reserve`` raises."""
        with hold.announced_to_relay(row["created_at"]) if hold is not None else nullcontext():
            async with self.database.write() as connection:
                await connection.execute(sa.insert(tasks), row)
                if hold is not None:
                    await hold.check_and_reserve(connection, task_id=row["id"], at=row["created_at"])
                await add_timeline_row(connection, row["id"], epoch=0, event="received", detail=detail)

    async def take(self, task_id: str) -> Task | None:
        """Take a dispatched task for a run by raising its epoch. None when there is nothing to run."""
        raised = (
            sa.update(tasks)
            .where(tasks.c.id == task_id, tasks.c.state.in_(OPEN), tasks.c.account_id.is_not(None))
            .values(epoch=tasks.c.epoch + 1)
            .returning(*COLUMNS)
        )
        async with self.database.write() as connection:
            row = (await connection.execute(raised)).first()
        return task_of(row) if row else None

    async def move(
        self, task: Task, old: State, new: State, *, detail: dict[str, Any] | None = None, **values: Any
    ) -> None:
        """One move between states, with its timeline row. Raises ``StaleRun``."""
        async with self.database.write() as connection:
            done = await self._apply_move(connection, task, (old, new), detail=detail or {}, values=values)
        if not done:
            raise StaleRun

    async def accept(self, task: Task, operation: Operation, *, now: float) -> None:
        """Insert the vendor's receipt and move to running. Raises ``StaleRun``; the receipt is kept even then."""
        document = operation.model_dump_json()
        receipt = {"task_id": task.id, "epoch": task.epoch, "account_id": task.account_id, "at": now}
        async with self.database.write() as connection:
            await connection.execute(sa.insert(receipts), {**receipt, "operation": document})
            values = {"operation": document, "started_at": now}
            detail = {"operation": operation.id}
            done = await self._apply_move(
                connection, task, ("submitting", "running"), detail=detail, values=values
            )
        if not done:
            raise StaleRun

    async def _apply_move(
        self,
        connection: AsyncConnection,
        task: Task,
        change: tuple[State, State],
        *,
        detail: dict[str, Any],
        values: dict[str, Any],
    ) -> bool:
        old, new = change
        assert new in MOVES[old], f"{old} may not become {new}"
        mine = tasks.c.id == task.id, tasks.c.epoch == task.epoch, tasks.c.state == old
        done = await connection.execute(sa.update(tasks).where(*mine).values(state=new, **values))
        if done.rowcount == 0:
            return False
        await add_timeline_row(connection, task.id, epoch=task.epoch, event=new, detail=detail)
        if new in TERMINAL or new == "queued":
            await connection.execute(sa.delete(slots).where(slots.c.task_id == task.id))
        if new in TERMINAL:
            await _record_ended(connection, [task.id])
        if task.account_id and (new in TERMINAL or new == "queued"):
            sent = old != "queued" and new in TERMINAL
            await release_account(connection, task.id, task.account_id, sent=sent)
        return True

    async def keep_result(self, task: Task, result: str) -> None:
        """Record stored files before slow stages of delivery. Raises ``StaleRun``."""
        mine = tasks.c.id == task.id, tasks.c.epoch == task.epoch, tasks.c.state == "storing"
        async with self.database.write() as connection:
            done = await connection.execute(sa.update(tasks).where(*mine).values(result=result))
        if done.rowcount == 0:
            raise StaleRun

    async def add_timeline_row(self, task: Task, event: str, **detail: Any) -> None:
        """A timeline row without a change of state."""
        async with self.database.write() as connection:
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
            await connection.execute(raised, rows)

    async def request_cancel(self, task_id: str, *, delete: bool) -> Task | None:
        """Cancel a task that waits for an account at once; mark any other for its run to stop."""
        mark: dict[str, Any] = {"deleted": True, "expires_at": time.time()} if delete else {}
        waiting = tasks.c.id == task_id, *_WAITING
        running = tasks.c.id == task_id, tasks.c.state.in_(OPEN)
        async with self.database.write() as connection:
            ended = await _cancel_waiting(connection, *waiting)
            if not ended:
                await connection.execute(sa.update(tasks).where(*running).values(cancel_requested=True))
            if mark:
                await connection.execute(sa.update(tasks).where(tasks.c.id == task_id).values(**mark))
            await _record_ended(connection, ended)
        return await self.get(task_id)

    async def cancel_requeued(self) -> list[str]:
        """Cancel tasks that were requeued while their client cancelled them: no run would see the mark."""
        async with self.database.write() as connection:
            ended = await _cancel_waiting(connection, *_WAITING, tasks.c.cancel_requested)
            await _record_ended(connection, ended)
        return ended

    async def fail_overdue(
        self, now: float, *, refused: Callable[[Kind, str], NoAvailableAccount | None] | None = None
    ) -> list[str]:
        """Fail tasks that waited for an account past their deadline. ``refused``: the error for a model that no
        account can serve."""
        due = *_WAITING, tasks.c.deadline_at < now
        groups = sa.select(tasks.c.kind, tasks.c.model).where(*due).distinct()
        ids: list[str] = []
        async with self.database.read() as connection:
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
            async with self.database.write() as connection:
                gone = list((await connection.execute(ended.returning(tasks.c.id))).scalars())
                for task_id in gone:
                    await add_timeline_row(
                        connection, task_id, epoch=0, event="failed", detail={"code": code}
                    )
                await _record_ended(connection, gone)
            ids += gone
        return ids

    async def mark_purged(self, task_id: str) -> None:
        async with self.database.write() as connection:
            await connection.execute(sa.update(tasks).where(tasks.c.id == task_id).values(purged=True))


def _filter_conditions(chosen: TaskFilter) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if chosen.kind:
        found.append(tasks.c.kind == chosen.kind)
    if chosen.states:
        found.append(tasks.c.state.in_(chosen.states))
    if chosen.model:
        found.append(tasks.c.model == chosen.model)
    if chosen.ids is not None:
        found.append(tasks.c.id.in_(chosen.ids))
    if chosen.since is not None:
        found.append(tasks.c.created_at >= chosen.since)
    return found


async def _record_ended(connection: AsyncConnection, task_ids: list[str]) -> None:
    """Settle money and insert webhook deliveries, in the transaction that ends the tasks."""
    await billing.settle_ended_tasks(connection, task_ids)
    await outbox.task_ended(connection, task_ids)


async def _cancel_waiting(connection: AsyncConnection, *which: sa.ColumnElement[bool]) -> list[str]:
    now = time.time()
    values = {"state": "cancelled", "finished_at": now, "expires_at": now, "epoch": tasks.c.epoch + 1}
    ended = (
        sa.update(tasks).where(*which).values(**values, error_code="cancelled", error_message="Cancelled.")
    )
    ids = list((await connection.execute(ended.returning(tasks.c.id))).scalars())
    for task_id in ids:
        await add_timeline_row(connection, task_id, epoch=0, event="cancelled", detail={"by": "client"})
    return ids
