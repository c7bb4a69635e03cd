"""Response models of Together and the meaning of its states and codes."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from app.providers.base import Failed, ResultFile, Succeeded
from app.providers.http_errors import ErrorMeaning, missing_file
from app.providers.reading import (
    COMMON_STATES,
    ErrorDetail,
    Fields,
    State,
    Text,
    mentions_moderation,
    read_error,
)

STATES: Mapping[str, State] = COMMON_STATES
# The ``code`` of an error, else its ``type``. A 403 is about the length of the request, not about the key:
# https://docs.together.ai/docs/error-codes
CODES: Mapping[str, ErrorMeaning] = {
    "invalid_api_key": "auth",
    **dict.fromkeys(("credit_limit", "insufficient_quota"), "quota"),
    **dict.fromkeys(("model_not_available", "model_not_found"), "forbidden"),
    **dict.fromkeys(("model_rate_limit", "rate_limit", "service_unavailable"), "busy"),
}


class VideoJob(BaseModel):
    """A job, or an answer that has only an error."""

    id: Text = ""
    status: Text = ""
    outputs: Fields = {}
    error: Any = None

    def first_error(self) -> ErrorDetail:
        found = read_error({"error": self.error}) if self.error else None
        return found or ErrorDetail("Together gave no reason.")

    def is_error(self) -> bool:
        return bool(self.error) and not self.status


def error_meaning(status: int, error: ErrorDetail) -> ErrorMeaning | None:
    """None: the HTTP status says it."""
    if status == 403 and error.code not in CODES:
        return "forbidden" if error.about_model else "rejected"
    return CODES.get(error.code)


def succeeded_answer(job: VideoJob, content_type: str) -> Succeeded:
    link, cost = job.outputs.get("video_url"), job.outputs.get("cost")
    if not isinstance(link, str) or not link:
        raise missing_file("Together")
    usage = {"cost": cost} if isinstance(cost, int | float) else {}
    return Succeeded((ResultFile("video", content_type, url=link),), usage=usage)


def failed_answer(error: ErrorDetail, message: str, state: State) -> Failed:
    """``message``: the error's own, without secrets."""
    if error.is_moderated or mentions_moderation(message):
        return Failed("content_policy_violation", message)
    return Failed(state if state in {"cancelled", "expired"} else "upstream_error", message)
