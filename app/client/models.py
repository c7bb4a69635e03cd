"""What calls return. Every field of an answer is an attribute, also one that this version does not know."""

from collections.abc import Callable, Iterator
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import httpx2

__all__ = ["Character", "Content", "Video", "VideoDeleted", "VideoError", "VideoPage", "VideoQuote"]


class Model:
    """An object of the API; ``to_dict()`` is the answer as it came."""

    _request_id: str | None = None

    def __init__(self, fields: dict[str, Any]) -> None:
        self._fields = dict(fields)
        self.__dict__.update(fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self._fields == other._fields

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._fields})"

    def to_dict(self) -> dict[str, Any]:
        return dict(self._fields)

    model_dump = to_dict


class VideoError(Model):
    code: str
    message: str


class Video(Model):
    id: str
    object: Literal["video"]
    model: str
    status: Literal["queued", "in_progress", "completed", "failed"]
    progress: int
    created_at: int
    seconds: str
    size: str
    completed_at: int | None = None
    expires_at: int | None = None
    prompt: str | None = None
    remixed_from_video_id: str | None = None
    error: VideoError | None = None
    url: str | None = None
    """A signed link to the finished file, which needs no key."""
    fitted: dict[str, Any] | None = None
    """What was asked and what is made, where the gateway fitted a length or a size."""
    revised_prompt: str | None = None
    """The prompt that is sent in place of yours, where the gateway's operator has it rewritten."""
    attempt: int = 1
    """Which vendor's attempt it is, where the gateway went on elsewhere after one had failed."""

    def __init__(self, fields: dict[str, Any]) -> None:
        super().__init__(fields)
        self.error = VideoError(fields["error"]) if fields.get("error") else None


class VideoQuote(Model):
    """Money in US dollars, as text. ``price`` is None where it is known only afterwards."""

    object: Literal["video.quote"]
    model: str
    upstream: str
    price: str | None
    reserved: str
    currency: Literal["USD"]
    expected_seconds: float | None
    """How long such videos take there; None where too few are known."""
    seconds: str
    size: str
    fitted: dict[str, Any] | None = None


class VideoDeleted(Model):
    id: str
    object: Literal["video.deleted"]
    deleted: bool


class Character(Model):
    id: str
    name: str
    created_at: int


class VideoPage(Model):
    """One page of videos. Iterating over that of the synchronous client loads further pages."""

    has_more: bool
    data: list[Video]
    _load: "Callable[[str], VideoPage] | None" = None

    def __init__(self, fields: dict[str, Any]) -> None:
        super().__init__(fields)
        self.data = [Video(each) for each in fields["data"]]

    def __iter__(self) -> Iterator[Video]:
        yield from self.data
        if self._load and self.has_next_page():
            yield from self._load(self.data[-1].id)

    def has_next_page(self) -> bool:
        return self.has_more and bool(self.data)


class Content:
    """A downloaded file."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response, self.content, self.read = response, response.content, response.read

    def write_to_file(self, file: str | PathLike[str]) -> None:
        Path(file).write_bytes(self.content)
