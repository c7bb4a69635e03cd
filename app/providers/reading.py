"""Reads what upstreams answer: fields of any type, state words, errors and waits, in the forms that vendors use."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, Literal, TypeVar

from prometheus_client import Counter
from pydantic import BaseModel, BeforeValidator

from app.foreign import clean_number, clean_text, read_json
from app.providers.account_words import says_bad_key, says_empty, says_wrong_place

MESSAGE_LIMIT = 4000
"""Characters of an error's text before secrets are taken out of it and it is cut for people."""
WORD_LIMIT = 200
"""Characters of an error's code, and of a field that it names."""
LONGEST_RETRY_AFTER = 3600.0

State = Literal["queued", "running", "succeeded", "failed", "moderated", "cancelled", "expired", "missing"]
"""What a vendor's state word means. ``moderated``: its content filter ended the work; ``missing``: it does not know
the work."""

UNKNOWN_STATES = Counter(
    "filmgate_unknown_upstream_state_total", "State words of upstreams that we do not know.", ["provider"]
)

# The union of what OpenAI, vLLM-Omni, SGLang, one-api's descendants and the vendors say whose words gateways pass on.
COMMON_STATES: Mapping[str, State] = {
    **dict.fromkeys(
        ("queued", "pending", "submitted", "not_start", "created", "waiting", "in_queue", "queueing", "scheduled",
         "throttled", "accepted"), "queued",
    ),
    **dict.fromkeys(
        ("in_progress", "processing", "running", "generating", "preparing", "starting", "started", "dreaming",
         "rendering", "uploading"), "running",
    ),
    **dict.fromkeys(
        ("completed", "succeeded", "success", "succeed", "done", "finished", "complete", "finish", "ready"), "succeeded"
    ),
    **dict.fromkeys(("failed", "failure", "error", "fail", "errored", "aborted"), "failed"),
    **dict.fromkeys(("moderated", "content moderated", "request moderated"), "moderated"),
    **dict.fromkeys(("cancelled", "canceled", "deleted", "cancel"), "cancelled"),
    **dict.fromkeys(("expired", "timeout", "timed_out"), "expired"),
}  # fmt: skip

MODERATION_CODES = {"safety", "safety_system", "safety_violation", "policy_violation", "risk_control"}
MODERATION_PARTS = ("moderation", "content_policy", "content_filter", "sensitive_content", "sensitivecontent")
MODERATION_PHRASES = (
    "moderat", "content policy", "content_policy", "usage guidelines", "usage policies", "flagged", "nsfw",
    "content filter", "safety filter", "safety system", "safety check", "inappropriate content",
)  # fmt: skip

RETIREMENT_WORDS = ("retired", "deprecated", "decommissioned", "discontinued")

WRAPPERS = ("data", "result", "video")
STATE_NAMES = ("status", "state", "task_status")
DEEPEST_WRAPPER = 3
REASON_NAMES = ("fail_reason", "failReason", "failure_reason", "error_message", "reason")
"""What gateways call the reason of a failure."""

FRONT_WORDS = {"forbidden", "access denied", "blocked", "request blocked"}
FRONT_FIELDS = {"message", "requestId", "request_id"}

Body = TypeVar("Body", bound=BaseModel)


def _as_text(value: Any) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _as_percent(value: Any) -> float | None:
    """Numbers, and one-api's ``"45%"``."""
    return clean_number(value.strip().removesuffix("%") if isinstance(value, str) else value, 0.0, 100.0)


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
    """The state that ``word`` stands for. A word that ``states`` lacks means what it means elsewhere: resellers of an API
    have words of their own. One that nobody knows is counted and reads as ``running``: vendors add words without
    notice, and the work may still end well."""
    state = states.get(word) or COMMON_STATES.get(word.strip().lower())
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
    is_from_front: bool = False
    """A network in front of the vendor says so, not the vendor itself."""

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
    def is_retired(self) -> bool:
        """As ``model_decommissioned``, ``ModelDeprecated``."""
        code = self.code.lower()
        return "model" in code and any(word in code for word in RETIREMENT_WORDS)

    @property
    def out_of_money(self) -> bool:
        return says_empty(self.code, self.message)

    @property
    def about_key(self) -> bool:
        return says_bad_key(self.code, self.message)

    @property
    def about_place(self) -> bool:
        return says_wrong_place(self.code, self.message)


def read_error(body: Any) -> ErrorDetail | None:
    """Read ``{"error": {…}}``, ``{"error": "text"}``, ``{"message": …}`` or ``{"detail": …}``; else None. Google's front
    end puts the same into a list of one."""
    if isinstance(body, list) and len(body) == 1:
        body = body[0]
    if not isinstance(body, dict):
        return None
    inner = body.get("error") or body
    if isinstance(inner, str):
        front = _is_of_front(body)
        return ErrorDetail(inner[:MESSAGE_LIMIT], code=_word_of(body.get("code")), is_from_front=front)
    if not isinstance(inner, dict):
        return None
    code, detail = _word_of(inner.get("code")) or _word_of(inner.get("type")), inner.get("detail")
    if isinstance(detail, list) and detail and isinstance(detail[0], dict):  # FastAPI's own 422
        location = detail[0].get("loc")
        param = _word_of(location[-1]) if isinstance(location, list) and location else None
        return ErrorDetail(_text_of(detail[0].get("msg")), code=code, param=param)
    message = _text_of(inner.get("message")) or _text_of(detail)
    if not message and not code:
        return None
    param = _word_of(inner.get("param")) or None
    return ErrorDetail(message or code, code=code, param=param, is_from_front=_is_of_front(body))


def _is_of_front(body: dict[str, Any]) -> bool:
    """Cloudflare answers programs in JSON, and AWS's gateway and firewall with one bare word.

    https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-1xxx-errors/
    """
    if body.get("cloudflare_error"):
        return True
    words = _text_of(body.get("message")).strip(" .").lower()
    return body.keys() <= FRONT_FIELDS and words in FRONT_WORDS


def unwrapped(document: Any, *, names: tuple[str, ...], wrappers: tuple[str, ...] = WRAPPERS) -> Any:
    """The object that has one of ``names``, where a gateway has put it into ``data`` beside a code and a message."""
    for _ in range(DEEPEST_WRAPPER):
        if not isinstance(document, dict) or has_text(document, *names):
            break
        inner = (document.get(wrapper) for wrapper in wrappers)
        whole = next(
            (one for one in inner if isinstance(one, dict) and has_text(one, *names, *STATE_NAMES)), None
        )
        if whole is None:
            break
        document = whole
    return document


def has_text(document: Mapping[str, Any], *names: str) -> bool:
    return any(isinstance(document.get(name), str | int) for name in names)


def mentions_moderation(sentence: str) -> bool:
    """Whether the error text of a vendor that sends no code is about a content filter."""
    return any(phrase in sentence.lower() for phrase in MODERATION_PHRASES)


def validate_body(model: type[Body], content: bytes) -> Body | None:
    """``content`` as ``model``, None when it does not fit. An empty body reads as ``{}``: some vendors answer 202
    with nothing while a job runs."""
    try:
        return model.model_validate(read_json(content.strip() or b"{}"))
    except ValueError:  # pydantic's ``ValidationError`` is one
        return None


def redact_text(text: str, secrets: Iterable[str]) -> str:
    """``text`` for people and without ``secrets``: vendors repeat keys in their error messages."""
    text = text[:MESSAGE_LIMIT]
    for secret in secrets:
        text = text.replace(secret, "[secret]")
    return clean_text(text)


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
    return value[:MESSAGE_LIMIT] if isinstance(value, str) else clean_text(value)


def _word_of(value: Any) -> str:
    return clean_text(value, WORD_LIMIT)


def _number_of(text: str | None) -> float | None:
    return float(text) if text and re.fullmatch(r"\s*\d{1,18}(\.\d{1,9})?\s*", text, re.ASCII) else None


def _seconds_until(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
