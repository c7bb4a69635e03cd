"""Tasks as the platform manual's unified interface writes them ("统一格式接口介绍")."""

import uuid
from typing import Any

from app.catalog.presets import preset_for
from app.tasks.states import UNIFIED
from app.tasks.task import Task

OURS = "filmgate"
MAKERS = {
    "sora": ("openai", "sora-video"),
    "gpt-image": ("openai", "gpt-image"),
    "veo": ("google", "google-videos"),
}
"""What ``platform`` and ``action`` say of the manuals' names; a name says nothing of who really made it."""


def unified_id(task_id: str) -> str:
    return str(uuid.UUID(task_id))


def unified_object(task: Task, urls: list[str]) -> dict[str, Any]:
    """``urls`` lead to what is kept of a completed task; times are whole unix seconds, 0 until they come."""
    status = UNIFIED[task.public_state]
    platform, action = _platform_and_action(task)
    return {
        "task_id": unified_id(task.id),
        "platform": platform,
        "action": action,
        "status": status,
        "fail_reason": _fail_reason(task),
        "submit_time": int(task.created_at),
        "start_time": int(task.started_at or 0),
        "finish_time": int(task.finished_at or 0),
        "progress": "100%" if status == "FAILURE" else f"{int(task.shown_progress)}%",
        "data": {"output": urls[0], "outputs": urls} if urls else None,
        "search_item": "",
    }


def _platform_and_action(task: Task) -> tuple[str, str]:
    base = preset_for(task.model).base
    for family, maker in MAKERS.items():
        if base.startswith(family):
            return maker
    return OURS, f"{task.kind}-{task.request.action}"


def _fail_reason(task: Task) -> str:
    if task.state not in ("failed", "cancelled"):
        return ""
    return task.error_message or ("cancelled" if task.state == "cancelled" else "The generation failed.")
