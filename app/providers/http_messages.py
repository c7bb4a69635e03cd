"""What goes out to an upstream and what comes back, as typed values."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError

Body = TypeVar("Body", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class UpstreamTimeouts:
    """Seconds: to connect (and to wait for a free connection), for the answer to a submit, to a look."""

    connect: float = 5.0
    submit: float = 60.0
    poll: float = 15.0


@dataclass(frozen=True, slots=True)
class UpstreamAnswer(Generic[Body]):
    """What an upstream answered, as far as we read it."""

    status: int
    headers: Mapping[str, str]
    """Case does not matter when asking."""
    body: Body


@dataclass(frozen=True, slots=True)
class FormFile:
    """One file of a multipart form: its field name, bytes and type."""

    name: str
    content: bytes = field(repr=False)
    content_type: str
    filename: str


@dataclass(frozen=True, slots=True)
class ResultDownload:
    """A body that is being read; ``length`` in bytes when the upstream said it."""

    content_type: str
    length: int | None
    chunks: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class OpenStream:
    """An answer that has begun and is read later; whoever got it calls ``close``."""

    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]
    close: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An answer with any status, read to its end."""

    status: int
    headers: Mapping[str, str]
    content: bytes


def validate_body(answer: type[Body], content: bytes) -> Body | None:
    """An empty body reads as ``{}``: some vendors answer 202 with nothing while a job runs."""
    try:
        return answer.model_validate_json(content.strip() or b"{}")
    except ValidationError:
        return None


def content_length(headers: Mapping[str, str]) -> int | None:
    text = headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
