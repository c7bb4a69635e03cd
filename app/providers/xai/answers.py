"""The parts we read of what xAI answers, and what its words mean."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import BaseModel

from app.errors import UpstreamAuthFailed, UpstreamError, UpstreamModerated, UpstreamQuotaExhausted
from app.providers.base import Failed, ResultFile, Succeeded
from app.providers.http_errors import Complaint, complaint_in, submit_refused
from app.providers.moderation import sounds_moderated
from app.providers.openai_compatible.answers import Fields, Items, Percent, Text

State = Literal["running", "succeeded", "failed", "expired"]
STATES: Mapping[str, State] = {
    **dict.fromkeys(("pending", "queued", "processing"), "running"),
    "done": "succeeded",
    "failed": "failed",
    "expired": "expired",
}
# xAI tells these in sentences: a wrong key is a 400, an empty purse a 403 or a 429.
WRONG_KEY = ("incorrect api key", "invalid api key", "api key is invalid")
NO_MONEY = ("available credits", "spending limit", "purchase more credits")
BLOCKED = "xAI's filter stopped it; xAI bills that."


class Refusal(BaseModel):
    """``error`` is a sentence with a ``code`` beside it, or an object with both."""

    error: Any = None
    code: Any = None

    @property
    def refused(self) -> bool:
        return bool(self.error)

    def complaint(self, cleaned: Callable[[str], str]) -> Complaint:
        found = complaint_in({"error": self.error, "code": self.code}) or Complaint("xAI did not say why.")
        return Complaint(cleaned(found.message), code=found.code, param=found.param)

    def refusal(
        self, status: int, headers: Mapping[str, str], cleaned: Callable[[str], str]
    ) -> UpstreamError:
        said = self.complaint(cleaned)
        text, words = f"upstream answered {status}: {said.message}", said.message.lower()
        if status < 500 and any(part in words for part in WRONG_KEY):
            return UpstreamAuthFailed(text)
        if status < 500 and any(part in words for part in NO_MONEY):
            return UpstreamQuotaExhausted(text)
        if status < 500 and status != 429 and sounds_moderated(words):
            return UpstreamModerated(text)
        return submit_refused(status if status >= 400 else 400, headers, said)


class Started(Refusal):
    request_id: Text = ""


class Made(BaseModel):
    url: Text = ""
    duration: float | None = None
    respect_moderation: bool | None = None


class Video(Refusal):
    status: Text = ""
    progress: Percent = None
    video: Made | None = None
    usage: Fields = {}

    @property
    def unnamed_state(self) -> State:
        """An answer without a word is an empty 202, or an old form of success."""
        return "succeeded" if self.video and self.video.url else "running"


class Pictures(Refusal):
    data: Items = []
    usage: Fields = {}
    block_reason: Text = ""

    @property
    def refused(self) -> bool:
        return bool(self.error or self.block_reason)

    @property
    def links(self) -> list[str]:
        return [item["url"] for item in self.data if isinstance(item, dict) and item.get("url")]

    @property
    def cost(self) -> dict[str, Any]:
        return _cost(self.usage)

    def refusal(
        self, status: int, headers: Mapping[str, str], cleaned: Callable[[str], str]
    ) -> UpstreamError:
        if self.block_reason:
            return UpstreamModerated(cleaned(self.block_reason))
        return super().refusal(status, headers, cleaned)


def failure(video: Video, cleaned: Callable[[str], str]) -> Failed:
    said = video.complaint(cleaned)
    if video.status == "expired":
        return Failed("expired", "xAI says that the request expired.")
    if said.moderated or sounds_moderated(f"{said.code} {said.message}"):
        return Failed("content_policy_violation", said.message)
    return Failed("upstream_error", said.message)


def result_of(video: Video) -> Succeeded | Failed | None:
    """None when it claims success and names no video."""
    made = video.video or Made()
    if made.respect_moderation is False:
        return Failed("content_policy_violation", BLOCKED)
    if not made.url:
        return None
    seconds = {} if made.duration is None else {"seconds": made.duration}
    return Succeeded((ResultFile("video", "video/mp4", url=made.url),), usage=seconds | _cost(video.usage))


def _cost(usage: Mapping[str, Any]) -> dict[str, Any]:
    """A tick is 1e-10 US dollars."""
    return {name: usage[name] for name in ("cost_in_usd_ticks",) if isinstance(usage.get(name), int)}
