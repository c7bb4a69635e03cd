"""Tasks as Volcengine Ark's content generation API writes them."""

from math import gcd
from typing import Any

from app.tasks.states import ARK
from app.tasks.task import StoredFile, Task

NO_TOKENS = {"completion_tokens": 0, "total_tokens": 0}
"""Only Ark counts videos in tokens; the field is there because clients read it."""


def ark_id(task_id: str) -> str:
    return f"cgt-{task_id}"


def ark_object(task: Task, urls: list[str]) -> dict[str, Any]:
    """``urls`` lead to what is kept of a completed task."""
    wanted = task.request
    found: dict[str, Any] = {
        "id": ark_id(task.id),
        "model": task.model,
        "status": ARK[task.public_state],
        "created_at": int(task.created_at),
        "updated_at": int(task.finished_at or task.started_at or task.created_at),
        "service_tier": "default",
    }
    asked = {"seed": wanted.seed, "resolution": wanted.resolution, "ratio": wanted.aspect_ratio}
    found |= {name: value for name, value in asked.items() if value is not None}
    if wanted.seconds is not None:
        found["duration"] = round(wanted.seconds)
    if task.result is not None:
        usage = {name: task.result.usage.get(name, number) for name, number in NO_TOKENS.items()}
        found |= _file_facts(task.result.files[0]) | {"usage": usage}
    if urls:
        found["content"] = {"video_url": urls[0]}
    if task.state in ("failed", "cancelled"):
        code = task.error_code or ("cancelled" if task.state == "cancelled" else "upstream_error")
        found["error"] = {"code": code, "message": task.error_message or "The generation failed."}
    return found


def _file_facts(file: StoredFile) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if file.seconds:
        made["duration"] = round(file.seconds)
    if file.fps:
        made["framespersecond"] = round(file.fps)
    if file.width and file.height:
        parts = gcd(file.width, file.height)
        made["ratio"] = f"{file.width // parts}:{file.height // parts}"
        made["resolution"] = f"{min(file.width, file.height)}p"
    return made
