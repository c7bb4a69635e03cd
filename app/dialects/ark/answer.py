"""Volcengine Ark's content generation API as a dialect, and how it writes tasks."""

from math import gcd
from typing import Any

from app.dialects.ark.schemas import EXAMPLES, SCHEMAS, TAGS
from app.dialects.base import Dialect
from app.keys.key import ClientKey
from app.tasks.task import StoredFile, Task

ID_PREFIX = "cgt-"
STATUS_WORDS = {
    "queued": "queued",
    "submitting": "queued",
    "accepted": "queued",
    "running": "running",
    "storing": "running",
    "completed": "succeeded",
    "failed": "failed",
    "cancelled": "cancelled",
}
NO_TOKENS = {"completion_tokens": 0, "total_tokens": 0}
"""Only Ark itself counts videos in tokens. Clients expect the field, so it is zero where the upstream reports none."""


class ArkDialect(Dialect):
    """https://www.volcengine.com/docs/82379/1520757"""

    name = "ark"
    id_prefix = ID_PREFIX
    status_words = STATUS_WORDS
    tags = TAGS
    schemas = SCHEMAS
    examples = EXAMPLES

    def webhook_body(self, task: Task, *, links: list[str], key: ClientKey | None) -> dict[str, Any]:
        return ark_object(task, links)


def ark_id(task_id: str) -> str:
    return f"{ID_PREFIX}{task_id}"


def ark_object(task: Task, urls: list[str]) -> dict[str, Any]:
    """``urls`` lead to the kept files of a completed task."""
    request = task.request
    document: dict[str, Any] = {
        "id": ark_id(task.id),
        "model": task.model,
        "status": STATUS_WORDS[task.public_state],
        "created_at": int(task.created_at),
        "updated_at": int(task.finished_at or task.started_at or task.created_at),
        "service_tier": "default",
    }
    requested = {"seed": request.seed, "resolution": request.resolution, "ratio": request.aspect_ratio}
    document |= {name: value for name, value in requested.items() if value is not None}
    if request.seconds is not None:
        document["duration"] = round(request.seconds)
    if task.result is not None:
        usage = {name: task.result.usage.get(name, number) for name, number in NO_TOKENS.items()}
        document |= _file_facts(task.result.files[0]) | {"usage": usage}
    if urls:
        document["content"] = {"video_url": urls[0]}
    if task.state in ("failed", "cancelled"):
        code = task.error_code or ("cancelled" if task.state == "cancelled" else "upstream_error")
        document["error"] = {"code": code, "message": task.error_message or "The generation failed."}
    return document


def _file_facts(file: StoredFile) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    if file.seconds:
        facts["duration"] = round(file.seconds)
    if file.fps:
        facts["framespersecond"] = round(file.fps)
    if file.width and file.height:
        parts = gcd(file.width, file.height)
        facts["ratio"] = f"{file.width // parts}:{file.height // parts}"
        facts["resolution"] = f"{min(file.width, file.height)}p"
    return facts
