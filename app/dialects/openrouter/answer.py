"""Tasks as OpenRouter's video API writes them."""

from typing import Any

from app.tasks.states import OPENROUTER
from app.tasks.task import Task

PATH = "/api/v1/videos"


def openrouter_id(task_id: str) -> str:
    return f"gen-vid-{task_id}"


def openrouter_object(task: Task, urls: list[str], *, base: str) -> dict[str, Any]:
    """``urls`` lead to what is kept of a completed task. No field is ever null: the SDKs refuse that."""
    found: dict[str, Any] = {
        "id": openrouter_id(task.id),
        "polling_url": f"{base}{PATH}/{openrouter_id(task.id)}",
        "status": OPENROUTER[task.public_state],
    }
    if task.state in ("failed", "cancelled"):
        found["error"] = task.error_message or "The generation failed."
    if task.state == "completed":
        found["generation_id"] = openrouter_id(task.id)
    if urls:
        # These need no header either: clients fetch them without one.
        found |= {"unsigned_urls": urls, "urls": urls, "expires_at": int(task.expires_at or 0)}
    if task.cost is not None:
        found["usage"] = {"cost": float(task.cost), "is_byok": False}
    return found
