"""The submit protocol, which sends a request at most once.

Crash points: before ``submitting`` is committed nothing was sent. After it and before the receipt the outcome is
unknown: ``recover`` asks the vendor, else the task ends as ``submission_unknown``. After the receipt the operation
is ours and is polled.

A process that was told to end sends nothing new, as it may be killed before the answer: its run stops before the request
leaves, also when ``submitting`` took long to commit, and the next run finds the row as this one found it, or ``queued``.
"""

import asyncio
import json
import time
from dataclasses import replace
from typing import NoReturn

import structlog

from app import clock
from app.accounts.pool import AccountPool
from app.accounts.refusals import NextAccounts
from app.catalog.catalog import Catalog
from app.catalog.cost_bounds import over_bound
from app.catalog.fitting import Fitting
from app.catalog.upstream_request import AdaptedRequest, adapt_for
from app.errors import (
    NotFound,
    OutcomeUnknown,
    UnsupportedWish,
    UpstreamAuthFailed,
    UpstreamBusy,
    UpstreamError,
    UpstreamModelForbidden,
    UpstreamModelRetired,
    UpstreamQuotaExhausted,
    UpstreamRejected,
)
from app.generation import GenerationRequest, MediaInput
from app.media.store import MediaStore
from app.ops.edge import DrainState
from app.ops.metrics import REFUSALS, SUBMISSION_SECONDS, count_answer
from app.providers.base import Operation, Submission
from app.providers.judging import find_refusal, with_addresses
from app.tasks.billing import NOT_MADE, SILENT, VendorWord
from app.tasks.budget_hold import read_agreed_price
from app.tasks.going_on import VendorFailure, code_of, go_on_elsewhere
from app.tasks.input_links import InputLinks
from app.tasks.patience import LOST_SECONDS
from app.tasks.receipt_files import find_receipt, read_aside, set_aside
from app.tasks.repository import OperationTaken, TaskRepository
from app.tasks.task_run import RunStopped, TaskRun
from app.tasks.task_spans import SubmissionSpan, end_wait, waited_since

log = structlog.get_logger()
MAX_REQUEUE_PAUSE_SECONDS = 60.0
EXCLUDING_ERRORS = UpstreamAuthFailed | UpstreamModelForbidden | UpstreamQuotaExhausted | UnsupportedWish
BLOCKED = "blocked"
"""In a row of the timeline: the refusal may be the request's own fault."""


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
        drain: DrainState | None = None,
        input_links: InputLinks | None = None,
    ) -> None:
        """``grace_seconds``: how long ``recover`` waits for the receipt of an earlier run. That run may not be dead
        but cut off from the database. ``drain``: once it has begun, nothing new is sent."""
        self._drain = drain or DrainState()
        self._input_links = input_links
        self._tasks = repository
        self._pool = pool
        self._catalog = catalog
        self._store = store
        self._grace = grace_seconds

    async def submit(self, run: TaskRun) -> Operation:
        """Send the request once. Raises ``RunStopped`` when the run is over, ``StaleRun`` when another has the task."""
        try:
            adapted, submission = await self._prepare_submission(run)
        except NotFound:
            await run.fail("input_missing", "A file that it needs has been deleted meanwhile.")
        request, fitting = adapted.request, adapted.fitting
        refusal = find_refusal(run.provider, request) or await self._too_dear(run, fitting)
        if refusal is not None:
            await self._requeue_or_fail(run, refusal)
        self._stop_if_draining(run)
        # A stopping worker must not cut off a request: its answer has to be recorded.
        sending = asyncio.ensure_future(self._send_once(run, request, submission, fitting=fitting))
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
        found = await self._wait_for_receipt(run) or await find_receipt(
            self._store, run.task.id, attempt=run.task.attempt
        )
        if found is None:
            try:
                adapted, submission = await self._prepare_submission(run)
            except NotFound:
                await run.fail(OutcomeUnknown.code, "It was sent, and its input has been deleted meanwhile.")
            found = await self._ask_upstream(run, adapted.request, submission)
        return await self._record_accepted(run, found)

    async def read_operation(self, run: TaskRun, operation: Operation) -> Operation:
        """The whole operation that a row names. Raises ``ServiceUnavailable``: it is read again later."""
        try:
            return await read_aside(self._store, operation)
        except NotFound:
            await run.fail("result_unavailable", "The file that holds its result has been deleted.")

    async def _too_dear(self, run: TaskRun, fitting: Fitting | None) -> UnsupportedWish | None:
        """Where it would cost more than its client will pay: accounts may have come or changed since it was created."""
        if run.task.request.max_cost is None:
            return None
        price = await run.retry_while_database_is_away(
            lambda: read_agreed_price(self._tasks.database, run.task.id)
        )
        refusal = over_bound(run.task.request, fitting, price)
        return UnsupportedWish(refusal.message, param=refusal.param) if refusal else None

    def _stop_if_draining(self, run: TaskRun) -> None:
        if self._drain.begun:
            log.info("submission.left", task=run.task.id, state=run.state)
            raise RunStopped

    async def _wait_for_receipt(self, run: TaskRun) -> Operation | None:
        until = time.monotonic() + self._grace
        while True:
            found = await run.retry_while_database_is_away(lambda: self._tasks.latest_receipt(run.task.id))
            if found is not None:
                return await self.read_operation(run, found)
            if time.monotonic() >= until:
                return None
            await asyncio.sleep(min(0.5, self._grace))

    async def _send_once(
        self,
        run: TaskRun,
        request: GenerationRequest,
        submission: Submission,
        *,
        fitting: Fitting | None,
    ) -> Operation | None:
        """Move to ``submitting``, send, and record the answer; None when none came. ``fitting``: how what is asked of the
        vendor differs from what its client asked."""
        detail = {"account": run.provider.account.name} | (fitting.as_document() if fitting else {})
        fitted, since = fitting.model_dump_json() if fitting else None, await waited_since(run)
        await run.move("submitting", detail=detail, fitted=fitted)
        run.task = replace(run.task, fitted_text=fitted)
        if self._drain.begun:
            detail = {"because": "The worker stops before it is sent."}
            await run.move("queued", detail=detail, account_id=None)
            raise RunStopped
        end_wait(run, since)
        try:
            operation = await _timed_start(run, request, submission)
        except OutcomeUnknown as error:
            log.warning("submission.unanswered", task=run.task.id, error=error.message)
            await self._record_refusal(run, request.model, error)
            return None
        except UpstreamError as error:
            onward = await self._record_refusal(run, request.model, error)
            await self._requeue_or_fail(run, error, onward=onward)
        accepted = await self._record_accepted(run, operation)
        await run.retry_while_database_is_away(
            lambda: self._pool.record_answer(run.provider.account.id, request.model)
        )
        return accepted

    async def _ask_upstream(
        self, run: TaskRun, request: GenerationRequest, submission: Submission
    ) -> Operation:
        """Providers' ``recover`` never submits twice, so it is repeated until an answer or the deadline, and for some
        minutes in any case. A refusal of this copy says little about the first one, so it is believed only when it
        lasts, and then the money is held all the same."""
        delay, began = 1.0, time.monotonic()
        while True:
            # An upstream that honours idempotency keys is asked by sending the request again, which may buy.
            self._stop_if_draining(run)
            try:
                found = await run.provider.recover(request, submission)
            except UpstreamError as error:
                lasting = not run.provider.capabilities(request.model).idempotency_key
                asked_long = time.monotonic() - began >= LOST_SECONDS
                if error.next_step == "fail" and asked_long:
                    await run.fail(error.code, error.message)
                if lasting or (asked_long and clock.has_passed(run.deadline_at)):
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
        now = clock.now()
        deadline = _deadline_of(run, now)
        kept = await set_aside(self._store, run.task.id, operation, attempt=run.task.attempt)
        try:
            await run.retry_while_database_is_away(
                lambda: self._tasks.accept(run.task, kept, now=now, deadline_at=deadline)
            )
        except OperationTaken as error:
            log.error("operation.shared", task=run.task.id, owner=error.owner, operation=operation.id)
            await run.fail(
                OutcomeUnknown.code,
                f"The upstream named the operation {operation.id[:200]}, which is the task {error.owner}'s: it mixed "
                "them up, and this task's own film may exist there.",
            )
        run.deadline_at, run.accepted_at = deadline, now
        run.state = "running"
        run.notify()
        log.info("task.accepted", task=run.task.id, account=run.task.account_id, operation=operation.id)
        return operation

    async def _record_refusal(self, run: TaskRun, model: str, error: UpstreamError) -> NextAccounts:
        """Record the failure on the account. A content rejection counts as a healthy response."""
        account_id, task = run.provider.account.id, run.task
        if isinstance(error, UnsupportedWish):
            return "any"  # nothing was sent
        if isinstance(error, UpstreamRejected):
            REFUSALS.labels(run.provider.name, type(error).__name__).inc()
            await run.retry_while_database_is_away(lambda: self._pool.record_answer(account_id, model))
            return "any"
        cause = self._catalog.cause_for(task.key_id, task.kind, task.model)
        return await run.retry_while_database_is_away(
            lambda: self._pool.record_refusal(account_id, model, error, cause=cause)
        )

    async def _requeue_or_fail(
        self, run: TaskRun, error: UpstreamError, *, onward: NextAccounts = "any"
    ) -> NoReturn:
        """Fail what the upstream rejects, or fails at (it may have billed); requeue what it surely did not accept."""
        told = {"account": run.task.account_id, "provider": run.provider.name, "code": error.code}
        log.info("submission.refused", task=run.task.id, error=type(error).__name__, **told)
        if error.next_step == "fail":
            word = NOT_MADE if isinstance(error, UpstreamRejected) else SILENT
            await self.fail_or_go_on(run, error.code, error.message, word=word)
        run.receive()
        if run.cancelled:
            await run.cancel(word=NOT_MADE)
        account_id, model = run.provider.account.id, run.task.upstream_model or ""
        if code_of(error, provider=run.provider.name, model=model) == UpstreamModelRetired.code:
            retired = VendorFailure(UpstreamModelRetired.code, error.message, NOT_MADE)
            await go_on_elsewhere(run, self._catalog, retired)
        excluded = set(json.loads(run.task.excluded_text))
        is_blocked = onward == "one"
        if is_blocked or isinstance(error, EXCLUDING_ERRORS):
            excluded.add(account_id)
        able = await self._catalog.able_account_ids(run.task.kind, run.task.model)
        if run.task.only_account is not None:
            able &= {run.task.only_account}
        is_last, was_sent = able <= excluded, not isinstance(error, UnsupportedWish)
        if is_last and not was_sent:
            await run.fail(error.code, error.message, word=NOT_MADE)
        if is_blocked and (is_last or await self._was_blocked(run)):
            await run.fail(error.code, error.message, word=NOT_MADE)
        if is_last:
            self._catalog.report_unavailable(run.task.kind, run.task.model)
            await run.fail(
                "no_available_account",
                f"Every account that could serve it refused: {error.message}",
                word=NOT_MADE,
            )
        rests = self._pool.refusals.key_rests.is_resting(run.task.key_id, account_id, model)
        blocked = rests or await self._pool.blocked_by(account_id, model)
        # An account in cooldown is not tried anyway. Without a cooldown the task itself waits.
        wait = 0.0 if blocked or not was_sent else min(2.0**run.task.attempts, MAX_REQUEUE_PAUSE_SECONDS)
        await run.move(
            "queued",
            detail={"because": error.message[:500]} | ({BLOCKED: True} if is_blocked else {}),
            account_id=None,
            excluded=json.dumps(sorted(excluded)),
            attempts=run.task.attempts + 1,
            not_before=clock.now() + wait,
        )
        raise RunStopped

    async def fail_or_go_on(self, run: TaskRun, code: str, message: str, *, word: VendorWord) -> NoReturn:
        """End the task by its vendor's word, or let it go on elsewhere, where its route says so. Without a word it ends."""
        if word.made is False:
            await go_on_elsewhere(run, self._catalog, VendorFailure(code, message, word))
        await run.fail(code, message, word=word)

    async def _with_bytes(self, item: MediaInput) -> MediaInput:
        """An address in a vendor's own store has none here."""
        if item.vendor_scheme:
            return item
        return item.model_copy(update={"content": await self._store.get(item.key)})

    async def _was_blocked(self, run: TaskRun) -> bool:
        """Whether the request has already been carried to another account after a refusal that may be its own fault."""
        rows = await run.retry_while_database_is_away(lambda: self._tasks.read_timeline(run.task.id))
        return any(row["detail"].get(BLOCKED) for row in rows)

    async def _prepare_submission(self, run: TaskRun) -> tuple[AdaptedRequest, Submission]:
        """The request with the provider's name of the model and the bytes of the inputs."""
        request = run.task.request
        chosen = self._catalog.candidate_for(run.provider.account, request.kind, request.model)
        # The model that admission chose stays, even if routes have changed since.
        model = run.task.upstream_model or chosen.model
        adapted = adapt_for(request, chosen, run.provider, model=model)
        request = adapted.request
        media = [await self._with_bytes(item) for item in request.media]
        source = await self._tasks.get(request.remix_of) if request.remix_of else None
        same_account = source is not None and source.account_id == run.task.account_id
        submission = Submission(
            # One key for all runs of an attempt: an upstream that honours it works only once.
            idempotency_key=_idempotency_key(run),
            remix_operation=source.operation if source and same_account else None,
        )
        whole = request.model_copy(update={"media": tuple(media)})
        if (links := self._input_links) is not None:
            asked, sent = run.task.request, whole
            whole = with_addresses(
                run.provider, whole, lambda n: links.address_of(run.task.id, n, sent=sent, asked=asked)
            )
        return AdaptedRequest(whole, adapted.fitting), submission


def _idempotency_key(run: TaskRun) -> str:
    """A vendor that keeps keys would answer the next attempt with the work that failed."""
    number = run.task.attempt
    return f"filmgate-{run.task.id}" + (f"-{number}" if number > 1 else "")


def _deadline_of(run: TaskRun, now: float) -> float:
    """Of the run that begins ``now``. Further attempts have what the first one left."""
    whole = now + run.run_seconds
    if run.task.attempt == 1:
        return whole
    return min(whole, max(run.task.deadline_at, run.task.created_at + run.run_seconds))


async def _timed_start(run: TaskRun, request: GenerationRequest, submission: Submission) -> Operation:
    """``Provider.start``, with its time in the metrics and its span in the trace."""
    began, outcome, span = time.monotonic(), "accepted", SubmissionSpan(run)
    try:
        return await run.provider.start(request, submission)
    except UpstreamError as error:
        outcome = type(error).__name__
        raise
    finally:
        span.end(outcome)
        seconds = time.monotonic() - began
        SUBMISSION_SECONDS.labels(run.provider.name, outcome).observe(seconds)
        count_answer(run.provider.account, request.model, outcome, seconds=seconds)
