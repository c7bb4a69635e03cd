"""The parts of Ark's answers that are read, and what its state words and error codes mean."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from app.errors import UpstreamError
from app.providers.base import Failed, PollAnswer, Queued, ResultFile, Running, Succeeded
from app.providers.http_errors import ErrorMeaning, poll_error, submit_error, unnamed_task
from app.providers.reading import Fields, Items, State, Text, read_state

STATES: Mapping[str, State] = {
    "queued": "queued",
    "running": "running",
    "succeeded": "succeeded",
    "failed": "failed",
    "cancelled": "cancelled",
    "expired": "expired",
}
# https://www.volcengine.com/docs/82379/1299023. A code may go on after a dot: InvalidParameter.ratio.
CODES: Mapping[str, ErrorMeaning] = {
    "AuthenticationError": "auth",
    "InvalidAccountStatus": "auth",
    "AccountOverdueError": "quota",
    "QuotaExceeded": "quota",
    "SetLimitExceeded": "quota",
    # This account has not bought this model, or its endpoint is another account's.
    "ModelNotOpen": "forbidden",
    "AccessDenied": "forbidden",
    "OperationDenied": "forbidden",
    "InvalidEndpoint": "forbidden",
    "InvalidEndpointOrModel": "forbidden",
    "ServerOverloaded": "busy",
    "RequestBurstTooFast": "busy",
    "InflightBatchsizeExceeded": "busy",
    "ModelLoadingError": "busy",
    "InvalidEndpoint.ClosedEndpoint": "busy",
    "InvalidParameter": "rejected",
    "MissingParameter": "rejected",
    "UnsupportedModel": "rejected",
    "NotFound": "missing",
    "InternalServiceError": "failed",
    "ContentSecurityDetectionError": "failed",
}
MODERATED = ("sensitivecontentdetected", "riskdetection")
QUEUE_WORDS = ("queue", "concurren")
"""In the message of ``QuotaExceeded``: too many requests at once, not too little money."""
BILLED = ("resolution", "ratio", "generate_audio", "service_tier", "draft")


class ArkError(BaseModel):
    code: Text = ""
    message: Text = ""
    param: Text = ""

    @property
    def error_meaning(self) -> ErrorMeaning | None:
        code, word = self.code, self.code.split(".")[0]
        if any(part in code.lower() for part in MODERATED):
            return "moderated"
        if word == "QuotaExceeded" and any(part in self.message.lower() for part in QUEUE_WORDS):
            return "busy"
        if word.endswith("RateLimitExceeded"):
            return "busy"
        return CODES.get(code) or CODES.get(word)


class ArkAnswer(BaseModel):
    """Any answer of Ark may hold an error: its own, or that of the task it is about."""

    id: Text = ""
    error: ArkError | None = None

    def is_error(self) -> bool:
        return self.error is not None and bool(self.error.code or self.error.message)

    def submit_error(self, status: int, headers: Mapping[str, str], text: str) -> UpstreamError:
        if self.error is None:
            return unnamed_task("Ark")
        error = submit_error(self.error.error_meaning, text, status=status, headers=headers)
        error.param = self.error.param or None
        return error

    def poll_error(self, status: int, headers: Mapping[str, str], text: str) -> UpstreamError:
        return poll_error(
            self.error.error_meaning if self.error else None, text, status=status, headers=headers
        )


class ArkTask(ArkAnswer):
    status: Text = ""
    safety_identifier: Text = ""
    content: Fields = {}
    usage: Fields = {}
    duration: Any = None
    frames: Any = None
    framespersecond: Any = None
    resolution: Text = ""
    ratio: Text = ""
    generate_audio: Any = None
    service_tier: Text = ""
    draft: Any = None


class TaskList(BaseModel):
    total: int
    items: list[ArkTask] = []


class ImagesAnswer(ArkAnswer):
    data: Items = []
    usage: Fields = {}

    def image_urls(self) -> list[str]:
        return [item["url"] for item in self.data if isinstance(item, dict) and item.get("url")]

    def first_error(self) -> ArkError | None:
        """Why there is no picture: the error of the whole answer, or of the first picture."""
        errors = [item.get("error") for item in self.data if isinstance(item, dict) and item.get("error")]
        return ArkError.model_validate(errors[0]) if errors else self.error


def poll_answer(task: ArkTask, text: str) -> PollAnswer | None:
    """What ``task`` says; None when it claims success and names no video. ``text`` is its cleaned error message."""
    state = read_state(task.status, STATES, provider="ark")
    if state == "queued":
        return Queued()
    if state in {"cancelled", "expired"}:
        return Failed(task.status, text or f"Ark says: {task.status}")
    if state == "failed":
        moderated = task.error is not None and task.error.error_meaning == "moderated"
        return Failed.upstream_error(text, moderated=moderated)
    if state == "succeeded":
        return _succeeded_answer(task)
    return Running()


def _succeeded_answer(task: ArkTask) -> Succeeded | None:
    video, frame = task.content.get("video_url"), task.content.get("last_frame_url")
    if not isinstance(video, str) or not video:
        return None
    files = [ResultFile("video", "video/mp4", url=video)]
    if isinstance(frame, str) and frame:
        files.append(ResultFile("image", "image/png", url=frame))
    facts: dict[str, Any] = {
        "seconds": _length_in_seconds(task),
        **{name: getattr(task, name) for name in BILLED},
    }
    usage = {name: value for name, value in facts.items() if value not in (None, "")}
    return Succeeded(tuple(files), usage=usage | task.usage)


def _length_in_seconds(task: ArkTask) -> float | None:
    """Ark reports the length in seconds or in frames, whichever was ordered."""
    if isinstance(task.duration, int | float):
        return task.duration
    if isinstance(task.frames, int) and isinstance(task.framespersecond, int) and task.framespersecond:
        return task.frames / task.framespersecond
    return None
