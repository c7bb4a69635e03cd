"""The moves after which a task holds no slot: its end, or back into the queue. With each go its money, its slot, what its
account counts, its row of the timeline and the webhooks that tell of it, all in one transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.accounts.limits import LeavingTask, release_accounts
from app.db.connection import AsyncConnection
from app.db.joined_writes import JoinedWrites
from app.db.tables import slots, timeline
from app.tasks import billing
from app.tasks.billing import SettledTask, TaskOutcome, VendorWord
from app.tasks.moves import TaskMove, write_moves
from app.tasks.states import TERMINAL
from app.tasks.task import timeline_row
from app.webhooks import outbox


@dataclass(frozen=True, slots=True)
class TaskLeaving:
    """A move to a state of ``LEAVING``. ``word``: what the vendor said about a task that ends without a film."""

    move: TaskMove
    account_id: str | None
    detail: Mapping[str, Any]
    word: VendorWord

    @property
    def has_ended(self) -> bool:
        return self.move.new in TERMINAL

    @property
    def outcome(self) -> TaskOutcome:
        return TaskOutcome(self.word, sent=self.move.old != "queued")


async def write_leaving(connection: AsyncConnection, leaving: Sequence[TaskLeaving]) -> set[str]:
    """The ids of the tasks that were moved; nothing is written for the others."""
    moved = await write_moves(connection, [each.move for each in leaving])
    done = [each for each in leaving if each.move.task_id in moved]
    if not done:
        return moved
    ended = {each.move.task_id: each.outcome for each in done if each.has_ended}
    writes = JoinedWrites()
    settled = await _settle(connection, ended, writes)
    writes.insert(timeline, [_row(each, settled.get(each.move.task_id)) for each in done])
    writes.delete(slots, [{"task_id": each.move.task_id} for each in done])
    await writes.write(connection)
    await release_accounts(connection, [_left(each, settled) for each in done if each.account_id])
    return moved


async def record_ended(connection: AsyncConnection, ended: Mapping[str, TaskOutcome]) -> None:
    """Decide about the money and insert webhook deliveries, in the transaction that ends the tasks."""
    writes = JoinedWrites()
    await _settle(connection, ended, writes)
    await writes.write(connection)


async def _settle(
    connection: AsyncConnection, ended: Mapping[str, TaskOutcome], writes: JoinedWrites
) -> dict[str, SettledTask]:
    settled = await billing.settle_ended_tasks(connection, ended, writes)
    await outbox.task_ended(connection, [task_id for task_id, each in settled.items() if each.row.tells])
    return settled


def _row(each: TaskLeaving, settled: SettledTask | None) -> dict[str, Any]:
    move = each.move
    decided = {"money": settled.money} if settled and settled.money else {}
    detail = {**each.detail, **decided}
    return timeline_row(move.task_id, epoch=move.epoch, event=move.new, detail=detail)


def _left(each: TaskLeaving, settled: Mapping[str, SettledTask]) -> LeavingTask:
    assert each.account_id is not None
    left = LeavingTask(each.move.task_id, each.account_id, sent=each.outcome.sent, state=each.move.new)
    if not each.has_ended:
        return replace(left, sent=False)
    row, _, cost = settled[each.move.task_id]
    times = {"started_at": row.started_at, "finished_at": row.finished_at}
    return replace(left, error_code=row.error_code, cost=cost, **times)
