"""The platform manual's unified interface as a dialect ("统一格式接口介绍"), and how it writes tasks."""

import uuid
from typing import Any

from app.catalog.presets import preset_for
from app.dialects.base import Dialect
from app.dialects.unified.schemas import EXAMPLES, SCHEMAS, TAGS
from app.keys.key import ClientKey
from app.tasks.task import Task

STATUS_WORDS = {
    "queued": "NOT_START",
    "submitting": "SUBMITTED",
    "accepted": "QUEUED",
    "running": "IN_PROGRESS",
    "storing": "IN_PROGRESS",
    "completed": "SUCCESS",
    "failed": "FAILURE",
    "cancelled": "FAILURE",
}
OURS = "filmgate"
MAKERS = {
    "sora": ("openai", "sora-video"),
    "gpt-image": ("openai", "gpt-image"),
    "veo": ("google", "google-videos"),
}
"""``platform`` and ``action`` by the model's name, as in the manual. They do not reveal the real upstream."""


class UnifiedDialect(Dialect):
    """Videos, images and audio in one form. Its ids are UUIDs, without a prefix."""

    name = "unified"
    status_words = STATUS_WORDS
    tags = TAGS
    schemas = SCHEMAS
    examples = EXAMPLES

    def webhook_body(self, task: Task, *, links: list[str], key: ClientKey | None) -> dict[str, Any]:
        return unified_object(task, links)


def unified_id(task_id: str) -> str:
    return str(uuid.UUID(task_id))


def unified_object(task: Task, urls: list[str]) -> dict[str, Any]:
    """``urls`` lead to the kept files of a completed task. Times are whole unix seconds, 0 if not reached."""
    status = STATUS_WORDS[task.public_state]
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
    } | task.told_fields


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
