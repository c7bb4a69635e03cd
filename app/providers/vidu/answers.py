"""Response models of Vidu and the meaning of its states and reasons."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, FiniteFloat

from app.errors import PollFailed
from app.providers.base import Failed, ResultFile, Succeeded
from app.providers.http_errors import ErrorMeaning
from app.providers.reading import Items, State, Text

STATES: Mapping[str, State] = {
    "created": "queued",
    "queueing": "queued",
    "processing": "running",
    "success": "succeeded",
    "failed": "failed",
}
MODERATED = {"AuditSubmitIllegal", "CreationPolicyViolation", "TaskPromptPolicyViolation"}
# https://platform.vidu.com/docs/error-code. By the HTTP status alone an empty balance would be a bad request.
REASONS: Mapping[str, ErrorMeaning] = {
    **dict.fromkeys(MODERATED, "moderated"),
    "CreditInsufficient": "quota",
    "ModelUnavailable": "forbidden",
    **dict.fromkeys(("QuotaExceeded", "TooManyRequests", "SystemThrottling"), "busy"),
    **dict.fromkeys(("Unauthorized", "Forbidden"), "auth"),
    **dict.fromkeys(("TaskNotFound", "CreationNotFound", "NotFound"), "missing"),
}


class ViduCreation(BaseModel):
    url: Text = ""


class ViduResponse(BaseModel):
    """The fields that every answer may have; an error has a ``reason``."""

    reason: Text = ""
    message: Text = ""

    def is_error(self) -> bool:
        return bool(self.reason)


class ViduTask(ViduResponse):
    """A task has ``task_id`` in the answer to a submit and ``id`` in lists."""

    task_id: Text = ""
    id: Text = ""
    state: Text = ""
    err_code: Text = ""
    payload: Text = ""
    prompt: Text = ""
    model: Text = ""
    credits: float | None = None
    progress: float | None = None
    creations: list[ViduCreation] | None = None


class TaskList(BaseModel):
    tasks: Items = []


class CancelAnswer(BaseModel):
    reason: Text = ""


class RemainingCredits(BaseModel):
    """Remaining credits of one kind of package (``test``, ``metered``, ``concurrent``)."""

    credit_remain: FiniteFloat


class CreditBalance(ViduResponse):
    """Vidu's ``packages`` field repeats the same credits per package."""

    remains: list[RemainingCredits] | None = None


def failed_answer(code: str) -> Failed:
    if code in MODERATED:
        return Failed("content_policy_violation", code)
    if code in {"UserCancelled", "Canceled"}:
        return Failed("cancelled", code)
    return Failed("upstream_error", code or "Vidu gave no reason.")


def succeeded_answer(task: ViduTask) -> Succeeded:
    links = [creation.url for creation in task.creations or [] if creation.url]
    if not links:
        raise PollFailed("Vidu reports success without a video URL")
    usage: dict[str, Any] = {} if task.credits is None else {"credits": task.credits}
    return Succeeded(tuple(ResultFile("video", "video/mp4", url=link) for link in links), usage=usage)
