"""Reads what upstreams answer: fields of any type, state words, errors and waits, in the forms that vendors use."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, Literal, TypeVar

from prometheus_client import Counter
from pydantic import BaseModel, BeforeValidator, ValidationError

TEXT_LIMIT = 500
LONGEST_RETRY_AFTER = 3600.0

State = Literal["queued", "running", "succeeded", "failed", "moderated", "cancelled", "expired", "missing"]
"""What a vendor's state word means. ``moderated``: its content filter ended the work; ``missing``: it does not know
the work."""

UNKNOWN_STATES = Counter(
    "filmgate_unknown_upstream_state_total", "State words of upstreams that we do not know.", ["provider"]
)

# The union of what OpenAI, vLLM-Omni, SGLang, one-api's descendants, Gemini's and OpenRouter's variants say.
COMMON_STATES: Mapping[str, State] = {
    **dict.fromkeys(("queued", "pending", "submitted", "not_start", "created", "waiting"), "queued"),
    **dict.fromkeys(("in_progress", "processing", "running", "generating", "preparing"), "running"),
    **dict.fromkeys(("completed", "succeeded", "success", "succeed", "done"), "succeeded"),
    **dict.fromkeys(("failed", "failure", "error"), "failed"),
    **dict.fromkeys(("cancelled", "canceled", "deleted"), "cancelled"),
    "expired": "expired",
}

# OpenAI answers 429 for "slow down" and for "no money left"; only the code tells them apart. Its images
# answer the second with 400, one-api and its descendants with 403.
# https://platform.openai.com/docs/guides/error-codes
QUOTA_CODES = {
    "insufficient_quota",
    "billing_hard_limit_reached",
    "insufficient_balance",
    "insufficient_user_quota",
    "insufficient_credits",
}
MODERATION_CODES = {"safety", "safety_system", "safety_violation", "policy_violation", "risk_control"}
MODERATION_PARTS = ("moderation", "content_policy", "content_filter", "sensitive_content", "sensitivecontent")
MODERATION_PHRASES = (
    "moderat", "content policy", "content_policy", "usage guidelines", "usage policies", "flagged", "nsfw",
    "content filter", "safety filter", "safety system", "safety check", "inappropriate content",
)  # fmt: skip

Body = TypeVar("Body", bound=BaseModel)


def _as_text(value: Any) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _as_percent(value: Any) -> float | None:
    """Numbers, and one-api's ``"45%"``."""
    text = str(value).strip().removesuffix("%")
    try:
        number = float(text)
    except ValueError:
        return None
    return min(max(number, 0.0), 100.0) if number == number else None


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _as_mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


# Types for the fields of an answer: a value of another type reads as absent, so that one odd field does not make
# the whole answer unreadable.
Text = Annotated[str, BeforeValidator(_as_text)]
"""A string; numbers are taken too."""
Percent = Annotated[float | None, BeforeValidator(_as_percent)]
"""0 to 100."""
Items = Annotated[list[Any], BeforeValidator(_as_list)]
Fields = Annotated[dict[str, Any], BeforeValidator(_as_mapping)]


def read_state(word: str, states: Mapping[str, State], *, provider: str) -> State:
    """The state that ``word`` stands for. A word that ``states`` lacks is counted and reads as ``running``: vendors
    add words without notice, and the work may still end well."""
    state = states.get(word)
    if state is None:
        UNKNOWN_STATES.labels(provider=provider).inc()
        return "running"
    return state


@dataclass(frozen=True, slots=True)
class ErrorDetail:
    """What an upstream says went wrong."""

    message: str
    code: str = ""
    param: str | None = None

    @property
    def is_moderated(self) -> bool:
        code = self.code.lower()
        return code in MODERATION_CODES or any(part in code for part in MODERATION_PARTS)

    @property
    def about_model(self) -> bool:
        """As ``model_not_found``, ``Model.AccessDenied``; OpenAI answers this for a model that an account may not
        use."""
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
        location = detail[0].get("loc")
        param = str(location[-1]) if isinstance(location, list) and location else None
        return ErrorDetail(_text_of(detail[0].get("msg")), code=code, param=param)
    message = _text_of(inner.get("message")) or _text_of(detail)
    if not message and not code:
        return None
    return ErrorDetail(message or code, code=code, param=_text_of(inner.get("param")) or None)


def mentions_moderation(sentence: str) -> bool:
    """Whether the error text of a vendor that sends no code is about a content filter."""
    return any(phrase in sentence.lower() for phrase in MODERATION_PHRASES)


def parse_json(content: bytes) -> Any:
    """The JSON in ``content``, or None when there is none."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def validate_body(model: type[Body], content: bytes) -> Body | None:
    """``content`` as ``model``, None when it does not fit. An empty body reads as ``{}``: some vendors answer 202
    with nothing while a job runs."""
    try:
        return model.model_validate_json(content.strip() or b"{}")
    except ValidationError:
        return None


def clean_text(text: str, secrets: Iterable[str]) -> str:
    """``text`` without ``secrets`` and control characters, 500 characters at most: vendors repeat keys in their
    error messages."""
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


def content_length(headers: Mapping[str, str]) -> int | None:
    """Bytes from ``Content-Length``; None for nonsense."""
    text = headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


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
