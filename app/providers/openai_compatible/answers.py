"""Response models of OpenAI-compatible servers and the meaning of their statuses."""

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import AliasChoices, BaseModel, Field

from app.providers.base import Failed, PollAnswer, Queued, ResultFile, Running, Succeeded
from app.providers.reading import (
    COMMON_STATES,
    UNKNOWN_STATES,
    ErrorDetail,
    Fields,
    Items,
    Percent,
    State,
    Text,
    clean_text,
    read_error,
    retry_after_of,
)

IMAGE_TYPES = {
    b"\x89PNG": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
}


class VideoAnswer(BaseModel):
    """A video object. A field of an unexpected type is read as absent: only ``id`` and ``status`` are needed."""

    id: Text = Field(default="", validation_alias=AliasChoices("id", "task_id"))
    status: Text = ""
    progress: Percent = None
    error: Any = None
    url: Text = ""
    video_url: Text = ""
    urls: Items = []
    metadata: Fields = {}
    usage: Fields = {}
    seconds: Text = ""
    size: Text = ""

    @property
    def known_state(self) -> State | None:
        return COMMON_STATES.get(self.status.strip().lower())

    @property
    def says_failed(self) -> bool:
        return self.known_state in {"failed", "cancelled", "expired"}

    @property
    def first_error(self) -> ErrorDetail | None:
        return read_error({"error": self.error}) if self.error else None

    def public_link(self, base_url: str) -> str | None:
        """The first link to another origin than ``base_url``; links of the same origin may need the key."""
        links = (self.video_url, self.url, self.metadata.get("url"), *self.urls)
        return next(
            (link for link in links if isinstance(link, str) and _is_other_origin(link, base_url)), None
        )


class ImagesAnswer(BaseModel):
    """The answer of ``/images/generations``: ``data`` holds ``{url}`` or ``{b64_json}``."""

    data: Items = []
    usage: Fields = {}
    error: Any = None

    def image_entries(self) -> list[dict[str, str]]:
        found = []
        for item in self.data:
            kept = {key: item[key] for key in ("url", "b64_json") if isinstance(item, dict) and item.get(key)}
            if kept:
                found.append({"url": kept["url"]} if "url" in kept else kept)
        return found


def poll_answer(
    video: VideoAnswer,
    headers: Mapping[str, str],
    *,
    provider: str,
    secrets: Iterable[str],
    file: ResultFile,
) -> PollAnswer:
    """``video`` in our words. An unknown state is *running* and counted: it may end well."""
    pace = _pace_of(headers)
    if video.known_state == "queued":
        return Queued(retry_after=pace)
    if video.known_state == "succeeded":
        facts = {"seconds": video.seconds, "size": video.size}
        return Succeeded((file,), usage={**{k: v for k, v in facts.items() if v}, **video.usage})
    if video.says_failed:
        return _failed_answer(video, secrets)
    if video.known_state is None:
        UNKNOWN_STATES.labels(provider=provider).inc()
    return Running(progress=video.progress, retry_after=pace)


def image_file(image: Mapping[str, str], index: int) -> ResultFile:
    """One image of a finished images call; inline ones are read back from the operation by index."""
    if "url" in image:
        return ResultFile("image", "image/png", url=image["url"])
    return ResultFile("image", _image_type(image["b64_json"]), data={"index": index})


def _failed_answer(video: VideoAnswer, secrets: Iterable[str]) -> Failed:
    complaint = video.first_error
    said = clean_text(complaint.message, secrets) if complaint else f"the upstream says: {video.known_state}"
    if complaint and complaint.is_moderated:
        return Failed("content_policy_violation", said)
    if video.known_state in {"cancelled", "expired"}:
        return Failed(video.known_state, said)
    return Failed("upstream_error", said)


def _pace_of(headers: Mapping[str, str]) -> float | None:
    """Seconds until the next poll. OpenAI's header is in milliseconds:
    https://platform.openai.com/docs/api-reference/videos
    """
    hint = headers.get("openai-poll-after-ms", "")
    return retry_after_of({"retry-after-ms": hint}) if hint else retry_after_of(headers)


def _is_other_origin(link: str, base_url: str) -> bool:
    try:
        there, here = urlsplit(link), urlsplit(base_url)
        same = (there.scheme, there.hostname, there.port) == (here.scheme, here.hostname, here.port)
    except ValueError:
        return False
    return there.scheme in {"http", "https"} and bool(there.hostname) and not same


def _image_type(encoded: str) -> str:
    try:
        start = base64.b64decode(encoded[:16])
    except (binascii.Error, ValueError):
        return "image/png"
    return next((kind for magic, kind in IMAGE_TYPES.items() if start.startswith(magic)), "image/png")
