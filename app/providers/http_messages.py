"""Typed values of the HTTP client: timeouts, form files, answers, open streams, and how slowly a result may come."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pydantic import BaseModel

from app.errors import PollFailed

Body = TypeVar("Body", bound=BaseModel)
PICTURE_SECONDS = 300.0
"""How long a submission may take whose answer holds the finished result: a process that ends waits for it."""
FOREIGN = "filmgate_foreign"
"""The extension of a request whose address came from a peer (a redirect, the link of a result): the outbound guard
judges it before a proxy is asked for it."""


@dataclass(frozen=True, slots=True)
class DownloadPace:
    """Bounds of one download, in bytes per second and seconds."""

    least_speed: float = 10_000.0
    """Slower than this no film of a minute would arrive within ``whole_seconds``."""
    window_seconds: float = 30.0
    """A server may be silent so long, or slower than ``least_speed`` on average."""
    whole_seconds: float = 1800.0
    """As long as the shortest links of vendors are certain to work, with some room."""


DOWNLOAD_PACE = DownloadPace()


@dataclass(frozen=True, slots=True)
class UpstreamTimeouts:
    """Seconds: to connect (and to wait for a free connection), for the answer to a submit, and to a poll; and how
    slowly a result may come."""

    connect: float = 5.0
    submit: float = 60.0
    poll: float = 15.0
    download: DownloadPace = DOWNLOAD_PACE


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


async def keep_pace(chunks: AsyncIterator[bytes], pace: DownloadPace) -> AsyncIterator[bytes]:
    """``chunks`` as long as they come quickly enough, else ``PollFailed``: another link may be quicker.

    Each byte buys the time that it takes at the least speed; nobody saves up more than ``window_seconds``. Only
    waiting counts, not the time that the reader takes.
    """
    clock = asyncio.get_running_loop().time
    patience, ends_at = pace.window_seconds, clock() + pace.whole_seconds
    while True:
        began = clock()
        try:
            async with asyncio.timeout_at(min(began + patience, ends_at)):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            if clock() >= ends_at:
                raise PollFailed(
                    f"The result did not arrive within {pace.whole_seconds:g} seconds."
                ) from error
            raise PollFailed(
                f"The result came more slowly than {pace.least_speed:g} bytes per second."
            ) from error
        patience = min(pace.window_seconds, patience - (clock() - began) + len(chunk) / pace.least_speed)
        yield chunk
