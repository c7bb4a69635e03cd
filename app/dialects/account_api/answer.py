"""Tasks as the feature-endpoints manual writes them ("任务查询")."""

from datetime import UTC, datetime
from typing import Any

from app.tasks.admission.position import QueuePosition
from app.tasks.states import TASKS
from app.tasks.task import Task


def task_object(task: Task, urls: list[str], *, place: QueuePosition | None = None) -> dict[str, Any]:
    """``urls`` lead to what is kept of a completed task; ``place`` is where a waiting one stands: two fields more
    than the manual has, only while it waits."""
    waits = {"queue_position": place.position, "estimated_wait_seconds": place.seconds} if place else {}
    return waits | {
        "task_id": task.id,
        "status": TASKS[task.public_state],
        "progress": round(task.shown_progress, 1),
        "model": task.model,
        "prompt": task.request.prompt,
        "result_urls": urls,
        "error_message": task.error_message,
        "created_at": _iso_time(task.created_at),
        "completed_at": _iso_time(task.finished_at),
    }


def _iso_time(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
