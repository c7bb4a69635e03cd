"""One run of a task and its writes: fenced, repeated while the database is away, published."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol, TypeVar

import structlog

from app import clock
from app.db.session import WRITE_FAILED, is_bad_value, is_permanent
from app.errors import PollFailed
from app.foreign import clean_text
from app.ops.metrics import GENERATION_SECONDS, TASK_SECONDS, count_end, count_outcome, place_labels
from app.providers.base import Provider
from app.tasks.billing import SILENT, VendorWord
from app.tasks.notifications import Notification, NotificationHub
from app.tasks.repository import TaskRepository
from app.tasks.states import TERMINAL, State
from app.tasks.task import Task

log = structlog.get_logger()
LONGEST_MESSAGE = 2000
ENDLESS_SECONDS = 1e9
Answer = TypeVar("Answer")


class RunStopped(Exception):
    """The task has ended, or waits for another account: this run has nothing left to do."""


class RowUnwritable(Exception):
    """What this run wants to write is nothing that a row can hold: repeating it would go on for ever."""


class ProviderSource(Protocol):
    """Finds what makes a task: the adapter of an account, or the segments of a film."""

    async def provider_by_id(self, account_id: str) -> Provider: ...


@dataclass(slots=True)
class TaskRun:
    """One run of a task. Each of its writes is fenced, repeated while the database is away, and published."""

    task: Task
    provider: Provider
    repository: TaskRepository
    events: NotificationHub
    notifications: asyncio.Queue[Notification]
    ttl_seconds: float
    run_seconds: float
    """How long the task may take from when its vendor accepts it."""
    deadline_at: float = field(init=False)
    """UTC seconds: of waiting, then of running."""
    state: State = field(init=False)
    polls: int = field(init=False, default=0)
    cancelled: bool = field(init=False)
    accepted_at: float | None = field(init=False)
    """When its vendor took it, in UTC seconds."""
    ended_as: str = field(init=False, default="")
    """The code of the error that ended it."""

    def __post_init__(self) -> None:
        self.accepted_at = self.task.started_at
        self.state = self.task.state
        self.deadline_at = self.task.deadline_at
        self.cancelled = self.task.cancel_requested

    async def pause(self, seconds: float) -> None:
        """Sleep for ``seconds``, or until the client cancels."""
        over = Notification("over")
        # A time-out that cancels costs more than the rest of a pause, and most pauses of a task end by their time.
        timer = asyncio.get_running_loop().call_later(seconds, self.notifications.put_nowait, over)
        try:
            while not self.cancelled:
                change = await self.notifications.get()
                if change is over:
                    return
                self.cancelled = change.kind == "cancel"
        finally:
            timer.cancel()

    def receive(self) -> None:
        """Read the notifications that have arrived since the last pause."""
        while not self.notifications.empty():
            self.cancelled = self.notifications.get_nowait().kind == "cancel" or self.cancelled

    async def retry_while_database_is_away(self, write: Callable[[], Awaitable[Answer]]) -> Answer:
        """Repeat a write until the database is back: what a vendor accepted must be recorded. Raises ``RowUnwritable``."""
        delay = 0.2
        while True:
            try:
                return await write()
            except WRITE_FAILED as error:
                if is_bad_value(error):
                    raise RowUnwritable from error
                if is_permanent(error):
                    raise  # repeating can't help
                log.warning("write.delayed", task=self.task.id, error=type(error).__name__)
            await asyncio.sleep(delay)
            delay = min(delay * 2, 5.0)

    async def move(
        self,
        new: State,
        *,
        detail: dict[str, Any] | None = None,
        word: VendorWord = SILENT,
        **values: Any,
    ) -> None:
        """Raises ``StaleRun`` when another run has the task."""
        old = self.state
        if new in TERMINAL:
            now = clock.now()
            values = {"finished_at": now, "expires_at": now + self.ttl_seconds, **values}
        await self.retry_while_database_is_away(
            lambda: self.repository.move(self.task, old, new, detail=detail, word=word, **values)
        )
        self.state = new
        self.notify()
        if new in TERMINAL:
            self.ended_as = values.get("error_code", "")
            count_end(self.task.kind, new, self.ended_as, provider=self.provider.name)
            count_outcome(self.provider.account, self.task.upstream_model, self.ended_as or new)
        if new == "storing" and self.accepted_at is not None and "made_at" in values:
            place = place_labels(self.provider.account, self.task.upstream_model)
            GENERATION_SECONDS.labels(*place).observe(max(values["made_at"] - self.accepted_at, 0.0))
        if new == "completed":
            TASK_SECONDS.labels(self.task.kind).observe(clock.now() - self.task.created_at)
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

    async def fail(self, code: str, message: str, *, word: VendorWord = SILENT) -> NoReturn:
        """``word``: what the vendor said about its costs; without one the money of a task that was sent is held."""
        text = self.clean_message(message)
        detail = {"code": code, **({"polls": self.polls} if self.polls else {})}
        await self.move("failed", detail=detail, word=word, error_code=code, error_message=text)
        raise RunStopped

    def clean_message(self, message: str) -> str:
        return clean_text(message, LONGEST_MESSAGE)

    async def cancel(self, *, word: VendorWord = SILENT) -> NoReturn:
        ended: dict[str, Any] = {"error_code": "cancelled", "error_message": "Cancelled.", "result": None}
        await self.move("cancelled", word=word, **ended)
        raise RunStopped

    @property
    def is_overdue(self) -> bool:
        return clock.has_passed(self.deadline_at)


async def cut_off_if_unwanted(run: TaskRun, work: Coroutine[Any, Any, Answer]) -> Answer:
    """The result of ``work``, which is cut off at once when the client cancels, and when the deadline passes
    meanwhile: then ``PollFailed``, as the next attempt knows what to do."""
    left = run.deadline_at - clock.now()
    working = asyncio.ensure_future(work)
    waiting = asyncio.ensure_future(run.pause(left if left > 0 else ENDLESS_SECONDS))
    try:
        await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise PollFailed("It was cut off: " + ("cancelled." if run.cancelled else "its deadline has passed."))
    finally:
        working.cancel()
        waiting.cancel()
        await asyncio.gather(working, waiting, return_exceptions=True)
