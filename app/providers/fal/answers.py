"""The parts we read of what fal answers, and what its words and error types mean."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import BaseModel

from app.errors import OutcomeUnknown, UpstreamError, UpstreamQuotaExhausted
from app.generation import MediaKind
from app.providers.base import Failed, ResultFile, Succeeded
from app.providers.http_errors import submit_refused
from app.providers.reading import ErrorDetail, Fields, Items, Text, read_error

STATES: Mapping[str, Literal["queued", "running", "done"]] = {
    "IN_QUEUE": "queued",
    "IN_PROGRESS": "running",
    "COMPLETED": "done",
}
ENDS: Mapping[str, str] = {
    "content_policy_violation": "content_policy_violation",
    "client_cancelled": "cancelled",
    "startup_timeout": "expired",
}
NO_MONEY = ("exhausted balance", "user is locked", "insufficient balance")
TYPES: Mapping[MediaKind, str] = {"video": "video/mp4", "image": "image/png", "audio": "audio/mpeg"}
PLACES: Mapping[str, Literal["video", "image", "audio"]] = {
    "video": "video",
    "videos": "video",
    "image": "image",
    "images": "image",
    "audio": "audio",
    "audio_file": "audio",
}


class FalRefusal(BaseModel):
    """``detail`` is a list of ``{msg, type, loc}`` (the model's word) or a sentence (the queue's)."""

    detail: Any = None
    error_type: Text = ""

    @property
    def is_error(self) -> bool:
        return bool(self.detail)

    def first_error(self, cleaned: Callable[[str], str]) -> ErrorDetail:
        first = self.detail[0] if isinstance(self.detail, list) and self.detail else {}
        kind = first.get("type", "") if isinstance(first, dict) else ""
        found = read_error({"detail": self.detail}) or ErrorDetail("fal did not say why")
        return ErrorDetail(cleaned(found.message), code=str(kind or self.error_type), param=found.param)


class SubmitAnswer(FalRefusal):
    request_id: Text = ""
    response_url: Text = ""

    def submit_error(
        self, status: int, headers: Mapping[str, str], cleaned: Callable[[str], str]
    ) -> UpstreamError:
        if not self.detail:
            return OutcomeUnknown("fal accepted the request without naming the work")
        complaint = self.first_error(cleaned)
        if status < 500 and any(words in complaint.message.lower() for words in NO_MONEY):
            return UpstreamQuotaExhausted(f"upstream answered {status}: {complaint.message}")
        return submit_refused(status, headers, complaint)


class QueueStatus(BaseModel):
    status: Text = ""
    error: Text = ""
    error_type: Text = ""
    metrics: Fields = {}


class ModelResult(FalRefusal):
    """A model's own output; files lie in fields whose names most models share."""

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
        """Black pictures come as a success."""
        return bool(self.has_nsfw_concepts) and all(self.has_nsfw_concepts)


def failed_answer(kind: str, message: str) -> Failed:
    """``kind`` is fal's error type."""
    return Failed(ENDS.get(kind, "upstream_error"), message or kind)


def files_of(result: ModelResult, *, kind: MediaKind, inference: Any) -> Succeeded | None:
    """Its files, without those of other kinds than the wanted one; None when it names none.

    ``inference`` is in seconds.
    """
    found: list[tuple[ResultFile, dict[str, Any]]] = []
    for place, made in PLACES.items():
        value = getattr(result, place)
        for item in value if isinstance(value, list) else [value]:
            told = {"url": item} if isinstance(item, str) else item
            if isinstance(told, dict) and isinstance(told.get("url"), str) and told["url"]:
                content_type = told.get("content_type")
                said = content_type if isinstance(content_type, str) and content_type else TYPES[made]
                found.append((ResultFile(made, said, url=told["url"]), told))
    if not found:
        return None
    # A video may come with a preview picture, which is no result of its own.
    found = [pair for pair in found if pair[0].kind == kind] or found
    facts = {name: found[0][1].get(name) for name in ("duration", "width", "height", "fps")}
    facts |= {"inference_seconds": inference, "seed": result.seed}
    usage = {name: value for name, value in facts.items() if isinstance(value, int | float)}
    return Succeeded(tuple(file for file, _ in found), usage=usage)
