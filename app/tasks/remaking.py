"""Makes again what an upstream on the operator's own hardware has forgotten, as a pod does that was restarted.

Only there: anywhere else a second submission may be a second purchase. The account says so (``own_hardware``), and how
often. The move back into the queue, its row in the timeline and the end of the lost operation's receipts are one
transaction, fenced like every move: before its commit the task still runs and is polled again, after it nothing leads to
the lost operation, whichever account makes the film now.
"""

from typing import NoReturn

import structlog

from app import clock
from app.tasks.patience import LOST_SECONDS, LostWatch
from app.tasks.task_run import RunStopped, TaskRun

log = structlog.get_logger()
REMAKE = "remake"
"""In a row of the timeline: the how manieth time it is made again."""


async def remakes_left(run: TaskRun) -> int:
    """How often this task may still be made again."""
    allowed = run.provider.remaking.times
    if not allowed:
        return 0
    rows = await run.retry_while_database_is_away(lambda: run.repository.read_timeline(run.task.id))
    return max(0, allowed - sum(REMAKE in row["detail"] for row in rows))


def watch_for_loss(run: TaskRun, left: int, *, otherwise: float = LOST_SECONDS) -> LostWatch:
    """Patience with a vendor that says it does not know the task: shorter where it is made again at once."""
    return LostWatch(run.provider.remaking.after_seconds if left else otherwise)


async def make_again(run: TaskRun, left: int, because: str) -> NoReturn:
    """Put the task back into the queue. Raises ``RunStopped``, or ``StaleRun`` when another run has it."""
    task, number = run.task, run.provider.remaking.times - left + 1
    operation = task.operation.id if task.operation else None
    detail = {"because": f"Its upstream, our own hardware, has forgotten it. {because}"[:500], REMAKE: number}
    log.warning("task.remade", task=task.id, account=task.account_id, operation=operation, times=number)
    await run.retry_while_database_is_away(
        lambda: run.repository.requeue_forgotten(
            task, now=clock.now(), detail=detail | {"operation": operation}
        )
    )
    run.state = "queued"
    run.notify()
    raise RunStopped
