"""The attempts of a task: what each vendor that ended its work said, what that cost, and when it was.

A plain task has one attempt, which is its own row. One more begins only after a vendor's own, final word that its work
failed, that moderation stopped it or that the model is retired, where the route allows it (``going_on.py``). Lost and
unknown answers are no such word: they never lead here.

Crash points. All of this is one transaction, fenced like every move (``go_on``): the row of the attempt that ended, what it
cost by the vendor's word, the slot, the account's counts, and the move back into the queue with the number of the next.

- Before its commit the task runs as it did. The next run polls the same operation, hears the same word and decides again;
  an attempt that was refused at once is ``submitting`` without a receipt, so the vendor is asked, and nothing is sent again.
- After it the task waits for an account like a new one, with its one reservation. Receipts of earlier attempts are older
  than ``attempt_epoch``, files of theirs have another name, and the vendor gets another idempotency key: nothing leads back
  to work that has ended.
- Before or after the next account is assigned, or its request is sent: as for every task (``submission.py``).

A worker that wakes up late can't do it twice: its epoch is old, so its transaction is rolled back as a whole, with the cost.
``tests/faults/test_attempts.py`` kills the process at each of these points.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import sqlalchemy as sa

from app import clock
from app.accounts.limits import LeavingTask, release_accounts
from app.db.connection import AsyncConnection
from app.db.operator_tables import attempts
from app.db.session import Database
from app.db.tables import accounts, slots, tasks
from app.providers.base import Operation
from app.tasks.billing import VendorWord, charge_failed_attempt, read_money_of
from app.tasks.moves import FREE_SLOT, TaskMove, write_moves
from app.tasks.repository import StaleRun
from app.tasks.states import State
from app.tasks.task import Task, add_timeline_row

Verdict = Literal["failed", "moderated", "retired"]
AttemptEnd = Verdict | Literal["completed", "cancelled", "ended"]
"""``ended``: without a film, and not by a vendor's word about this attempt's work."""
VERDICTS: dict[str, Verdict] = {
    "upstream_error": "failed",
    "content_policy_violation": "moderated",
    "model_retired": "retired",
}
"""By the error's code."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One vendor's work for a task. ``operation``: the vendor's id of it; ``verdict``: None while it goes on; ``word``: what
    the vendor said; ``cost``: US dollars charged for it, None where nothing is known yet or was reserved."""

    number: int
    account_id: str | None
    provider: str | None
    model: str | None
    operation: str | None
    verdict: AttemptEnd | None
    word: str | None
    cost: Decimal | None
    began_at: float | None
    ended_at: float | None


@dataclass(frozen=True, slots=True)
class EndedAttempt:
    """A vendor's word that ends an attempt of a task, which goes on. ``excluded``: accounts that must not get the next one;
    ``not_before``: UTC seconds."""

    verdict: Verdict
    code: str
    message: str
    word: VendorWord
    excluded: str
    not_before: float


async def list_attempts(database: Database, task: Task) -> list[Attempt]:
    """All of them, the present or last one included, oldest first."""
    async with database.read() as connection:
        earlier = await earlier_attempts(connection, task)
        named = sa.select(accounts.c.provider).where(accounts.c.id == task.account_id)
        provider = (await connection.execute(named)).scalar() if task.account_id else None
    return [*earlier, _present_attempt(task, earlier, provider)]


async def earlier_attempts(connection: AsyncConnection, task: Task) -> list[Attempt]:
    """Those after which the task went on."""
    if task.attempt == 1:
        return []
    columns = [attempts.c[field] for field in Attempt.__dataclass_fields__]
    query = sa.select(*columns).where(attempts.c.task_id == task.id).order_by(attempts.c.number)
    return [Attempt(*row) for row in await connection.execute(query)]


async def go_on(database: Database, task: Task, *, state: State, ended: EndedAttempt) -> None:
    """End the present attempt and put the task back into the queue. Raises ``StaleRun`` when another run has the task, and
    ``InsufficientQuota``: what the attempt cost leaves too little for another."""
    now = clock.now()
    async with database.write() as connection:
        money = await read_money_of(connection, task.id)
        operation = await _operation_id(connection, task)
        move = TaskMove(task.id, task.epoch, state, "queued", _next_values(task, ended))
        if not await write_moves(connection, [move]):
            raise StaleRun
        cost = await charge_failed_attempt(connection, money, ended.word, code=ended.code)
        row = await _attempt_row(connection, task, ended, cost=cost, now=now)
        row["operation"] = operation
        await connection.execute(sa.insert(attempts), row)
        detail = {"because": ended.message[:500], "code": ended.code, "attempt": task.attempt + 1}
        await add_timeline_row(connection, task.id, epoch=task.epoch, event="attempt.ended", detail=detail)
        await connection.execute(FREE_SLOT, {"of_task": task.id})
        await release_accounts(connection, [_left(task, ended, cost=cost, now=now)])


def _next_values(task: Task, ended: EndedAttempt) -> dict[str, Any]:
    return {
        **dict.fromkeys(("account_id", "operation", "started_at", "fitted")),
        "not_before": ended.not_before,
        "excluded": ended.excluded,
        "attempts": 0,
        "attempt": task.attempt + 1,
        "attempt_epoch": task.epoch + 1,
    }


async def _operation_id(connection: AsyncConnection, task: Task) -> str | None:
    """The run that has sent the request knows its task as it was before."""
    kept = sa.select(tasks.c.operation).where(tasks.c.id == task.id)
    text = (await connection.execute(kept)).scalar()
    return Operation.model_validate_json(text).id if text else None


async def _attempt_row(
    connection: AsyncConnection, task: Task, ended: EndedAttempt, *, cost: Decimal | None, now: float
) -> dict[str, Any]:
    given = sa.select(slots.c.at).where(slots.c.task_id == task.id)
    began = (await connection.execute(given)).scalar()
    named = sa.select(accounts.c.provider).where(accounts.c.id == task.account_id)
    return {
        "task_id": task.id,
        "number": task.attempt,
        "account_id": task.account_id,
        "provider": (await connection.execute(named)).scalar() or "",
        "model": task.upstream_model or "",
        "verdict": ended.verdict,
        "word": ended.message,
        "cost": cost,
        "began_at": began or task.started_at or now,
        "ended_at": now,
    }


def _left(task: Task, ended: EndedAttempt, *, cost: Decimal | None, now: float) -> LeavingTask:
    assert task.account_id is not None
    return LeavingTask(
        task.id, task.account_id, True, "failed", ended.code, task.started_at, finished_at=now, cost=cost
    )


def _present_attempt(task: Task, earlier: Sequence[Attempt], provider: str | None) -> Attempt:
    paid = sum((each.cost for each in earlier if each.cost), Decimal(0))
    return Attempt(
        number=task.attempt,
        account_id=task.account_id,
        provider=provider,
        model=task.upstream_model if task.account_id else None,
        operation=task.operation.id if task.operation else None,
        verdict=_end_of(task),
        word=task.error_message,
        cost=task.cost - paid if task.has_ended and task.cost is not None else None,
        began_at=task.started_at,
        ended_at=task.finished_at,
    )


def _end_of(task: Task) -> AttemptEnd | None:
    if not task.has_ended:
        return None
    if task.state != "failed":
        return "completed" if task.state == "completed" else "cancelled"
    return VERDICTS.get(task.error_code or "", "ended")
