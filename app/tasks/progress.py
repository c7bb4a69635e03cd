"""Progress, written behind: many tasks' news go to the store in one update every half second."""

import asyncio

import structlog

from app.db.session import DATABASE_AWAY
from app.tasks.notifications import Notification, NotificationHub
from app.tasks.repository import TaskRepository
from app.tasks.task import Task

log = structlog.get_logger()
EVERY_SECONDS = 0.5


class ProgressWriter:
    """Collects what runs see; only what moved forward is written."""

    def __init__(self, repository: TaskRepository, events: NotificationHub) -> None:
        self._tasks = repository
        self._events = events
        self._seen: dict[str, float] = {}
        self._news: dict[str, tuple[int, float]] = {}

    def record_progress(self, task: Task, percent: float | None) -> None:
        """``percent`` 0 to 100, or None when the upstream does not say; it is making it all the same."""
        known = self._seen.get(task.id, task.progress if task.generating else -1.0)
        value = max(0.0, min(percent if percent is not None else known, 99.0))
        if value <= known:
            return
        self._seen[task.id] = value
        self._news[task.id] = (task.epoch, value)

    def forget_task(self, task_id: str) -> None:
        """Its run has ended."""
        self._seen.pop(task_id, None)
        self._news.pop(task_id, None)

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
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
