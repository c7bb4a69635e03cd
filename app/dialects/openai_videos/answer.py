"""OpenAI's Videos API as a dialect: tasks as Video objects, or as the async-videos manual writes them."""

from typing import Any

from app.catalog.waits import AccountWait
from app.dialects.base import Dialect
from app.dialects.fields.sizes import stated_size
from app.dialects.openai_videos.batch_job import run_batches
from app.dialects.openai_videos.schemas import EXAMPLES, SCHEMAS, TAGS
from app.generation import MediaInput
from app.keys.key import ClientKey
from app.tasks.task import StoredFile, Task

ID_PREFIX = "video_"
KEYS_PATH = "/.well-known/filmgate-keys.json"
"""Where the keys that sign receipts are published."""
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
DEFAULT_SECONDS, DEFAULT_SIZE = "4", "720x1280"
FRAME_SLACK = 0.2
MANUAL_STATUS_WORDS = STATUS_WORDS | {
    "queued": "submitted",
    "submitting": "submitted",
    "accepted": "submitted",
}


class OpenAIVideosDialect(Dialect):
    """https://platform.openai.com/docs/api-reference/videos"""

    name = "openai_videos"
    id_prefix = ID_PREFIX
    polled_often = True
    status_words = STATUS_WORDS
    tags = TAGS
    schemas = SCHEMAS
    examples = EXAMPLES
    jobs = (run_batches,)

    def needs_key(self, path: str) -> bool:
        return path != KEYS_PATH

    def webhook_body(self, task: Task, *, links: list[str], key: ClientKey | None) -> dict[str, Any]:
        return video_object(task, url=links[0] if links else None, manual=speaks_manual(key))


def speaks_manual(key: ClientKey | None) -> bool:
    """Whether the key has the option to read videos in the form of the async-videos manual."""
    return key is not None and key.options.get("videos_dialect") == "manual"


def video_id(task_id: str) -> str:
    return f"{ID_PREFIX}{task_id}"


def video_object(
    task: Task, *, url: str | None, manual: bool = False, wait: AccountWait | None = None
) -> dict[str, Any]:
    """``url`` is the signed link of a completed video. ``error`` is set only for failed tasks. ``wait`` is why no account
    can take it yet; it adds two fields that OpenAI does not have."""
    if manual:
        return _manual_video_object(task, url)
    waits: dict[str, Any] = _wait_fields(wait) if wait else {}
    return (
        {
            "id": video_id(task.id),
            "object": "video",
            "created_at": int(task.created_at),
            "status": STATUS_WORDS[task.public_state],
            "completed_at": int(task.finished_at) if task.state == "completed" and task.finished_at else None,
            "error": _video_error(task),
            "expires_at": int(task.expires_at) if task.state == "completed" and task.expires_at else None,
            "model": task.model,
            "progress": int(task.shown_progress),
            "prompt": task.told_prompt or None,
            "remixed_from_video_id": video_id(task.request.remix_of) if task.request.remix_of else None,
            "seconds": _video_seconds(task),
            "size": _video_size(task),
            "url": url,
        }
        | task.told_fields
        | waits
        | _film_facts(task)
        | _film_provenance(task)
    )


def _film_facts(task: Task) -> dict[str, Any]:
    """What a player must know of a measured film, in fields that OpenAI does not have."""
    film = task.result.files[0] if task.result else None
    if film is None or film.codec is None:
        return {}
    return {"codec": film.codec, "fps": film.fps, "sound": film.sound}


def _film_provenance(task: Task) -> dict[str, Any]:
    """Which labels a finished film carries, and its hash; nothing of films of versions that knew none."""
    film = task.result.files[0] if task.result else None
    if film is None or film.sha256 is None:
        return {}
    return {"provenance": provenance_object(film)}


def provenance_object(film: StoredFile) -> dict[str, Any]:
    """``vendor_marks`` is known of labelled films only: no other one is looked into."""
    marks = {"vendor_marks": list(film.vendor_marks)} if film.labels else {}
    return {"ai_generated": True, "labels": list(film.labels), "sha256": film.sha256} | marks


def _wait_fields(wait: AccountWait) -> dict[str, Any]:
    seconds = None if wait.seconds is None else round(wait.seconds, 1)
    return {"wait_reason": wait.reason, "estimated_wait_seconds": seconds}


def _manual_video_object(task: Task, url: str | None) -> dict[str, Any]:
    """Async-videos manual, "API 端点详解" 1 and 2. ``error`` is text, and present only for failed tasks."""
    document: dict[str, Any] = {
        "id": video_id(task.id),
        "status": MANUAL_STATUS_WORDS[task.public_state],
        "progress": int(task.shown_progress),
        "prompt": task.told_prompt,
        "model": task.model,
        "size": _video_size(task),
        "seconds": _video_seconds(task),
        "created_at": int(task.created_at),
        "url": url,
        "completed_at": int(task.finished_at) if task.state == "completed" and task.finished_at else None,
    }
    failure = _video_error(task)
    return document | ({"error": failure["message"]} if failure else {})


def _video_error(task: Task) -> dict[str, str] | None:
    if task.state not in ("failed", "cancelled"):
        return None
    code = task.error_code or ("cancelled" if task.state == "cancelled" else "upstream_error")
    return {"code": code, "message": task.error_message or "The generation failed."}


def _video_seconds(task: Task) -> str:
    """The requested length; the real one for an extension, or where none was requested or another one is made. While
    nothing is measured, that of the clip that is changed, else OpenAI's default."""
    real = task.result.files[0].seconds if task.result else None
    made = task.fitting.made.get("seconds") if task.fitting and task.fitting.trim_to is None else None
    asked = task.request.seconds
    if real is not None and (task.request.action == "extend" or asked is None or made is not None):
        return _seconds_text(real)
    if isinstance(made, float):
        return _seconds_text(made)
    if asked is not None:
        return f"{asked:g}"
    clip = _changed_clip(task)
    return _seconds_text(clip.seconds) if clip and clip.seconds else DEFAULT_SECONDS


def _video_size(task: Task) -> str:
    """As measured, else as it will be made or was requested, else that of the clip that is changed, else OpenAI's default
    in the shape and resolution that were requested."""
    file = task.result.files[0] if task.result else None
    if file is not None and file.width and file.height:
        return f"{file.width}x{file.height}"
    made = task.fitting.made.get("size") if task.fitting else None
    clip, request = _changed_clip(task), task.request
    known = made or request.size or (clip.size if clip else None)
    return str(known or stated_size(request.aspect_ratio, request.resolution) or DEFAULT_SIZE)


def _changed_clip(task: Task) -> MediaInput | None:
    return next(iter(task.request.media_with("source_video")), None)


def _seconds_text(seconds: float) -> str:
    """Films end with a whole frame, a little off the second: clients read a whole number."""
    near = round(seconds)
    return f"{near}" if near and abs(seconds - near) <= FRAME_SLACK else f"{round(seconds, 1):g}"
