"""The video objects that servers answer with, also wrapped in ``data``, and where the finished file lies.

https://platform.openai.com/docs/api-reference/videos
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator

from app.errors import OutcomeUnknown, UpstreamError, UpstreamFailed, UpstreamModerated
from app.providers.base import Failed, PollAnswer, Queued, ResultFile, Running, Succeeded
from app.providers.gateway import PLAIN_PATH
from app.providers.reading import (
    COMMON_STATES,
    REASON_NAMES,
    STATE_NAMES,
    ErrorDetail,
    Fields,
    Percent,
    Text,
    read_error,
    read_state,
    redact_text,
    retry_after_of,
    unwrapped,
)

ENDED_BADLY = {"failed", "moderated", "cancelled", "expired"}
ID_NAMES = ("id", "task_id", "video_id")
LINK_PATHS = (
    "video_url", "url", "metadata.url", "urls", "outputs.video_url", "outputs", "output.video_url", "output.url",
    "output", "result_url", "result_urls", "result.video_url", "result.url", "content.video_url", "videos", "video.url",
    "video", "data",
)  # fmt: skip
"""Where gateways and vendors with this API name the finished film."""
_LINK_PARTS = [path.split(".") for path in LINK_PATHS]


class ModelName(BaseModel):
    id: Text = ""


class ModelNames(BaseModel):
    """``GET /models``."""

    data: list[ModelName] = []


class VideoAnswer(BaseModel):
    """A video object. A field of an unexpected type is read as absent: only ``id`` and ``status`` are needed."""

    model_config = ConfigDict(extra="allow")

    id: Text = Field(default="", validation_alias=AliasChoices(*ID_NAMES))
    status: Text = Field(default="", validation_alias=AliasChoices(*STATE_NAMES))
    progress: Percent = None
    error: Any = None
    fail_reason: Text = Field(default="", validation_alias=AliasChoices(*REASON_NAMES))
    usage: Fields = {}
    seconds: Text = ""
    size: Text = ""

    @model_validator(mode="before")
    @classmethod
    def _unwrap(cls, document: Any) -> Any:
        """Some gateways put the whole object into ``data``, beside a code and a message of their own."""
        document = unwrapped(document, names=ID_NAMES)
        if not isinstance(document, dict):
            return document
        return {name: value for name, value in document.items() if value is not None}

    @property
    def state_word(self) -> str:
        return self.status.strip().lower()

    @property
    def has_failed(self) -> bool:
        return COMMON_STATES.get(self.state_word) in ENDED_BADLY

    def find_links(self, result_path: str) -> list[str]:
        """What the answer names as its film, the operator's own place first."""
        told = self.model_dump()
        if result_path:
            return [text for text in _texts_at(told, result_path.split(".")) if text]
        paths = [path for path in _LINK_PARTS if told.get(path[0]) is not None]
        found = [text for path in paths for text in _texts_at(told, path) if looks_like_link(text)]
        # one-api's older descendants name the film of a success where they name the reason of a failure.
        return found or [text for text in (self.fail_reason,) if looks_like_link(text)]

    def failure(self) -> ErrorDetail | None:
        return (
            read_error({"error": self.error or self.fail_reason}) if self.error or self.fail_reason else None
        )


def looks_like_link(text: str) -> bool:
    return text.startswith(("http://", "https://", "/")) and not text.startswith("//")


def result_file(video: VideoAnswer, *, base_url: str, result_path: str, content_path: str) -> ResultFile:
    """The film of a finished ``video``: at a public address; else on the upstream's own host, which gets our key, at the
    link that the answer names and at ``content_path``."""
    links = video.find_links(result_path)
    public = next((link for link in links if _is_other_origin(link, base_url)), None)
    if public:
        return ResultFile("video", "video/mp4", url=public)
    own = [place for link in links if (place := _own_place(link, base_url)) is not None]
    content = {"path": urlsplit(base_url).path.rstrip("/") + content_path, "query": {}}
    places = [*own[:1], content] if content not in own[:1] else [content]
    return ResultFile("video", "video/mp4", data={"places": places})


def poll_answer(
    video: VideoAnswer,
    headers: Mapping[str, str],
    *,
    provider: str,
    secrets: Iterable[str],
    find_file: Callable[[], ResultFile],
) -> PollAnswer:
    """The state of ``video``; ``find_file`` finds its result when it is finished."""
    state, interval = read_state(video.state_word, COMMON_STATES, provider=provider), _poll_interval(headers)
    if state == "queued":
        return Queued(retry_after=interval)
    if state == "succeeded":
        facts = {"seconds": video.seconds, "size": video.size}
        return Succeeded((find_file(),), usage={**{k: v for k, v in facts.items() if v}, **video.usage})
    if state == "running":
        return Running(progress=video.progress, retry_after=interval)
    error = video.failure()
    message = redact_text(error.message, secrets) if error else f"the upstream reports: {state}"
    if state == "moderated" or (error and error.is_moderated):
        return Failed("content_policy_violation", message, video.usage)
    if error and error.is_retired:
        return Failed("model_retired", message, video.usage)
    return Failed(state if state in {"cancelled", "expired"} else "upstream_error", message, video.usage)


def refusal_of(error: Any, secrets: Iterable[str]) -> UpstreamError:
    """The error for a 2xx without a job: some gateways put their refusal there."""
    detail = read_error({"error": error}) if error else None
    if detail is None:
        return OutcomeUnknown("the upstream accepted the request without an id")
    text = redact_text(detail.message, secrets)
    return UpstreamModerated(text) if detail.is_moderated else UpstreamFailed(text)


def origin_of(base_url: str) -> str:
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc}"


def _texts_at(told: Any, path: Iterable[str]) -> Iterator[str]:
    """The text at the names ``path``; of a list, that of each entry, and of an entry its ``url``."""
    for part in filter(None, path):
        if isinstance(told, list) and part.isdecimal() and int(part) < len(told):
            told = told[int(part)]
        else:
            told = told.get(part) if isinstance(told, dict) else None
    for entry in told if isinstance(told, list) else [told]:
        text = (entry.get("url") or entry.get("video_url")) if isinstance(entry, dict) else entry
        if isinstance(text, str) and text:
            yield text


def _poll_interval(headers: Mapping[str, str]) -> float | None:
    """Seconds until the next poll: OpenAI has a header of its own, in milliseconds."""
    hint = headers.get("openai-poll-after-ms", "")
    return retry_after_of({"retry-after-ms": hint}) if hint else retry_after_of(headers)


def _is_other_origin(link: str, base_url: str) -> bool:
    try:
        there, here = urlsplit(link), urlsplit(base_url)
        same = (there.scheme, there.hostname, there.port) == (here.scheme, here.hostname, here.port)
    except ValueError:
        return False
    return there.scheme in {"http", "https"} and bool(there.hostname) and not same


def _own_place(link: str, base_url: str) -> dict[str, Any] | None:
    """Path and query of a link to the upstream's own origin, absolute or relative; None for one that can't be asked."""
    try:
        parts = urlsplit(urljoin(f"{origin_of(base_url)}/", link))
    except ValueError:
        return None
    plain = PLAIN_PATH.fullmatch(parts.path) and ".." not in parts.path.split("/") and parts.path != "/"
    if parts.scheme not in {"http", "https"} or not plain or parts.path.startswith("//"):
        return None
    return {"path": parts.path, "query": dict(parse_qsl(parts.query, keep_blank_values=True))}
