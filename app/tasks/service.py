"""What dialects do with tasks: create (once), get, list, watch, cancel, delete."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import structlog
from sqlalchemy.exc import IntegrityError

from app import clock
from app.catalog.catalog import Catalog
from app.catalog.waits import AccountWait
from app.db.session import DATABASE_AWAY
from app.errors import (
    FilmgateError,
    IdempotencyConflict,
    InsufficientQuota,
    InvalidRequest,
    NotFound,
    RateLimited,
)
from app.generation import GenerationRequest
from app.keys.key import ClientKey
from app.media.delivery.chain import STAGE_BEGUN
from app.media.store import MediaStore, delete_task_files
from app.ops.access import RequestNotes
from app.tasks.admission.waiting import QueuePosition, QueuePositions
from app.tasks.billing import TaskBilling
from app.tasks.characters import MENTION_SIGNS, CharacterLibrary
from app.tasks.creation import NewTask, planned_task, request_columns, request_fingerprint
from app.tasks.gate_keeper import GateKeeper
from app.tasks.makers import MakerSearch
from app.tasks.notifications import Notification, NotificationHub
from app.tasks.pending_files import keep_inputs
from app.tasks.queueing import moment_text, queue_columns
from app.tasks.quotes import Quote, quote_request
from app.tasks.repository import TaskFilter, TaskRepository
from app.tasks.retries import RetryMatcher
from app.tasks.states import State
from app.tasks.task import HEX_ID, Task, new_id, new_task, parse_task_id
from app.tasks.task_spans import trace_unserved
from app.webhooks.addresses import check_address

log = structlog.get_logger()
CANCEL_WAIT_SECONDS = 10.0
SAFETY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class RequestContext:
    """How a client asked for a task: its dialect, its idempotency key, whether its SDK repeats the request, and the
    webhook to call at the end. ``hook_base``: base URL of links in that call. ``hook_param``: the client's name of
    the field."""

    dialect: str
    idempotency_key: str | None = None
    is_retry: bool = False
    attempt: int = 1
    """Which retry it is, where it is one."""
    hook_url: str | None = None
    hook_base: str | None = None
    part: str = ""
    """Tells several equal tasks of one request apart, as in ``2/3``."""
    hook_param: str = "notify_hook"
    only_account: str | None = None
    """The id of the account that makes it, where the operator has chosen one."""
    notes: RequestNotes = field(default_factory=RequestNotes)

    @property
    def detail(self) -> dict[str, Any]:
        """For the first entry of the task's timeline."""
        return {"dialect": self.dialect, "request_id": self.notes.id}

    @property
    def noted_columns(self) -> dict[str, str | None]:
        """What the task's row keeps of it."""
        notes = self.notes
        return {
            "dialect": self.dialect,
            "only_account": self.only_account,
            "idempotency_key": self.idempotency_key,
            "request_id": notes.id or None,
            "end_user": notes.end_user,
            "tags": notes.tags,
            "traceparent": notes.traceparent or None,
        }


class TaskService:
    """Tasks as clients see them. No method waits for an upstream."""

    def __init__(
        self,
        *,
        repository: TaskRepository,
        catalog: Catalog,
        store: MediaStore,
        events: NotificationHub,
        characters: CharacterLibrary,
        billing: TaskBilling,
        gates: GateKeeper,
        retries: RetryMatcher,
        deadline_seconds: float,
        id_prefixes: Sequence[str] = (),
    ) -> None:
        self._tasks = repository
        self._queue_positions = QueuePositions(repository.database)
        self._catalog = catalog
        self._makers = MakerSearch(repository, catalog)
        self._store = store
        self._events = events
        self._characters = characters
        self._billing = billing
        self.gates = gates
        self._retries = retries
        self._deadline = deadline_seconds
        self._id_prefixes = tuple(id_prefixes)

    async def create(self, request: GenerationRequest, *, key: ClientKey, context: RequestContext) -> Task:
        """Insert the task; a worker does the rest. A repeated request (the same idempotency key, or a retry of an
        SDK) returns the same task. Raises the ``FilmgateError`` that the client is to see."""
        context.notes.model, context.notes.kind = request.model, request.kind
        made = await self._create_once(request, key, context)
        context.notes.task_id = made.id
        return made

    async def _create_once(self, request: GenerationRequest, key: ClientKey, context: RequestContext) -> Task:
        if any(sign in request.prompt for sign in MENTION_SIGNS):
            request = await self._characters.add_mentioned_characters(request, key=key)
        hook_url = _checked_hook_url(context)
        fingerprint = request_fingerprint(request, hook_url, context.part)
        known = await self._find_duplicate(key, context, fingerprint)
        if known is not None:
            return known
        try:
            made = await self._create_new(request, key, context, fingerprint=fingerprint, hook_url=hook_url)
        except FilmgateError as error:
            if context.idempotency_key is None:
                await self._retries.note_refusal(key.id, fingerprint, error)
            raise
        if context.is_retry and context.idempotency_key is None:
            await self._retries.note_made(key.id, fingerprint, context.attempt, task_id=made.id)
        return made

    async def _create_new(
        self,
        request: GenerationRequest,
        key: ClientKey,
        context: RequestContext,
        *,
        fingerprint: str,
        hook_url: str | None,
    ) -> Task:
        key.require_model(request.model)
        maker = await self._makers.remix_candidate(request)
        candidates = await self._makers.candidates(request, maker, context.only_account)
        judged = await self.gates.ask_gates(request, key=key, request_id=context.notes.id)
        request = judged.request
        price = await self._billing.current_price(request.model)
        found = self._makers.judge_accounts(request, candidates, price)
        received = clock.now()
        task_id = new_id(received)
        hold = self._billing.prepare_hold(request, key, price=price, fittings=found.fittings)
        request, files = await keep_inputs(self._tasks.database, self._store, request, task_id=task_id)
        row = request_columns(request, key) | {
            "id": task_id,
            "prefers": maker.account.id if maker else None,
            "excluded": json.dumps(found.unable),
            "hook_url": hook_url,
            "hook_base": context.hook_base if hook_url else None,
            "fingerprint": fingerprint,
            "created_at": received,  # lists find a span of time by ids
            **context.noted_columns,
            **queue_columns(request, key, created=received, now=clock.now(), wait=self._deadline),
        }
        try:
            await self._tasks.insert(
                planned_task(NewTask(row, context.detail | judged.detail, hold, files), found.plan, request)
            )
        except (InsufficientQuota, RateLimited):
            await delete_task_files(self._store, task_id)
            raise
        except IntegrityError:  # an equal request was inserted first
            await delete_task_files(self._store, task_id)
            known = await self._find_duplicate(key, context, fingerprint)
            if known is None:
                raise
            return known
        log.info("task.created", task=task_id, key=key.id, model=request.model, request_id=context.notes.id)
        self._events.publish([Notification("wake")])
        return new_task(row, request)

    async def quote(
        self, request: GenerationRequest, *, key: ClientKey, only_account: str | None = None
    ) -> Quote:
        """What ``create`` would make and reserve now. Nothing is written or sent. Raises what ``create`` raises for it."""
        key.require_model(request.model)
        if any(sign in request.prompt for sign in MENTION_SIGNS):
            request = await self._characters.add_mentioned_characters(request, key=key)
        price = await self._billing.current_price(request.model)
        return await quote_request(
            request, price, catalog=self._catalog, search=self._makers, only=only_account
        )

    def parse_id(self, name: str) -> str | None:
        return parse_task_id(name, prefixes=self._id_prefixes)

    async def get(self, name: str, key: ClientKey) -> Task:
        """By the id in any dialect's form. Raises ``NotFound``, also for a task of another owner."""
        task_id = self.parse_id(name)
        task = await self._tasks.get(task_id) if task_id else None
        if task is None or task.owner != key.owner or task.deleted:
            raise NotFound(f"No such task: {name[:100]}")
        return task

    async def by_link(self, task_id: str) -> Task:
        """The task of a signed link, whoever owns it. Raises ``NotFound``."""
        task = await self._tasks.get(task_id) if HEX_ID.fullmatch(task_id) else None
        if task is None or task.deleted:
            raise NotFound("No such file.")
        return task

    async def queue_position(self, task: Task) -> QueuePosition | None:
        """Its position among the tasks that wait for an account; None when it does not wait."""
        place = await self._queue_positions.position_of(task)
        return place.behind(await self.account_wait(task)) if place else None

    async def account_wait(self, task: Task) -> AccountWait | None:
        """Why a waiting task's accounts can't take it now; None too where it does not wait for one."""
        if task.state != "queued" or task.account_id is not None:
            return None
        if (start := task.request.start_after) is not None and task.not_before > clock.now():
            return AccountWait(f"It starts after {moment_text(start)}", task.not_before - clock.now())
        await self._catalog.current_statuses()
        without, only = json.loads(task.excluded_text), task.only_account
        return self._catalog.wait_for(task.kind, task.model, without=without, only=only)

    async def read_timeline(self, task: Task) -> list[dict[str, Any]]:
        return await self._tasks.read_timeline(task.id)

    async def delivery_stages(self, task: Task) -> tuple[str, ...]:
        """Stages of delivery that have begun: ``publish``, ``resolver``, ``store``, ``drive``."""
        rows = await self._tasks.read_timeline(task.id)
        return tuple(str(row["detail"]["stage"]) for row in rows if row["event"] == STAGE_BEGUN)

    async def page(
        self,
        key: ClientKey,
        *,
        after: str | None = None,
        limit: int = 20,
        ascending: bool = False,
        kind: str | None = None,
        states: tuple[State, ...] = (),
    ) -> tuple[list[Task], bool]:
        """A page of the key's tasks, and whether more follow. Raises ``InvalidRequest`` for a bad cursor."""
        cursor = self.parse_id(after) if after else None
        if after and cursor is None:
            raise InvalidRequest("after must be the id of a task", param="after")
        found = await self._tasks.page(
            key.owner, after=cursor, limit=limit + 1, ascending=ascending, kind=kind, states=states
        )
        return found[:limit], len(found) > limit

    async def numbered_page(
        self, key: ClientKey, *, number: int, size: int, chosen: TaskFilter
    ) -> tuple[list[Task], int]:
        """Page ``number`` (from 1) of the key's tasks that match ``chosen``, newest first; and how many match."""
        return await self._tasks.numbered_page(
            key.owner, offset=(number - 1) * size, size=size, chosen=chosen
        )

    async def watch(self, task: Task, *, keep_alive: float = SAFETY_SECONDS) -> AsyncIterator[Task]:
        """Yields the task now and after each change, at least every ``keep_alive`` seconds, until it has ended."""
        async with self._events.subscribe(task.id) as queue:
            current = await self._reload_task(task)
            yield current
            while not current.has_ended:
                following = await self._task_after(current, await _next_notification(queue, keep_alive))
                if following is not None:
                    current = following
                    yield current

    async def _task_after(self, current: Task, change: Notification | None) -> Task | None:
        """The task after a notification or a timeout (None); None when nothing has changed."""
        if change is not None and change.kind == "progress":
            if current.state == "storing":
                return None  # late news: progress is written behind
            ahead = max(change.progress, current.progress)
            return replace(current, state="running", progress=ahead, generating=True)
        if change is None or change.kind == "state":
            fresh = await self._reload_task(current)
            return replace(fresh, progress=max(fresh.progress, current.progress))
        return None

    async def wait_until_ended(self, task: Task, *, within: float) -> Task:
        """Wait for the end, at most ``within`` seconds. Returns the task as it is then."""
        latest = task
        try:
            async with asyncio.timeout(within):
                async for seen in self.watch(task):
                    latest = seen
        except TimeoutError:
            return await self._reload_task(task)
        return latest

    async def cancel(self, task: Task) -> Task:
        """Stop it, upstream too where the vendor supports that. An ended task stays as it is."""
        if task.has_ended:
            return task
        await self._request_cancel(task, delete=False)
        return await self.wait_until_ended(task, within=CANCEL_WAIT_SECONDS)

    async def ask_cancel(self, task: Task) -> None:
        """``cancel`` without waiting for its end."""
        if not task.has_ended:
            await self._request_cancel(task, delete=False)

    async def delete(self, task: Task) -> None:
        """Cancel it if it runs, hide it, and delete its files."""
        await self._request_cancel(task, delete=True)
        ended = await self.wait_until_ended(task, within=CANCEL_WAIT_SECONDS)
        if ended.has_ended:
            await delete_task_files(self._store, task.id)
            await self._tasks.mark_purged(task.id)

    async def _request_cancel(self, task: Task, *, delete: bool) -> None:
        ended = await self._tasks.request_cancel(task.id, delete=delete)
        if ended is not None and ended.has_ended and not task.has_ended:
            await trace_unserved(self._tasks, [task.id])
        self._events.publish(
            [Notification("cancel", task.id), Notification("state", task.id), Notification("wake")]
        )

    async def _reload_task(self, task: Task) -> Task:
        try:
            return await self._tasks.get(task.id) or task
        except DATABASE_AWAY as error:
            log.warning("look.delayed", task=task.id, error=type(error).__name__)
            return task

    async def _find_duplicate(self, key: ClientKey, context: RequestContext, fingerprint: str) -> Task | None:
        if context.idempotency_key is None:
            attempt = context.attempt if context.is_retry else 0
            lost = await self._retries.find_lost(key.id, fingerprint, attempt) if attempt else None
            return await self._tasks.get(lost) if lost else None
        found = await self._tasks.with_idempotency_key(key.owner, context.idempotency_key)
        if found is not None and found.fingerprint != fingerprint:
            raise IdempotencyConflict(
                "This Idempotency-Key was used with another request body.", param="Idempotency-Key"
            )
        if found is not None and found.deleted:
            # A repetition that comes late must not buy again what was deleted.
            raise IdempotencyConflict(
                "The task of this Idempotency-Key has been deleted. Send another key to make a new one.",
                param="Idempotency-Key",
            )
        return found


def _checked_hook_url(context: RequestContext) -> str | None:
    """Raises ``InvalidRequest``. Private hosts are refused at delivery only."""
    return check_address(context.hook_url, param=context.hook_param) if context.hook_url else None


async def _next_notification(queue: asyncio.Queue[Notification], seconds: float) -> Notification | None:
    try:
        async with asyncio.timeout(seconds):
            return await queue.get()
    except TimeoutError:
        return None
