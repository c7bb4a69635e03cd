"""Vendors' own error codes, once a table has said what a code means, as our errors."""

from collections.abc import Mapping
from typing import Literal

from app.errors import (
    OperationNotFound,
    OutcomeUnknown,
    PollFailed,
    UpstreamAuthFailed,
    UpstreamBusy,
    UpstreamError,
    UpstreamFailed,
    UpstreamModerated,
    UpstreamQuotaExhausted,
    UpstreamRejected,
)
from app.providers.http_errors import ErrorDetail, poll_refused, retry_after_of, submit_refused

ErrorMeaning = Literal["auth", "quota", "busy", "moderated", "rejected", "missing", "failed", "unknown"]
"""``missing``: no such operation, model or file. ``unknown``: the vendor does not know itself what became of it."""

SUBMITS: Mapping[ErrorMeaning, type[UpstreamError]] = {
    "auth": UpstreamAuthFailed,
    "quota": UpstreamQuotaExhausted,
    "busy": UpstreamBusy,
    "moderated": UpstreamModerated,
    "rejected": UpstreamRejected,
    "missing": UpstreamRejected,
    "failed": UpstreamFailed,
    "unknown": OutcomeUnknown,
}


def submit_error(
    meaning: ErrorMeaning | None, said: str, *, status: int, headers: Mapping[str, str]
) -> UpstreamError:
    """For a refused request that starts work; ``meaning`` None: a code we don't know, the status decides."""
    if meaning is not None:
        text = f"upstream answered {status}: {said}"
        return SUBMITS[meaning](text, retry_after=retry_after_of(headers))
    if status >= 400:
        return submit_refused(status, headers, ErrorDetail(said))
    return UpstreamFailed(f"upstream answered {status}: {said}")


def poll_error(
    meaning: ErrorMeaning | None, said: str, *, status: int, headers: Mapping[str, str]
) -> UpstreamError:
    """For a refused look, which ends nothing."""
    text, retry_after = f"upstream answered {status}: {said}", retry_after_of(headers)
    if meaning == "auth":
        return UpstreamAuthFailed(text)
    if meaning == "missing":
        return OperationNotFound(text, retry_after=retry_after)
    if meaning is None and status >= 400:
        return poll_refused(status, headers, ErrorDetail(said))
    return PollFailed(text, retry_after=retry_after)
