"""The moves after which a task holds no slot: its end, or back into the queue. With each go its money, its slot, what its
account counts, its row of the timeline and the webhooks that tell of it, all in one transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.limits import LeavingTask, release_accounts
from app.tasks import billing
from app.tasks.billing import TaskOutcome, VendorWord
from app.tasks.moves import FREE_SLOT, TaskMove, write_moves
from app.tasks.states import TERMINAL
from app.tasks.task import insert_rows, timeline_row
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
    money = await record_ended(connection, ended)
    await insert_rows(connection, [_row(each, money) for each in done])
    await connection.execute(FREE_SLOT, [{"of_task": each.move.task_id} for each in done])
    left = [
        LeavingTask(each.move.task_id, each.account_id, sent=each.outcome.sent and each.has_ended)
        for each in done
        if each.account_id
    ]
    await release_accounts(connection, left)
    return moved


async def record_ended(connection: AsyncConnection, ended: Mapping[str, TaskOutcome]) -> dict[str, str]:
    """Decide about the money and insert webhook deliveries, in the transaction that ends the tasks. Returns what became
    of the money, by task id."""
    money = await billing.settle_ended_tasks(connection, ended)
    await outbox.task_ended(connection, list(ended))
    return money


def _row(each: TaskLeaving, money: Mapping[str, str]) -> dict[str, Any]:
    move = each.move
    decided = {"money": money[move.task_id]} if move.task_id in money else {}
    detail = {**each.detail, **decided}
    return timeline_row(move.task_id, epoch=move.epoch, event=move.new, detail=detail)
