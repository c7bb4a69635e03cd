"""The parts of fal's answers that are read, and what its state words and error types mean.

https://fal.ai/docs/api-reference/inference-api
"""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel

from app.errors import UpstreamError, UpstreamModelForbidden, UpstreamQuotaExhausted
from app.generation import MediaKind
from app.providers.base import Failed, FileKind, ResultFile, Succeeded
from app.providers.http_errors import submit_refused, unnamed_task
from app.providers.reading import ErrorDetail, Fields, Items, State, Text, read_error

STATES: Mapping[str, State] = {
    "IN_QUEUE": "queued",
    "IN_PROGRESS": "running",
    "COMPLETED": "succeeded",
}
ENDS: Mapping[str, str] = {
    "content_policy_violation": "content_policy_violation",
    "client_cancelled": "cancelled",
    "startup_timeout": "expired",
}
NO_MONEY = ("exhausted balance", "user is locked", "insufficient balance")
TYPES: Mapping[MediaKind, str] = {"video": "video/mp4", "image": "image/png", "audio": "audio/mpeg"}
FILE_FIELDS: Mapping[str, FileKind] = {
    "video": "video",
    "videos": "video",
    "image": "image",
    "images": "image",
    "audio": "audio",
    "audio_file": "audio",
}


class FalRefusal(BaseModel):
    """``detail`` is a list of ``{msg, type, loc}`` from the model, or a sentence from the queue."""

    detail: Any = None
    error_type: Text = ""

    @property
    def is_error(self) -> bool:
        return bool(self.detail)

    def first_error(self, cleaned: Callable[[str], str]) -> ErrorDetail:
        first = self.detail[0] if isinstance(self.detail, list) and self.detail else {}
        kind = first.get("type", "") if isinstance(first, dict) else ""
        error = read_error({"detail": self.detail}) or ErrorDetail("fal did not say why")
        return ErrorDetail(cleaned(error.message), code=str(kind or self.error_type), param=error.param)


class SubmitAnswer(FalRefusal):
    request_id: Text = ""
    response_url: Text = ""

    def submit_error(
        self, status: int, headers: Mapping[str, str], cleaned: Callable[[str], str]
    ) -> UpstreamError:
        if not self.detail:
            return unnamed_task("fal")
        error = self.first_error(cleaned)
        if status < 500 and any(words in error.message.lower() for words in NO_MONEY):
            return UpstreamQuotaExhausted(f"upstream answered {status}: {error.message}")
        if status == 403 and "access to this application" in error.message.lower():
            return UpstreamModelForbidden(f"upstream answered {status}: {error.message}")
        return submit_refused(status, headers, error)


class QueueStatus(BaseModel):
    status: Text = ""
    error: Text = ""
    error_type: Text = ""
    metrics: Fields = {}


class ModelResult(FalRefusal):
    """A model's output, which is different for each; most models use these field names for files."""

    video: Any = None
    videos: Items = []
    image: Any = None
    images: Items = []
    audio: Any = None
    audio_file: Any = None
    seed: int | None = None
    has_nsfw_concepts: Items = []

    @property
    def is_censored(self) -> bool:
        """Whether all pictures are black: fal reports that as a success."""
        return bool(self.has_nsfw_concepts) and all(self.has_nsfw_concepts)


def failed_answer(kind: str, message: str) -> Failed:
    """``kind`` is fal's error type."""
    return Failed(ENDS.get(kind, "upstream_error"), message or kind)


def files_of(result: ModelResult, *, kind: MediaKind, inference: Any) -> Succeeded | None:
    """The files of ``kind``, or all when there is none of it; None for a result without files.

    ``inference`` is in seconds.
    """
    files: list[tuple[ResultFile, dict[str, Any]]] = []
    for field, file_kind in FILE_FIELDS.items():
        value = getattr(result, field)
        for item in value if isinstance(value, list) else [value]:
            entry = {"url": item} if isinstance(item, str) else item
            if isinstance(entry, dict) and isinstance(entry.get("url"), str) and entry["url"]:
                given = entry.get("content_type")
                content_type = given if isinstance(given, str) and given else TYPES[file_kind]
                files.append((ResultFile(file_kind, content_type, url=entry["url"]), entry))
    if not files:
        return None
    # A video may come with a preview picture, which is no result of its own.
    files = [pair for pair in files if pair[0].kind == kind] or files
    facts = {name: files[0][1].get(name) for name in ("duration", "width", "height", "fps")}
    facts |= {"inference_seconds": inference, "seed": result.seed}
    usage = {name: value for name, value in facts.items() if isinstance(value, int | float)}
    return Succeeded(tuple(file for file, _ in files), usage=usage)
