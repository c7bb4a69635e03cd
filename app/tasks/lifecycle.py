"""The life of one task, top to bottom: submit or recover, poll, store, complete.

After a crash at any point the next run reads the row and continues from there.
"""

import asyncio
import random
from contextlib import suppress
from typing import Any

import structlog

from app import clock
from app.db.batches import write_in_halves
from app.errors import (
    FilmgateError,
    NotFound,
    OperationNotFound,
    OutcomeUnknown,
    PollFailed,
    UpstreamError,
)
from app.media.store import delete_task_files
from app.ops.metrics import count_end
from app.providers.base import Failed, Operation, PollAnswer, Queued, Running, Succeeded
from app.providers.http import REQUEST_ID, TRACEPARENT
from app.step_turns import StepTurns
from app.tasks.billing import MADE, NOT_MADE, SILENT, VendorWord
from app.tasks.notifications import Notification, NotificationHub
from app.tasks.patience import LOST_SECONDS, OVERDUE_SECONDS, LostWatch, ResultPatience
from app.tasks.remaking import make_again, remakes_left, watch_for_loss
from app.tasks.repository import StaleRun, TaskRepository
from app.tasks.results import ResultStorage
from app.tasks.submission import TaskSubmitter
from app.tasks.task import Task, TaskResult
from app.tasks.task_run import ProviderSource, RowUnwritable, RunStopped, TaskRun, cut_off_if_unwanted
from app.tasks.task_spans import run_stage

log = structlog.get_logger()
MAX_POLL_PAUSE_SECONDS = 60.0
PROGRESS_SECONDS = 0.5
NO_VERDICT = frozenset({OutcomeUnknown.code, "expired"})
"""Codes of a vendor's failures that leave open whether it made something."""


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
        away = await write_in_halves(rows, self._tasks.write_progress, refused=_report_refused)
        if away is not None:
            self._news = news | self._news
            log.warning("progress.delayed", count=len(rows), error=type(away).__name__)
            return
        self._events.publish([Notification("progress", i, "running", p, True) for i, (_, p) in news.items()])


def _report_refused(row: dict[str, Any], error: Exception) -> None:
    log.error("progress.refused", task=row["id_"], error=type(error).__name__)


class TaskLifecycle:
    """Runs tasks. Keeps no state in memory: everything that must survive is in the store."""

    def __init__(
        self,
        *,
        repository: TaskRepository,
        pool: ProviderSource,
        submitter: TaskSubmitter,
        results: ResultStorage,
        events: NotificationHub,
        progress: ProgressWriter,
        result_ttl_seconds: float,
        run_seconds: float,
    ) -> None:
        """``run_seconds``: how long a task may take once its vendor has accepted it."""
        self._tasks = repository
        self._pool = pool
        self._submitter = submitter
        self._results = results
        self._events = events
        self._progress = progress
        self._ttl = result_ttl_seconds
        self._run_seconds = run_seconds
        self._turns = StepTurns()

    async def run(self, task_id: str) -> None:
        """Run a task from the state in its row to its end, or until another run takes it over."""
        await self._turns.next_turn()
        async with self._events.subscribe(task_id) as notifications:
            task = await self._tasks.take(task_id)
            if task is None or task.account_id is None:
                return
            REQUEST_ID.set(task.request_id or "")
            TRACEPARENT.set(task.traceparent or "")
            try:
                provider = await self._pool.provider_by_id(task.account_id)
            except FilmgateError as error:
                await self._without_provider(task, error)
                return
            run = TaskRun(
                task, provider, self._tasks, self._events, notifications, self._ttl, self._run_seconds
            )
            try:
                await self._run_to_end(run)
            except RunStopped:
                log.debug("run.ended", task=task_id, state=run.state)
            except RowUnwritable as error:
                await self._end_unwritable(run, error)
            except StaleRun:
                await self._purge_if_deleted(task)
            finally:
                self._progress.forget_task(task_id)

    async def _run_to_end(self, run: TaskRun) -> None:
        result = run.task.result if run.state == "storing" else None
        if result is None:
            operation = await self._submit_or_recover(run)
            made = None
            if run.state != "storing":
                with run_stage(run, "poll", began=run.accepted_at):
                    made = await self._poll_until_done(run, operation)
            await self._turns.next_turn()
            with run_stage(run, "copy", began=run.task.made_at):
                result = await self._store_result(run, operation, made)
        with run_stage(run, "deliver"):
            result = await self._deliver_result(run, result)
        await self._turns.next_turn()
        await self._complete_task(run, result)

    async def _end_unwritable(self, run: TaskRun, error: RowUnwritable) -> None:
        """End a task whose outcome can't be written, with words of our own. What may have cost money stays held."""
        known = run.task.operation.id if run.task.operation else None
        log.error("task.unwritable", task=run.task.id, operation=known, error=repr(error.__cause__)[:500])
        code = "internal_error" if run.state == "queued" else OutcomeUnknown.code
        with suppress(RunStopped):
            await run.fail(code, "What came of it can't be written down. The gateway's log says why.")

    async def _submit_or_recover(self, run: TaskRun) -> Operation:
        if run.task.operation is not None:
            return await self._submitter.read_operation(run, run.task.operation)
        if run.state == "submitting":
            with run_stage(run, "recover", kind="client"):
                return await self._submitter.recover(run)
        if run.cancelled:
            await run.cancel()
        if run.is_overdue:
            await run.fail("deadline_exceeded", "It waited longer than a task may take.")
        return await self._submitter.submit(run)

    async def _poll_until_done(self, run: TaskRun, operation: Operation) -> Succeeded:
        """Poll at the interval that the provider asks for until the operation has succeeded. A failed poll is no
        answer: it ends nothing."""
        pace, left = run.provider.poll_interval, await remakes_left(run)
        delay, in_trouble = pace.first, False
        lost = watch_for_loss(run, left, otherwise=LOST_SECONDS)
        while True:
            await self._turns.next_turn()
            await self._stop_if_cancelled(run, operation)
            run.polls += 1
            try:
                answer = await run.provider.poll(operation)
            except UpstreamError as error:
                hint = error.retry_after
                await self._record_failed_poll(run, error, lost, remakes_left=left, first=not in_trouble)
                in_trouble = True
            else:
                lost.record_answer()
                in_trouble = False
                if isinstance(answer, Succeeded):
                    return answer
                hint = await self._record_poll_answer(run, answer)
            await self._stop_if_overdue(run, operation, answered=not in_trouble)
            wait = min(max(hint or 0.0, delay), MAX_POLL_PAUSE_SECONDS)
            await run.pause(wait * random.uniform(0.9, 1.1))  # noqa: S311 - jitter, not a secret
            delay = min(delay * pace.factor, pace.cap)

    async def _record_failed_poll(
        self, run: TaskRun, error: UpstreamError, lost: LostWatch, *, remakes_left: int, first: bool
    ) -> None:
        if isinstance(error, OperationNotFound):
            lost.record_missing()
        if lost.is_lost and remakes_left:
            await make_again(run, remakes_left, error.message)
        if lost.is_lost:
            text = f"For {LOST_SECONDS / 60:.0f} minutes the upstream has not known it. {error.message}"
            await run.fail("upstream_lost", text)
        log.info("poll.failed", task=run.task.id, error=type(error).__name__)
        if first:  # one row for a series of failures, not for each poll
            await run.add_timeline_row("poll.failed", error=error.message[:500])

    async def _record_poll_answer(self, run: TaskRun, answer: PollAnswer) -> float | None:
        if isinstance(answer, Failed):
            await self._submitter.fail_or_go_on(run, answer.code, answer.message, word=_word_of(answer))
        if isinstance(answer, Running):
            self._progress.record_progress(run.task, answer.progress)
        return answer.retry_after if isinstance(answer, Queued | Running) else None

    async def _stop_if_cancelled(
        self, run: TaskRun, operation: Operation, *, made: VendorWord | None = None
    ) -> None:
        """``made``: what is known of work that is finished. Some vendors delete a result on request and say yes: it was
        made all the same."""
        run.receive()
        if run.cancelled:
            await run.cancel(word=made or await self._stop_upstream(run, operation))

    async def _stop_if_overdue(self, run: TaskRun, operation: Operation, *, answered: bool) -> None:
        # After an answer, never before one: a gateway or a vendor that was down for long first hands over what is paid
        # for. The second deadline is for a vendor that never answers again.
        if run.is_overdue if answered else clock.has_passed(run.deadline_at + OVERDUE_SECONDS):
            word = await self._stop_upstream(run, operation)
            code, text = "deadline_exceeded", "The upstream did not finish it in time."
            await run.fail(code, text, word=SILENT if word.made else word)

    async def _stop_upstream(self, run: TaskRun, operation: Operation) -> VendorWord:
        word = await self._ask_whether_made(run, operation)
        if word.made is not None:
            return word
        try:
            stopped = await run.provider.cancel(operation)
        except UpstreamError as error:
            stopped = False
            log.info("cancel.failed", task=run.task.id, error=type(error).__name__)
        await run.add_timeline_row("upstream_cancel", accepted=stopped)
        return NOT_MADE if stopped else MADE

    async def _ask_whether_made(self, run: TaskRun, operation: Operation) -> VendorWord:
        """One more poll; silent while it runs, or when the poll fails."""
        try:
            answer = await run.provider.poll(operation)
        except UpstreamError:
            return SILENT
        if isinstance(answer, Succeeded):
            return VendorWord(made=True, usage=answer.usage)
        return _word_of(answer) if isinstance(answer, Failed) else SILENT

    async def _store_result(self, run: TaskRun, operation: Operation, answer: Succeeded | None) -> TaskResult:
        """Copy the result at once: vendor links expire after ten minutes to a day. It is made and paid for, so a failure
        is retried until the deadline, and beyond it while a link may live. ``answer``: None after a restart."""
        if run.state == "running":
            made_at = clock.now()
            await run.move("storing", detail={"polls": run.polls}, made_at=made_at)
        else:
            made_at = run.task.made_at or run.task.started_at or clock.now()
        patience = ResultPatience(made_at, run.deadline_at)
        if answer is None:
            kept = await self._results.kept_answer(run.task)
            answer = kept or await self._look_for_result(run, operation, patience)
        while True:
            usage = answer.usage if answer else {}
            await self._stop_if_cancelled(run, operation, made=VendorWord(made=True, usage=usage))
            try:
                if answer is None:
                    raise PollFailed("The upstream does not show its result.")
                keeping = self._results.keep_result(
                    run.task, run.provider, operation, answer=answer, note=run.add_timeline_row
                )
                return await cut_off_if_unwanted(run, keeping)
            except (FilmgateError, OSError) as error:
                await self._record_failed_copy(run, error, patience)
            await run.pause(patience.next_pause())
            # A new link, where links are short-lived.
            answer = await self._look_for_result(run, operation, patience) or answer

    async def _record_failed_copy(
        self, run: TaskRun, error: FilmgateError | OSError, patience: ResultPatience
    ) -> None:
        patience.record_failure(error)
        text = error.message if isinstance(error, FilmgateError) else (error.strerror or "disk error")
        log.warning("result.delayed", task=run.task.id, attempt=patience.attempts, error=text)
        if patience.is_worth_a_row:
            await run.add_timeline_row("delivery.copy", ok=False, attempt=patience.attempts, error=text)
        if patience.is_over:
            await run.fail("result_unavailable", f"It was made, but could not be copied: {text}")
        if patience.frees_slot:
            await run.retry_while_database_is_away(lambda: self._tasks.free_slot(run.task))
            self._events.publish([Notification("wake")])

    async def _look_for_result(
        self, run: TaskRun, operation: Operation, patience: ResultPatience
    ) -> Succeeded | None:
        """One poll of finished work; None unless it shows the result. What else it says ends nothing by itself."""
        try:
            answer = await run.provider.poll(operation)
        except UpstreamError as error:
            log.info("poll.failed", task=run.task.id, error=type(error).__name__)
            if isinstance(error, OperationNotFound):
                patience.vendor.record_missing()
            return None
        if isinstance(answer, Succeeded):
            patience.vendor.record_answer()
            return answer
        if isinstance(answer, Failed):
            patience.vendor.record_missing()
        return None

    async def _deliver_result(self, run: TaskRun, result: TaskResult) -> TaskResult:
        """Deliver links to our copy. The task completes even when this fails."""
        if not await self._results.delivers_slowly(run.task):
            return await self._results.deliver_links(run.task, result, note=run.add_timeline_row)
        # So that a later run need not copy again.
        text = result.model_dump_json()
        await run.retry_while_database_is_away(lambda: self._tasks.keep_result(run.task, text))
        links = self._results.deliver_links(run.task, result, note=run.add_timeline_row)
        try:
            return await cut_off_if_unwanted(run, links)
        except PollFailed:
            return result

    async def _complete_task(self, run: TaskRun, result: TaskResult) -> None:
        run.receive()
        if run.cancelled:
            await run.cancel(word=VendorWord(made=True, usage=result.usage))
        await run.move("completed", result=result.model_dump_json(), progress=100.0)

    async def _without_provider(self, task: Task, error: FilmgateError) -> None:
        """Its account has no usable provider. Re-raises ``error`` while an operator can still fix the account."""
        if task.result is not None and not task.cancel_requested:
            await self._complete_without_provider(task)
            return
        grace = 0.0 if task.state == "queued" else OVERDUE_SECONDS
        overdue = clock.has_passed(task.deadline_at + grace)
        if not isinstance(error, NotFound) and not overdue and not task.cancel_requested:
            raise error
        code = "account_removed" if isinstance(error, NotFound) else "deadline_exceeded"
        now = clock.now()
        values: dict[str, Any] = {"finished_at": now, "expires_at": now, "error_message": error.message}
        try:
            await self._tasks.move(task, task.state, "failed", error_code=code, **values)
        except StaleRun:
            return
        count_end(task.kind, "failed", code)
        self._events.publish([Notification("state", task.id, "failed"), Notification("wake")])

    async def _complete_without_provider(self, task: Task) -> None:
        """The result is in our store already; only links elsewhere were still missing."""
        now = clock.now()
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


def _word_of(answer: Failed) -> VendorWord:
    return VendorWord(made=None if answer.code in NO_VERDICT else False, usage=answer.usage)
