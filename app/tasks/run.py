"""One taking of a task: the row as it was taken, who speaks for its account, and its fenced steps."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

import sqlalchemy as sa
import structlog

from app.db.session import DATABASE_AWAY, PERMANENT_FAILURES
from app.db.tables import tasks
from app.ops.metrics import TASK_SECONDS, TASKS_ENDED
from app.providers.base import Provider
from app.tasks.notifications import Notification, NotificationHub
from app.tasks.repository import TaskRepository
from app.tasks.states import TERMINAL, State
from app.tasks.task import Task

log = structlog.get_logger()
Answer = TypeVar("Answer")


class RunStopped(Exception):
    """The task has reached its end, or waits for another account; this run has nothing left to do."""


@dataclass(slots=True)
class TaskRun:
    """Every write goes through here, so that none is forgotten to be fenced, repeated or told."""

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
        """Sleep, or less when the client cancels."""
        until = time.monotonic() + seconds
        while not self.cancelled and (left := until - time.monotonic()) > 0:
            try:
                async with asyncio.timeout(left):
                    change = await self.notifications.get()
            except TimeoutError:
                return
            self.cancelled = change.kind == "cancel"

    def receive(self) -> None:
        """Take in what was said while nobody listened."""
        while not self.notifications.empty():
            self.cancelled = self.notifications.get_nowait().kind == "cancel" or self.cancelled

    async def retry_while_database_is_away(self, write: Callable[[], Awaitable[Answer]]) -> Answer:
        """Repeat a write while the database is away: what a vendor accepted must be written down."""
        delay = 0.2
        while True:
            try:
                return await write()
            except PERMANENT_FAILURES:
                raise  # no database will ever take it
            except DATABASE_AWAY as error:
                log.warning("write.delayed", task=self.task.id, error=type(error).__name__)
            await asyncio.sleep(delay)
            delay = min(delay * 2, 5.0)

    async def move(self, new: State, *, detail: dict[str, Any] | None = None, **values: Any) -> None:
        """Raises ``Fenced`` when the task is another run's by now."""
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
        """A timeline row that changes no state."""
        await self.retry_while_database_is_away(
            lambda: self.repository.add_timeline_row(self.task, event, **detail)
        )
        self.notify()

    def notify(self) -> None:
        """News for listeners; a slot may have become free."""
        changes = [Notification("state", self.task.id, self.state)]
        if self.state in TERMINAL or self.state == "queued":
            changes.append(Notification("wake"))
        self.events.publish(changes)

    async def fail(self, code: str, message: str) -> NoReturn:
        # PostgreSQL keeps no NUL in a text.
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
