"""The account API as a dialect, and how it writes tasks and characters."""

import time
from datetime import UTC, datetime
from typing import Any

from app.dialects.account_api.schemas import EXAMPLES, SCHEMAS, TAGS
from app.dialects.base import Dialect
from app.media.links import LinkSigner
from app.tasks.admission.waiting import QueuePosition
from app.tasks.characters import Character
from app.tasks.task import Task

STATUS_WORDS = {
    "queued": "processing",
    "submitting": "processing",
    "accepted": "processing",
    "running": "processing",
    "storing": "processing",
    "completed": "completed",
    "failed": "failed",
    "cancelled": "failed",
}


class AccountApiDialect(Dialect):
    """What a key may see of its account, whichever dialect made it. Creates no tasks itself."""

    name = "account_api"
    status_words = STATUS_WORDS
    tags = TAGS
    schemas = SCHEMAS
    examples = EXAMPLES

    def needs_key(self, path: str) -> bool:
        return not path.startswith("/files/")  # a signed link is its own permission


def task_object(task: Task, urls: list[str], *, place: QueuePosition | None = None) -> dict[str, Any]:
    """A task as the feature-endpoints manual writes it ("任务查询"). ``urls`` lead to the kept files of a completed
    task. ``place`` is the queue position of a waiting task; it adds two fields that the
    manual does not have, as do the task's ``told_fields``."""
    waits: dict[str, Any] = (
        {"queue_position": place.position, "estimated_wait_seconds": place.seconds} if place else {}
    )
    waits |= {"wait_reason": place.reason} if place and place.reason else {}
    return (
        waits
        | task.told_fields
        | {
            "task_id": task.id,
            "status": STATUS_WORDS[task.public_state],
            "progress": round(task.shown_progress, 1),
            "model": task.model,
            "prompt": task.told_prompt,
            "result_urls": urls,
            "error_message": task.error_message,
            "created_at": _iso_time(task.created_at),
            "completed_at": _iso_time(task.finished_at),
        }
    )


PERMALINK_SECONDS = 10 * 365 * 86_400.0
"""How long a character's permalink opens: as long as there is the character, for all that matters."""


def cameo_object(character: Character, *, base: str, signer: LinkSigner) -> dict[str, Any]:
    """``base`` is what links begin with. The permalink shows the clip in a browser, and this object to the key. It holds
    the id, as another key's character may have the same username."""
    name = character_id(character)
    return {
        "id": name,
        "username": character.username,
        "permalink": base + signer.sign(f"/v1/characters/{name}", now=time.time() + PERMALINK_SECONDS),
        "profile_picture_url": base + signer.sign(f"/files/characters/{name}/still.webp", now=time.time()),
    }


def character_object(character: Character, *, base: str, signer: LinkSigner) -> dict[str, Any]:
    cameo = cameo_object(character, base=base, signer=signer)
    return cameo | {"display_name": character.name, "created_at": int(character.created_at)}


def character_id(character: Character) -> str:
    return f"ch_{character.id.removeprefix('char_')}"


def _iso_time(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
