"""What vendors accepted: insert-only receipts, which task owns an operation, and receipts that came after their run.

A worker that is frozen in the middle of a submission records the answer when it thaws. By then another one may have ended
the task as ``submission_unknown``: ``adopt_late_receipts`` lets it run again, with the money that is still held for it.

Crash points. The receipt is committed with the move to ``running``, or alone when the task has ended meanwhile. The
adoption is one transaction: before its commit the task is failed and its money held, after it the task runs and its money
is reserved; the sweep that puts open tasks back into the queue finds it.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import sqlalchemy as sa
import structlog

from app import clock
from app.db.connection import AsyncConnection
from app.db.session import INSERTS, Database, dialect_insert
from app.db.tables import receipts, slots, tasks
from app.errors import OutcomeUnknown
from app.providers.base import Operation
from app.tasks.billing import recount_as_open
from app.tasks.patience import RESULT_SECONDS
from app.tasks.states import MOVES
from app.tasks.task import Task, add_timeline_row

log = structlog.get_logger()
MOST_AT_ONCE = 100
OF_THIS_ATTEMPT = receipts.c.epoch >= tasks.c.attempt_epoch
"""Of a task that went on elsewhere, a receipt of an earlier attempt says nothing about the one that runs."""
_OPEN_AGAIN = {
    "state": "running",
    "epoch": tasks.c.epoch + 1,
    **dict.fromkeys(("finished_at", "expires_at", "error_code", "error_message", "money")),
    "purged": False,
}


@dataclass(frozen=True)
class Acceptance:
    """What a vendor accepted for a task, ``at`` UTC seconds. ``deadline_at``: of the run, which begins there."""

    task: Task
    operation: Operation
    at: float
    deadline_at: float

    @cached_property
    def document(self) -> str:
        return self.operation.model_dump_json()

    @property
    def row(self) -> dict[str, Any]:
        task = self.task
        mine = {"task_id": task.id, "epoch": task.epoch, "account_id": task.account_id, "at": self.at}
        return mine | {"operation": self.document}

    @property
    def claim(self) -> str | None:
        """None for a character: it is made at once, and the same clip may get the same name again."""
        return None if self.task.kind == "character" else _claim_of(self.task.account_id, self.document)


async def insert_receipts(connection: AsyncConnection, accepted: Sequence[Acceptance]) -> dict[str, str]:
    """By task, the id of another task that owns its operation, if there is one: a vendor that mixes up its jobs."""
    rows = [each.row | {"claim": each.claim} for each in accepted]
    new = await connection.execute(_inserting_statement(connection.dialect.name), rows)
    written = Counter(new.scalars())
    owners: dict[str, str] = {}
    for each in accepted:
        written[each.task.id] -= 1
        if written[each.task.id] >= 0:
            continue
        await connection.execute(sa.insert(receipts), each.row)
        owner = await _owner_of(connection, each.claim or "")
        if owner is not None and owner != each.task.id:
            owners[each.task.id] = owner
    return owners


@cache
def _inserting_statement(dialect: str) -> sa.Executable:
    new = INSERTS[dialect](receipts)
    return new.on_conflict_do_nothing(index_elements=[receipts.c.claim]).returning(receipts.c.task_id)


async def latest_receipt(database: Database, task_id: str) -> Operation | None:
    """The operation that an upstream accepted for the task's present attempt, in whichever run."""
    query = (
        sa.select(receipts.c.operation)
        .join(tasks, tasks.c.id == receipts.c.task_id)
        .where(receipts.c.task_id == task_id, OF_THIS_ATTEMPT)
    )
    async with database.read() as connection:
        text = (await connection.execute(query.order_by(receipts.c.id.desc()).limit(1))).scalar()
    return Operation.model_validate_json(text) if text else None


async def adopt_late_receipts(database: Database, *, run_seconds: float) -> list[str]:
    """Let tasks run again that ended as unknown and whose receipt has come since: those that nobody deleted, about
    whose money nobody has decided, and whose result may still be fetched."""
    adopted: list[str] = []
    for row in await _late_receipts(database):
        async with database.write() as connection:
            if await _adopt(connection, row, run_seconds=run_seconds):
                adopted.append(row.id)
                log.warning("receipt.adopted", task=row.id, account=row.account_id)
    return adopted


async def _late_receipts(database: Database) -> list[Any]:
    each = receipts.alias()
    of_this = each.c.task_id == tasks.c.id, each.c.epoch >= tasks.c.attempt_epoch
    latest = sa.select(sa.func.max(each.c.id)).where(*of_this).scalar_subquery()
    columns = tasks.c.id, tasks.c.kind, tasks.c.account_id, receipts.c.operation, receipts.c.at
    query = (
        sa.select(*columns, receipts.c.id.label("receipt_id"), receipts.c.claim)
        .select_from(tasks.join(receipts, receipts.c.id == latest))
        .where(*_may_run_again(), receipts.c.at > clock.now() - RESULT_SECONDS)
        .limit(MOST_AT_ONCE)
    )
    async with database.read_few() as connection:
        return list((await connection.execute(query)).all())


def _may_run_again() -> tuple[sa.ColumnElement[bool], ...]:
    # Written as in the partial index, which is not used otherwise.
    unknown = tasks.c.error_code == sa.literal_column(f"'{OutcomeUnknown.code}'")
    undecided = sa.or_(tasks.c.money == "held", tasks.c.money.is_(None))
    return (
        unknown,
        tasks.c.state == "failed",
        undecided,
        tasks.c.deleted.is_(False),
        tasks.c.operation.is_(None),
    )


async def _adopt(connection: AsyncConnection, row: Any, *, run_seconds: float) -> bool:
    """False when it belongs to another task, or somebody has decided about the task meanwhile."""
    if row.claim is None and not await _claim(connection, row):
        return False
    assert "running" in MOVES["failed"]
    mine = sa.select(tasks.c.epoch).where(tasks.c.id == row.id, *_may_run_again()).with_for_update()
    epoch = (await connection.execute(mine)).scalar()
    if epoch is None:
        return False
    await recount_as_open(connection, row.id)
    values = {"operation": row.operation, "started_at": row.at, "deadline_at": clock.now() + run_seconds}
    await connection.execute(sa.update(tasks).where(tasks.c.id == row.id).values(**_OPEN_AGAIN, **values))
    slot = {"task_id": row.id, "account_id": row.account_id, "kind": row.kind, "at": clock.now()}
    await connection.execute(dialect_insert(connection, slots).values(slot).on_conflict_do_nothing())
    detail = {
        "because": "its receipt came late",
        "operation": Operation.model_validate_json(row.operation).id,
    }
    await add_timeline_row(connection, row.id, epoch=epoch + 1, event="running", detail=detail)
    return True


async def _claim(connection: AsyncConnection, row: Any) -> bool:
    """Receipts of an older version have no claim yet, and those of an operation of another task never get one."""
    claim = _claim_of(row.account_id, row.operation)
    if await _owner_of(connection, claim) is not None:
        return False
    await connection.execute(sa.update(receipts).where(receipts.c.id == row.receipt_id).values(claim=claim))
    return True


async def _owner_of(connection: AsyncConnection, claim: str) -> str | None:
    owner: str | None = (
        await connection.execute(sa.select(receipts.c.task_id).where(receipts.c.claim == claim))
    ).scalar()
    return owner


def _claim_of(account_id: str | None, document: str) -> str:
    return hashlib.sha256(f"{account_id}\n{document}".encode()).hexdigest()
