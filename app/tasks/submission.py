"""One run of a task: its writes, and the submit protocol, which sends a request at most once.

Crash points: before ``submitting`` is committed nothing was sent. After it and before the receipt the outcome is
unknown: ``recover`` asks the vendor, else the task ends as ``submission_unknown``. After the receipt the operation
is ours and is polled.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

import sqlalchemy as sa
import structlog

from app.accounts.pool import AccountPool
from app.catalog.catalog import Catalog
from app.catalog.upstream_request import adapt_characters, apply_overrides
from app.db.session import DATABASE_AWAY, PERMANENT_FAILURES
from app.db.tables import tasks
from app.errors import (
    NotFound,
    OutcomeUnknown,
    UpstreamAuthFailed,
    UpstreamBusy,
    UpstreamError,
    UpstreamModelForbidden,
    UpstreamQuotaExhausted,
    UpstreamRejected,
)
from app.generation import GenerationRequest
from app.media.store import MediaStore
from app.ops.metrics import TASK_SECONDS, TASKS_ENDED
from app.providers.base import Operation, Provider, Submission
from app.tasks.notifications import Notification, NotificationHub
from app.tasks.repository import TaskRepository
from app.tasks.states import TERMINAL, State
from app.tasks.task import Task

log = structlog.get_logger()
MAX_REQUEUE_PAUSE_SECONDS = 60.0
Answer = TypeVar("Answer")


class RunStopped(Exception):
    """The task has ended, or waits for another account: this run has nothing left to do."""


@dataclass(slots=True)
class TaskRun:
    """One run of a task. Each of its writes is fenced, repeated while the database is away, and published."""

    task: Task
    provider: Provider
    repository: TaskRepository
    events: NotificationHub
    notifications: asyncio.Queue[Notification]
    ttl_seconds: float
    state: State = field(init=False)
    polls: int = field(init=False, default=0)
    cancelled: bool = field(init=False)

    def __post_init__(self) -> None:
        self.state = self.task.state
        self.cancelled = self.task.cancel_requested

    async def pause(self, seconds: float) -> None:
        """Sleep for ``seconds``, or until the client cancels."""
        until = time.monotonic() + seconds
        while not self.cancelled and (left := until - time.monotonic()) > 0:
            try:
                async with asyncio.timeout(left):
                    change = await self.notifications.get()
            except TimeoutError:
                return
            self.cancelled = change.kind == "cancel"

    def receive(self) -> None:
        """Read the notifications that have arrived since the last pause."""
        while not self.notifications.empty():
            self.cancelled = self.notifications.get_nowait().kind == "cancel" or self.cancelled

    async def retry_while_database_is_away(self, write: Callable[[], Awaitable[Answer]]) -> Answer:
        """Repeat a write until the database is back: what a vendor accepted must be recorded."""
        delay = 0.2
        while True:
            try:
                return await write()
            except PERMANENT_FAILURES:
                raise  # repeating can't help
            except DATABASE_AWAY as error:
                log.warning("write.delayed", task=self.task.id, error=type(error).__name__)
            await asyncio.sleep(delay)
            delay = min(delay * 2, 5.0)

    async def move(self, new: State, *, detail: dict[str, Any] | None = None, **values: Any) -> None:
        """Raises ``StaleRun`` when another run has the task."""
        old = self.state
        if new in TERMINAL:
            now = time.time()
            due = sa.case((tasks.c.deleted, now), else_=now + self.ttl_seconds)
            values = {"finished_at": now, "expires_at": due, **values}
        await self.retry_while_database_is_away(
            lambda: self.repository.move(self.task, old, new, detail=detail, **values)
        )
        self.state = new
        self.notify()
        if new in TERMINAL:
            TASKS_ENDED.labels(self.task.kind, new, values.get("error_code", "")).inc()
        if new == "completed":
            TASK_SECONDS.labels(self.task.kind).observe(time.time() - self.task.created_at)
        log.info("task.moved", task=self.task.id, state=new, account=self.task.account_id)

    async def add_timeline_row(self, event: str, **detail: Any) -> None:
        """A timeline row without a change of state."""
        await self.retry_while_database_is_away(
            lambda: self.repository.add_timeline_row(self.task, event, **detail)
        )
        self.notify()

    def notify(self) -> None:
        """Publish the state, and wake admission when a slot may be free."""
        changes = [Notification("state", self.task.id, self.state)]
        if self.state in TERMINAL or self.state == "queued":
            changes.append(Notification("wake"))
        self.events.publish(changes)

    async def fail(self, code: str, message: str) -> NoReturn:
        # PostgreSQL rejects NUL in texts.
        text = message.replace("\0", "")[:2000]
        detail = {"code": code, **({"polls": self.polls} if self.polls else {})}
        await self.move("failed", detail=detail, error_code=code, error_message=text)
        raise RunStopped

    async def cancel(self) -> NoReturn:
        await self.move("cancelled", error_code="cancelled", error_message="Cancelled.", result=None)
        raise RunStopped

    @property
    def is_overdue(self) -> bool:
        return time.time() > self.task.deadline_at


class TaskSubmitter:
    """Submits a dispatched task and returns the accepted operation, or ends the run."""

    def __init__(
        self,
        *,
        repository: TaskRepository,
        pool: AccountPool,
        catalog: Catalog,
        store: MediaStore,
        grace_seconds: float,
    ) -> None:
        """``grace_seconds``: how long ``recover`` waits for the receipt of an earlier run. That run may not be dead
        but cut off from the database."""
        self._tasks = repository
        self._pool = pool
        self._catalog = catalog
        self._store = store
        self._grace = grace_seconds

    async def submit(self, run: TaskRun) -> Operation:
        """Send the request once. Raises ``RunStopped`` when the run is over, ``StaleRun`` when another has the task."""
        try:
            request, submission = await self._prepare_submission(run)
        except NotFound:
            await run.fail("input_missing", "A file that it needs has been deleted meanwhile.")
        # A stopping worker must not cut off a request: its answer has to be recorded.
        sending = asyncio.ensure_future(self._send_once(run, request, submission))
        try:
            operation = await asyncio.shield(sending)
        except asyncio.CancelledError:
            await asyncio.wait([sending])
            log.info("submission.outlasted", task=run.task.id, error=repr(sending.exception()))
            raise
        if operation is not None:
            return operation
        return await self._record_accepted(run, await self._ask_upstream(run, request, submission))

    async def recover(self, run: TaskRun) -> Operation:
        """The operation that an earlier run submitted: from its receipt, else from the vendor, else unknown."""
        found = await self._wait_for_receipt(run)
        if found is None:
            try:
                request, submission = await self._prepare_submission(run)
            except NotFound:
                await run.fail(OutcomeUnknown.code, "It was sent, and its input has been deleted meanwhile.")
            found = await self._ask_upstream(run, request, submission)
        return await self._record_accepted(run, found)

    async def _wait_for_receipt(self, run: TaskRun) -> Operation | None:
        until = time.monotonic() + self._grace
        while True:
            found = await run.retry_while_database_is_away(lambda: self._tasks.latest_receipt(run.task.id))
            if found is not None or time.monotonic() >= until:
                return found
            await asyncio.sleep(min(0.5, self._grace))

    async def _send_once(
        self, run: TaskRun, request: GenerationRequest, submission: Submission
    ) -> Operation | None:
        """Move to ``submitting``, send, and record the answer; None when none came."""
        await run.move("submitting", detail={"account": run.provider.account.name})
        try:
            operation = await run.provider.start(request, submission)
        except OutcomeUnknown as error:
            log.warning("submission.unanswered", task=run.task.id, error=error.message)
            await self._record_refusal(run, request.model, error)
            return None
        except UpstreamError as error:
            await self._record_refusal(run, request.model, error)
            await self._requeue_or_fail(run, error)
        accepted = await self._record_accepted(run, operation)
        await run.retry_while_database_is_away(
            lambda: self._pool.record_answer(run.provider.account.id, request.model)
        )
        return accepted

    async def _ask_upstream(
        self, run: TaskRun, request: GenerationRequest, submission: Submission
    ) -> Operation:
        """Providers' ``recover`` never submits twice, so it is repeated until an answer or the deadline."""
        delay = 1.0
        while True:
            try:
                found = await run.provider.recover(request, submission)
            except UpstreamError as error:
                lasting = not run.provider.capabilities(request.model).idempotency_key
                if error.next_step == "fail":
                    await run.fail(error.code, error.message)
                if lasting or time.time() + delay > run.task.deadline_at:
                    await run.fail(OutcomeUnknown.code, error.message)
            else:
                if found is None:
                    await self._requeue_or_fail(
                        run, UpstreamBusy("The upstream never received it.", retry_after=0)
                    )
                return found
            await asyncio.sleep(delay)
            delay = min(delay * 2, 30.0)

    async def _record_accepted(self, run: TaskRun, operation: Operation) -> Operation:
        now = time.time()
        await run.retry_while_database_is_away(lambda: self._tasks.accept(run.task, operation, now=now))
        run.state = "running"
        run.notify()
        log.info("task.accepted", task=run.task.id, account=run.task.account_id, operation=operation.id)
        return operation

    async def _record_refusal(self, run: TaskRun, model: str, error: UpstreamError) -> None:
        """Record the failure on the account. A content rejection counts as a healthy response."""
        account_id = run.provider.account.id
        if isinstance(error, UpstreamRejected):
            await run.retry_while_database_is_away(lambda: self._pool.record_answer(account_id, model))
        else:
            await run.retry_while_database_is_away(
                lambda: self._pool.record_refusal(account_id, model, error)
            )

    async def _requeue_or_fail(self, run: TaskRun, error: UpstreamError) -> NoReturn:
        """Fail the task where the upstream rejects it; requeue it where it was surely not accepted."""
        log.info("submission.refused", task=run.task.id, error=type(error).__name__)
        if error.next_step == "fail":
            await run.fail(error.code, error.message)
        run.receive()
        if run.cancelled:
            await run.cancel()
        excluded = set(json.loads(run.task.excluded_text))
        if isinstance(error, UpstreamAuthFailed | UpstreamModelForbidden | UpstreamQuotaExhausted):
            excluded.add(run.provider.account.id)
        able = await self._catalog.able_account_ids(run.task.kind, run.task.model)
        if able <= excluded:
            self._catalog.report_unavailable(run.task.kind, run.task.model)
            await run.fail(
                "no_available_account", f"Every account that could serve it refused: {error.message}"
            )
        blocked = await self._pool.blocked_by(run.provider.account.id, run.task.upstream_model or "")
        # An account in cooldown is not tried anyway. Without a cooldown the task itself waits.
        wait = 0.0 if blocked else min(2.0**run.task.attempts, MAX_REQUEUE_PAUSE_SECONDS)
        await run.move(
            "queued",
            detail={"because": error.message[:500]},
            account_id=None,
            excluded=json.dumps(sorted(excluded)),
            attempts=run.task.attempts + 1,
            not_before=time.time() + wait,
        )
        raise RunStopped

    async def _prepare_submission(self, run: TaskRun) -> tuple[GenerationRequest, Submission]:
        """The request with the provider's name of the model and the bytes of the inputs."""
        request = run.task.request
        chosen = self._catalog.candidate_for(run.provider.account, request.kind, request.model)
        # The model that admission chose stays, even if routes have changed since.
        model, request = (
            run.task.upstream_model or chosen.model,
            apply_overrides(request, chosen.overrides),
        )
        request = adapt_characters(request, run.provider.capabilities(model).roles)
        media = [m.model_copy(update={"content": await self._store.get(m.key)}) for m in request.media]
        source = await self._tasks.get(request.remix_of) if request.remix_of else None
        same_account = source is not None and source.account_id == run.task.account_id
        submission = Submission(
            # One key for all attempts of a task: an upstream that honours it works only once.
            idempotency_key=f"filmgate-{run.task.id}",
            remix_operation=source.operation if source and same_account else None,
        )
        return request.model_copy(update={"model": model, "media": tuple(media)}), submission
