"""What a refusal, a silence or a broken answer of an upstream means: sent or not, its word or nobody's."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from app.errors import (
    OperationNotFound,
    OutcomeUnknown,
    PollFailed,
    UpstreamAuthFailed,
    UpstreamBusy,
    UpstreamError,
    UpstreamFailed,
    UpstreamModelForbidden,
    UpstreamModerated,
    UpstreamQuotaExhausted,
    UpstreamRejected,
)

TEXT_LIMIT = 500
LONGEST_RETRY_AFTER = 3600.0

# OpenAI answers 429 for "slow down" and for "no money left"; only the code tells them apart. Its images
# answer the second with 400, one-api and its descendants with 403.
QUOTA_CODES = {
    "insufficient_quota",
    "billing_hard_limit_reached",
    "insufficient_balance",
    "insufficient_user_quota",
    "insufficient_credits",
}
MODERATION_CODES = {"safety", "safety_system", "safety_violation", "policy_violation", "risk_control"}
MODERATION_PARTS = ("moderation", "content_policy", "content_filter", "sensitive_content", "sensitivecontent")


@dataclass(frozen=True, slots=True)
class ErrorDetail:
    """What an upstream says went wrong, in whichever of the usual forms it says it."""

    message: str
    code: str = ""
    param: str | None = None

    @property
    def is_moderated(self) -> bool:
        code = self.code.lower()
        return code in MODERATION_CODES or any(part in code for part in MODERATION_PARTS)

    @property
    def about_model(self) -> bool:
        """As ``model_not_found``, ``Model.AccessDenied``; OpenAI says it of one that an account may not use."""
        return "model" in self.code.lower() or self.param == "model"

    @property
    def out_of_money(self) -> bool:
        return self.code.lower() in QUOTA_CODES


def read_error(body: Any) -> ErrorDetail | None:
    """Read ``{"error": {…}}``, ``{"error": "text"}``, ``{"message": …}`` or ``{"detail": …}``; else None."""
    if not isinstance(body, dict):
        return None
    inner = body.get("error") or body
    if isinstance(inner, str):
        return ErrorDetail(inner, code=_text_of(body.get("code")))
    if not isinstance(inner, dict):
        return None
    code, detail = _text_of(inner.get("code")) or _text_of(inner.get("type")), inner.get("detail")
    if isinstance(detail, list) and detail and isinstance(detail[0], dict):  # FastAPI's own 422
        where = detail[0].get("loc")
        param = str(where[-1]) if isinstance(where, list) and where else None
        return ErrorDetail(_text_of(detail[0].get("msg")), code=code, param=param)
    message = _text_of(inner.get("message")) or _text_of(detail)
    if not message and not code:
        return None
    return ErrorDetail(message or code, code=code, param=_text_of(inner.get("param")) or None)


def parse_json(content: bytes) -> Any:
    """The JSON in ``content``, or None when there is none."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def clean_text(text: str, secrets: Iterable[str]) -> str:
    """``text`` without our secrets, control characters and length: vendors echo keys in their refusals."""
    for secret in secrets:
        text = text.replace(secret, "[secret]")
    text = re.sub(r"[\x00-\x1f\x7f]+", " ", text).strip()
    return text if len(text) <= TEXT_LIMIT else text[: TEXT_LIMIT - 1] + "…"


def retry_after_of(headers: Mapping[str, str]) -> float | None:
    """Seconds from ``retry-after-ms`` or ``Retry-After`` (seconds or a date), 0 to 3600; None for nonsense."""
    milliseconds = _number_of(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return min(milliseconds / 1000, LONGEST_RETRY_AFTER)
    text = headers.get("retry-after", "")
    seconds = _number_of(text)
    if seconds is None and ":" in text:
        seconds = _seconds_until(text)
    return None if seconds is None else min(seconds, LONGEST_RETRY_AFTER)


def submit_refused(status: int, headers: Mapping[str, str], complaint: ErrorDetail | None) -> UpstreamError:
    """The error for an answer that is not 2xx to a request that starts work."""
    said = complaint or ErrorDetail(f"HTTP {status} without a readable error")
    text, retry_after = f"upstream answered {status}: {said.message}", retry_after_of(headers)
    if status < 400:
        return _redirect_error(status)
    if status < 500 and (status == 402 or said.out_of_money):
        return UpstreamQuotaExhausted(text, retry_after=retry_after)
    if status in {425, 429, 503}:
        return UpstreamBusy(text, retry_after=retry_after)
    if status < 500 and said.is_moderated:
        return UpstreamModerated(text, param=said.param)
    if (status in {403, 404} and said.about_model) or (status == 400 and said.code == "model_not_found"):
        return UpstreamModelForbidden(text)
    if status in {401, 403}:
        return UpstreamAuthFailed(text)
    if status in {408, 409}:
        # A proxy's 408 may follow a request it passed on; 409 may mean "your first copy is being worked on".
        return OutcomeUnknown(text)
    if status < 500:
        return UpstreamRejected(text, param=said.param)
    if complaint is None or status in {502, 504}:
        # A gateway in between speaks here, not the upstream: what lies behind it may be working already.
        return OutcomeUnknown(text)
    return UpstreamFailed(text)


def poll_refused(status: int, headers: Mapping[str, str], complaint: ErrorDetail | None) -> UpstreamError:
    """The error for an answer that is not 2xx to a request that only asks: nothing of it ends a task."""
    said = complaint.message if complaint else "no readable error"
    text, retry_after = f"upstream answered {status}: {said}", retry_after_of(headers)
    if status in {401, 403}:
        return UpstreamAuthFailed(text)
    if status in {404, 410}:
        return OperationNotFound(text, retry_after=retry_after)
    return PollFailed(text, retry_after=retry_after)


def _redirect_error(status: int) -> UpstreamError:
    if status in {301, 302, 307, 308}:
        return UpstreamFailed(
            f"upstream answered {status}: it lives at another address, correct the base URL"
        )
    # 303 is what a server answers when it has done the work and wants its result to be fetched.
    return OutcomeUnknown(f"upstream answered {status}, which is neither a yes nor a no")


def _text_of(value: Any) -> str:
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _number_of(text: str | None) -> float | None:
    return float(text) if text and re.fullmatch(r"\s*\d{1,18}(\.\d{1,9})?\s*", text, re.ASCII) else None


def _seconds_until(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
