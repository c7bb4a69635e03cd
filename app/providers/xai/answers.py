"""Response models of xAI and the meaning of its statuses and error texts.

https://docs.x.ai/docs/guides/video-generations
"""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel

from app.errors import (
    UpstreamAuthFailed,
    UpstreamError,
    UpstreamModelForbidden,
    UpstreamModerated,
    UpstreamQuotaExhausted,
)
from app.providers.base import Failed, ResultFile, Succeeded
from app.providers.http_errors import submit_refused
from app.providers.reading import (
    ErrorDetail,
    Fields,
    Items,
    Percent,
    State,
    Text,
    mentions_moderation,
    read_error,
)

STATES: Mapping[str, State] = {
    **dict.fromkeys(("pending", "queued", "processing"), "running"),
    "done": "succeeded",
    "failed": "failed",
    "expired": "expired",
}
# Only the text tells these errors apart: xAI answers 400 for a wrong key, 403 or 429 without credits.
WRONG_KEY = ("incorrect api key", "invalid api key", "api key is invalid")
NO_MONEY = ("available credits", "spending limit", "purchase more credits", "any credits or licenses")
BLOCKED_TEXT = "xAI's moderation stopped the video; xAI bills it all the same."


class XaiAnswer(BaseModel):
    """Any answer. ``error`` is a sentence with a ``code`` beside it, or an object with both."""

    error: Any = None
    code: Any = None

    @property
    def is_error(self) -> bool:
        return bool(self.error)

    def first_error(self, clean_text: Callable[[str], str]) -> ErrorDetail:
        detail = read_error({"error": self.error, "code": self.code}) or ErrorDetail("xAI gave no reason.")
        return ErrorDetail(clean_text(detail.message), code=detail.code, param=detail.param)

    def submit_error(
        self, status: int, headers: Mapping[str, str], clean_text: Callable[[str], str]
    ) -> UpstreamError:
        detail = self.first_error(clean_text)
        text, words = f"upstream answered {status}: {detail.message}", detail.message.lower()
        if status < 500 and any(part in words for part in WRONG_KEY):
            return UpstreamAuthFailed(text)
        if status < 500 and any(part in words for part in NO_MONEY):
            return UpstreamQuotaExhausted(text)
        if status < 500 and status != 429 and mentions_moderation(words):
            return UpstreamModerated(text)
        if status == 403 and "model" in words:
            return UpstreamModelForbidden(text)
        return submit_refused(status if status >= 400 else 400, headers, detail)


class SubmitAnswer(XaiAnswer):
    request_id: Text = ""


class VideoResult(BaseModel):
    """``file_output`` is where xAI's Files API has it, when the account's owner asked for that."""

    url: Text = ""
    file_output: Fields = {}
    duration: float | None = None
    respect_moderation: bool | None = None

    @property
    def link(self) -> str:
        public = self.file_output.get("public_url")
        return self.url or (public if isinstance(public, str) else "")


class VideoAnswer(XaiAnswer):
    status: Text = ""
    progress: Percent = None
    video: VideoResult | None = None
    usage: Fields = {}

    @property
    def state_without_status(self) -> State:
        """For an answer without ``status``: an empty 202 while running, or an older form of success."""
        return "succeeded" if self.video and self.video.link else "running"


class ImagesAnswer(XaiAnswer):
    data: Items = []
    usage: Fields = {}
    block_reason: Text = ""

    @property
    def is_error(self) -> bool:
        return bool(self.error or self.block_reason)

    @property
    def image_urls(self) -> list[str]:
        return [item["url"] for item in self.data if isinstance(item, dict) and item.get("url")]

    @property
    def billed_cost(self) -> dict[str, Any]:
        return _billed_cost(self.usage)

    def submit_error(
        self, status: int, headers: Mapping[str, str], clean_text: Callable[[str], str]
    ) -> UpstreamError:
        if self.block_reason:
            return UpstreamModerated(clean_text(self.block_reason))
        return super().submit_error(status, headers, clean_text)


def failed_answer(video: VideoAnswer, clean_text: Callable[[str], str]) -> Failed:
    detail, bill = video.first_error(clean_text), _billed_cost(video.usage)
    if video.status == "expired":
        return Failed("expired", "xAI reports that the request expired.", bill)
    if detail.is_moderated or mentions_moderation(f"{detail.code} {detail.message}"):
        return Failed("content_policy_violation", detail.message, bill)
    return Failed("upstream_error", detail.message, bill)


def succeeded_answer(video: VideoAnswer) -> Succeeded | Failed | None:
    """None when xAI reports success without a video URL."""
    result = video.video or VideoResult()
    if result.respect_moderation is False:
        return Failed("content_policy_violation", BLOCKED_TEXT, _billed_cost(video.usage))
    if not result.link:
        return None
    seconds = {} if result.duration is None else {"seconds": result.duration}
    return Succeeded(
        (ResultFile("video", "video/mp4", url=result.link),), usage=seconds | _billed_cost(video.usage)
    )


def _billed_cost(usage: Mapping[str, Any]) -> dict[str, Any]:
    """The cost as xAI reports it; a tick is 1e-10 US dollars."""
    return {name: usage[name] for name in ("cost_in_usd_ticks",) if isinstance(usage.get(name), int)}
