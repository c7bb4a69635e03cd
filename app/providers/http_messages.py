"""Typed values of the HTTP client: timeouts, form files, answers, open streams."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pydantic import BaseModel

Body = TypeVar("Body", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class UpstreamTimeouts:
    """Seconds: to connect (and to wait for a free connection), for the answer to a submit, and to a poll."""

    connect: float = 5.0
    submit: float = 60.0
    poll: float = 15.0


@dataclass(frozen=True, slots=True)
class UpstreamAnswer(Generic[Body]):
    """What an upstream answered, as far as we read it."""

    status: int
    headers: Mapping[str, str]
    """Names are looked up without regard to case."""
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
    """A body that is being read; ``length`` in bytes, None when the upstream did not send it."""

    content_type: str
    length: int | None
    chunks: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class OpenStream:
    """An answer that has begun and is read later; its reader calls ``close``."""

    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]
    close: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An answer with any status, read to its end."""

    status: int
    headers: Mapping[str, str]
    content: bytes
