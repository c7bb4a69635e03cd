"""new-api's video route as a dialect. Answers hold what new-api documents and the envelope that it really sends."""

from typing import Any

from app.dialects.base import Dialect
from app.dialects.new_api.schemas import EXAMPLES, SCHEMAS, TAGS
from app.dialects.unified.answer import unified_object
from app.keys.key import ClientKey
from app.tasks.task import StoredFile, Task

ID_PREFIX = "task_"
STATUS_WORDS = {
    "queued": "queued",
    "submitting": "queued",
    "accepted": "queued",
    "running": "in_progress",
    "storing": "in_progress",
    "completed": "completed",
    "failed": "failed",
    "cancelled": "failed",
}
"""The documented words. new-api really sends the words of the unified tasks; clients read either."""
CLIENT_ERRORS = ("content_policy_violation", "invalid_request")


class NewApiDialect(Dialect):
    """https://docs.newapi.pro"""

    name = "new_api"
    id_prefix = ID_PREFIX
    status_words = STATUS_WORDS
    tags = TAGS
    schemas = SCHEMAS
    examples = EXAMPLES

    def webhook_body(self, task: Task, *, links: list[str], key: ClientKey | None) -> dict[str, Any]:
        return new_api_object(task, links)


def new_api_id(task_id: str) -> str:
    return f"{ID_PREFIX}{task_id}"


def submitted_object(task: Task) -> dict[str, Any]:
    """The answer to a submit."""
    return {
        "id": new_api_id(task.id),
        "task_id": new_api_id(task.id),
        "object": "video",
        "model": task.model,
        "status": STATUS_WORDS[task.public_state],
        "progress": int(task.shown_progress),
        "created_at": int(task.created_at),
    }


def new_api_object(task: Task, urls: list[str]) -> dict[str, Any]:
    """``urls`` lead to the kept files of a completed task."""
    inner = unified_object(task, urls) | {"task_id": new_api_id(task.id)}
    document = submitted_object(task) | {"code": "success", "message": "", "data": inner}
    if urls:
        inner["result_url"] = urls[0]
        document |= {"url": urls[0], "format": urls[0].partition("?")[0].rpartition(".")[2]}
    if task.result is not None:
        document["metadata"] = _video_metadata(task, task.result.files[0])
    if task.state in ("failed", "cancelled"):
        code = 400 if task.error_code in CLIENT_ERRORS else 500
        document["error"] = {"code": code, "message": inner["fail_reason"]}
    return document


def _video_metadata(task: Task, file: StoredFile) -> dict[str, Any]:
    return {
        "duration": round(file.seconds or 0, 3),
        "fps": round(file.fps or 0),
        "width": file.width or 0,
        "height": file.height or 0,
        "seed": task.request.seed or 0,
    }
