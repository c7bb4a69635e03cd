"""The spans of a task: wait, submit, poll, copy and deliver, below the ``traceparent`` in its row, so also after a restart.

A span is exported when its stage has ended, by whichever run sees the end; it begins where the stage began, also in an
earlier run that died. Nothing here may fail: the money of a task does not depend on who watches it.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from app import clock
from app.ops import tracing
from app.ops.metrics import QUEUE_WAIT_SECONDS, place_labels
from app.ops.tracing import OpenSpan, SpanFields, SpanKind
from app.providers.http import TRACEPARENT
from app.tasks.repository import TaskRepository
from app.tasks.states import TERMINAL
from app.tasks.task import Task
from app.tasks.task_run import RunStopped, TaskRun

WAITED_FROM = frozenset({"received", "queued"})
"""Rows of the timeline after which a task waits for an account."""
ENDINGS = TERMINAL | {"queued"}


@contextmanager
def run_stage(
    run: TaskRun, name: str, *, began: float | None = None, kind: SpanKind = "internal"
) -> Iterator[None]:
    """A stage of a run; ``began`` by the clock of rows, now if it is None. It has ended when the block is left, or the
    task; one that is broken off is another run's to tell."""
    span = _open(run.task, name, began=began, kind=kind, fields=_fields_of_run(run))
    if span is None:
        yield
        return
    before = TRACEPARENT.set(span.traceparent)
    try:
        yield
    except RunStopped:
        if run.state in ENDINGS:
            span.end(error=run.ended_as or run.state, fields={"filmgate.polls": run.polls})
        raise
    finally:
        TRACEPARENT.reset(before)
    span.end(fields={"filmgate.polls": run.polls} if run.polls else None)


class SubmissionSpan:
    """The request that submits a task. ``outcome`` is ``accepted``, or the class of the refusal."""

    def __init__(self, run: TaskRun) -> None:
        self._span = _open(run.task, "submit", kind="client", fields=_fields_of_run(run))
        self._before = TRACEPARENT.set(self._span.traceparent) if self._span else None

    def end(self, outcome: str) -> None:
        if self._span is None or self._before is None:
            return
        TRACEPARENT.reset(self._before)
        self._span.end(error="" if outcome == "accepted" else outcome)


async def waited_since(run: TaskRun) -> float:
    """When the task began to wait for the account that it has now, by the clock of rows. Only a task that has waited
    before costs a look into its timeline."""
    task = run.task
    if not task.attempts and task.attempt == 1:
        return max(task.created_at, task.not_before)
    return await run.retry_while_database_is_away(lambda: _read_wait(run.repository, task))


def end_wait(run: TaskRun, since: float) -> None:
    """It has an account, and is about to be sent."""
    place = place_labels(run.provider.account, run.task.upstream_model)
    QUEUE_WAIT_SECONDS.labels(*place).observe(max(clock.now() - since, 0.0))
    span = _open(run.task, "wait", began=since, fields=_fields_of_run(run))
    if span is not None:
        span.end()


async def trace_unserved(repository: TaskRepository, task_ids: Sequence[str]) -> None:
    """The waits of tasks that ended without an account."""
    if not tracing.is_traced():
        return
    for task_id in task_ids:
        task = await repository.get(task_id)
        if task is None or task.account_id is not None or not task.has_ended:
            continue
        span = _open(task, "wait", began=await _read_wait(repository, task), fields=_fields_of(task))
        if span is not None:
            span.end(error=task.error_code or task.state)


async def _read_wait(repository: TaskRepository, task: Task) -> float:
    rows = await repository.read_timeline(task.id)
    since = max((float(row["at"]) for row in rows if row["event"] in WAITED_FROM), default=task.created_at)
    return max(since, min(task.not_before, clock.now()))


def _open(
    task: Task, name: str, *, fields: SpanFields, began: float | None = None, kind: SpanKind = "internal"
) -> OpenSpan | None:
    if not (tracing.is_traced() and task.traceparent):
        return None
    # Rows have our own clock's time, which may differ from the wall clock's.
    wall = None if began is None else time.time() - max(clock.now() - began, 0.0)
    return tracing.open_span(name, parent=task.traceparent, kind=kind, began=wall, fields=fields)


def _fields_of(task: Task) -> dict[str, str | int]:
    return {
        "gen_ai.operation.name": tracing.GENERATE,
        "gen_ai.output.type": task.kind,
        "gen_ai.request.model": task.model,
        "filmgate.task.id": task.id,
    }


def _fields_of_run(run: TaskRun) -> dict[str, str | int]:
    task, account = run.task, run.provider.account
    model = {"gen_ai.response.model": task.upstream_model} if task.upstream_model else {}
    return {
        **_fields_of(task),
        "gen_ai.provider.name": run.provider.name,
        "filmgate.account.id": account.id,
        "filmgate.account.name": account.name,
        "filmgate.attempt": task.attempt,
        "filmgate.run": task.epoch,
        **model,
    }
