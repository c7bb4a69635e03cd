"""The life of one task, top to bottom: submit or recover, poll, store, complete.

After a crash at any point the next run reads the row and continues from there.
"""

import asyncio
import random
import time
from typing import Any

import structlog

from app.accounts.pool import AccountPool
from app.db.session import DATABASE_AWAY
from app.errors import FilmgateError, NotFound, OperationNotFound, ServiceUnavailable, UpstreamError
from app.media.store import delete_task_files
from app.providers.base import Failed, Operation, PollAnswer, Queued, Running, Succeeded
from app.tasks.notifications import Notification, NotificationHub
from app.tasks.repository import StaleRun, TaskRepository
from app.tasks.results import ResultStorage
from app.tasks.submission import RunStopped, TaskRun, TaskSubmitter
from app.tasks.task import Task, TaskResult

log = structlog.get_logger()
POLLS_BEFORE_LOST = 3
STORE_ATTEMPTS = 8
MAX_POLL_PAUSE_SECONDS = 60.0
PROGRESS_SECONDS = 0.5


class ProgressWriter:
    """Collects the progress of all runs and writes it in one update every half second; never backwards."""

    def __init__(self, repository: TaskRepository, events: NotificationHub) -> None:
        self._tasks = repository
        self._events = events
        self._seen: dict[str, float] = {}
        self._news: dict[str, tuple[int, float]] = {}

    def record_progress(self, task: Task, percent: float | None) -> None:
        """``percent`` 0 to 100; None when the upstream does not report it, but has begun."""
        known = self._seen.get(task.id, task.progress if task.generating else -1.0)
        value = max(0.0, min(percent if percent is not None else known, 99.0))
        if value <= known:
            return
        self._seen[task.id] = value
        self._news[task.id] = (task.epoch, value)

    def forget_task(self, task_id: str) -> None:
        """Call when the task's run has ended."""
        self._seen.pop(task_id, None)
        self._news.pop(task_id, None)

    async def run(self) -> None:
        """Write progress until cancelled."""
        while True:
            await asyncio.sleep(PROGRESS_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        news, self._news = self._news, {}
        if not news:
            return
        rows = [{"id_": i, "epoch_": e, "progress_": p, "generating_": True} for i, (e, p) in news.items()]
        try:
            await self._tasks.write_progress(rows)
        except DATABASE_AWAY as error:
            self._news = news | self._news
            log.warning("progress.delayed", count=len(rows), error=type(error).__name__)
            return
        self._events.publish([Notification("progress", i, "running", p, True) for i, (_, p) in news.items()])


class TaskLifecycle:
    """Runs tasks. Keeps no state in memory: everything that must survive is in the store."""

    def __init__(
        self,
        *,
        repository: TaskRepository,
        pool: AccountPool,
        submitter: TaskSubmitter,
        results: ResultStorage,
        events: NotificationHub,
        progress: ProgressWriter,
        result_ttl_seconds: float,
    ) -> None:
        self._tasks = repository
        self._pool = pool
        self._submitter = submitter
        self._results = results
        self._events = events
        self._progress = progress
        self._ttl = result_ttl_seconds

    async def run(self, task_id: str) -> None:
        """Run a task from the state in its row to its end, or until another run takes it over."""
        async with self._events.subscribe(task_id) as notifications:
            task = await self._tasks.take(task_id)
            if task is None or task.account_id is None:
                return
            try:
                provider = await self._pool.provider_by_id(task.account_id)
            except FilmgateError as error:
                await self._without_provider(task, error)
                return
            run = TaskRun(task, provider, self._tasks, self._events, notifications, self._ttl)
            try:
                await self._run_to_end(run)
            except RunStopped:
                log.debug("run.ended", task=task_id, state=run.state)
            except StaleRun:
                await self._purge_if_deleted(task)
            finally:
                self._progress.forget_task(task_id)

    async def _run_to_end(self, run: TaskRun) -> None:
        result = run.task.result if run.state == "storing" else None
        if result is None:
            operation = await self._submit_or_recover(run)
            answer = await self._poll_until_done(run, operation)
            result = await self._store_result(run, operation, answer)
        await self._complete_task(run, await self._deliver_result(run, result))

    async def _submit_or_recover(self, run: TaskRun) -> Operation:
        if run.task.operation is not None:
            return run.task.operation
        if run.state == "submitting":
            return await self._submitter.recover(run)
        if run.cancelled:
            await run.cancel()
        if run.is_overdue:
            await run.fail("deadline_exceeded", "It waited longer than a task may take.")
        return await self._submitter.submit(run)

    async def _poll_until_done(self, run: TaskRun, operation: Operation) -> Succeeded:
        """Poll at the interval that the provider asks for until the operation has succeeded."""
        pace = run.provider.poll_interval
        delay, missing, in_trouble = pace.first, 0, False
        while True:
            await self._stop_if_cancelled(run, operation)
            run.polls += 1
            try:
                answer = await run.provider.poll(operation)
            except UpstreamError as error:
                missing += isinstance(error, OperationNotFound)
                if missing >= POLLS_BEFORE_LOST:
                    await run.fail("upstream_error", f"The upstream no longer knows it. {error.message}")
                hint = error.retry_after
                log.info("poll.failed", task=run.task.id, error=type(error).__name__)
                if not in_trouble:  # one row for a series of failures, not for each poll
                    await run.add_timeline_row("poll.failed", error=error.message[:500])
                in_trouble = True
            else:
                missing, in_trouble = 0, False
                if isinstance(answer, Succeeded):
                    return answer
                hint = await self._record_poll_answer(run, answer)
            await self._stop_if_overdue(run, operation)
            wait = min(max(hint or 0.0, delay), MAX_POLL_PAUSE_SECONDS)
            await run.pause(wait * random.uniform(0.9, 1.1))  # noqa: S311 - jitter, not a secret
            delay = min(delay * pace.factor, pace.cap)

    async def _record_poll_answer(self, run: TaskRun, answer: PollAnswer) -> float | None:
        if isinstance(answer, Failed):
            await run.fail(answer.code, answer.message)
        if isinstance(answer, Running):
            self._progress.record_progress(run.task, answer.progress)
        return answer.retry_after if isinstance(answer, Queued | Running) else None

    async def _stop_if_cancelled(self, run: TaskRun, operation: Operation) -> None:
        run.receive()
        if run.cancelled:
            await self._stop_upstream(run, operation)
            await run.cancel()

    async def _stop_if_overdue(self, run: TaskRun, operation: Operation) -> None:
        # After a poll, never before one: a gateway that was down for long first collects what is paid for.
        if run.is_overdue:
            await self._stop_upstream(run, operation)
            await run.fail("deadline_exceeded", "The upstream did not finish it in time.")

    async def _stop_upstream(self, run: TaskRun, operation: Operation) -> None:
        try:
            stopped = await run.provider.cancel(operation)
        except UpstreamError as error:
            stopped = False
            log.info("cancel.failed", task=run.task.id, error=type(error).__name__)
        await run.add_timeline_row("upstream_cancel", accepted=stopped)

    async def _store_result(self, run: TaskRun, operation: Operation, answer: Succeeded) -> TaskResult:
        """Copy the result at once: vendor links expire after ten minutes to a day. Failures are retried, failures on
        our side until the deadline, as the video is made and paid for."""
        if run.state == "running":
            await run.move("storing", detail={"polls": run.polls})
        delay, attempt = 1.0, 1
        while True:
            await self._stop_if_cancelled(run, operation)
            try:
                return await self._results.keep_result(
                    run.task, run.provider, operation, answer=answer, note=run.add_timeline_row
                )
            except (FilmgateError, OSError) as error:
                text = error.message if isinstance(error, FilmgateError) else (error.strerror or "disk error")
                log.warning("result.delayed", task=run.task.id, attempt=attempt, error=text)
                await run.add_timeline_row("delivery.copy", ok=False, attempt=attempt, error=text)
                ours = isinstance(error, ServiceUnavailable | OSError) and not run.is_overdue
                if attempt >= STORE_ATTEMPTS and not ours:
                    await run.fail("result_unavailable", f"It was made, but could not be copied: {text}")
            await run.pause(delay)
            delay, attempt = min(delay * 2, 30.0), attempt + 1
            answer = await self._poll_until_done(run, operation)  # a new link, where links are short-lived

    async def _deliver_result(self, run: TaskRun, result: TaskResult) -> TaskResult:
        """Deliver links to our copy. The task completes even when this fails."""
        if await self._results.delivers_slowly(run.task):
            # So that a later run need not copy again.
            text = result.model_dump_json()
            await run.retry_while_database_is_away(lambda: self._tasks.keep_result(run.task, text))
        return await self._results.deliver_links(run.task, result, note=run.add_timeline_row)

    async def _complete_task(self, run: TaskRun, result: TaskResult) -> None:
        run.receive()
        if run.cancelled:
            await run.cancel()
        await run.move("completed", result=result.model_dump_json(), progress=100.0)

    async def _without_provider(self, task: Task, error: FilmgateError) -> None:
        """Its account has no usable provider. Re-raises ``error`` while an operator can still fix the account."""
        if task.result is not None and not task.cancel_requested:
            await self._complete_without_provider(task)
            return
        if not isinstance(error, NotFound) and time.time() < task.deadline_at and not task.cancel_requested:
            raise error
        code = "account_removed" if isinstance(error, NotFound) else "deadline_exceeded"
        now = time.time()
        values: dict[str, Any] = {"finished_at": now, "expires_at": now, "error_message": error.message}
        try:
            await self._tasks.move(task, task.state, "failed", error_code=code, **values)
        except StaleRun:
            return
        self._events.publish([Notification("state", task.id, "failed"), Notification("wake")])

    async def _complete_without_provider(self, task: Task) -> None:
        """The result is in our store already; only links elsewhere were still missing."""
        now = time.time()
        values: dict[str, Any] = {"finished_at": now, "expires_at": now + self._ttl, "progress": 100.0}
        try:
            await self._tasks.move(task, task.state, "completed", **values)
        except StaleRun:
            return
        self._events.publish([Notification("state", task.id, "completed"), Notification("wake")])

    async def _purge_if_deleted(self, task: Task) -> None:
        """Another run has the task. Delete what this one copied after the task's files were deleted."""
        log.info("run.overtaken", task=task.id, epoch=task.epoch)
        current = await self._tasks.get(task.id)
        if current is not None and current.purged:
            await delete_task_files(self._results.store, task.id)
