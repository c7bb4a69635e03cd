"""A video as a streamed chat completion: what its chunks say, and the streams that this process keeps open."""

import asyncio
import html
import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

from app.errors import PollFailed, UpstreamFailed
from app.providers.event_stream import EventStreamReader, StreamEvent
from app.providers.http_messages import OpenStream
from app.providers.reading import ErrorDetail, read_error

LONGEST_STREAM = 1024 * 1024
"""Bytes of one stream that are read."""
PERCENT = re.compile(r"(\d{1,3}(?:\.\d+)?)\s*[%％]")
QUEUED_WORDS = ("队列", "排队", "queue")
# In the order of trust: a player, a picture or named link, a bare address.
LINKS = (
    re.compile(r"<(?:video|source|audio)[^>]+src=[\"'](https?://[^\"']+)"),
    re.compile(r"\[[^\]]*\]\((https?://[^)\s]+)\)"),
    re.compile(r"(https?://[^\s\"'<>()\[\]，。！]+)"),
)


@dataclass
class StreamState:
    """What has been received so far. ``ended``: the upstream closed the stream properly; ``broken``: why it ended
    before."""

    id: str = ""
    text: str = ""
    last_text: str = ""
    progress: float | None = None
    usage: dict[str, Any] = field(default_factory=dict)
    error: ErrorDetail | None = None
    ended: bool = False
    broken: str = ""

    @property
    def has_begun(self) -> bool:
        return bool(self.id or self.text or self.last_text)

    @property
    def is_over(self) -> bool:
        return self.ended or bool(self.broken) or self.error is not None

    @property
    def is_queued(self) -> bool:
        return self.progress is None and any(word in self.last_text.lower() for word in QUEUED_WORDS)

    def file_urls(self) -> list[str]:
        """Addresses of the most trusted kind that occurs, in order, each once."""
        for pattern in LINKS:
            found = [html.unescape(link) for link in pattern.findall(self.text)]
            if found:
                return list(dict.fromkeys(found))
        return []

    def take_event(self, event: StreamEvent) -> None:
        if event.kind == "done":
            self.ended = True
        elif event.kind == "data":
            self.take_chunk(event.data)

    def take_chunk(self, chunk: dict[str, Any]) -> None:
        """One chunk, or a whole completion."""
        if chunk.get("error"):
            self.error = read_error(chunk) or ErrorDetail(str(chunk["error"]))
            return
        self.id = self.id or str(chunk.get("id") or "")
        if isinstance(chunk.get("usage"), dict):
            self.usage = chunk["usage"]
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if isinstance(choice, dict):
            self._take_choice(choice)

    def _take_choice(self, choice: dict[str, Any]) -> None:
        message = choice.get("delta") or choice.get("message")
        if isinstance(message, dict):
            self._read_text(message.get("reasoning_content"))
            self.text += self._read_text(message.get("content"))
        self.ended = self.ended or bool(choice.get("finish_reason"))

    def _read_text(self, text: Any) -> str:
        """``text`` if it is any, after its progress has been read. Gateways report progress in the answer's text or
        as if it were the model's reasoning."""
        if not isinstance(text, str) or not text:
            return ""
        self.last_text = text.strip() or self.last_text
        percents = PERCENT.findall(text)
        if percents:
            self.progress = max(self.progress or 0.0, min(float(percents[-1]), 100.0))
        return text


class HeldStream:
    """Reads one stream to its end in the background."""

    def __init__(self, stream: OpenStream) -> None:
        self.state = StreamState()
        self._stream = stream
        self._news = asyncio.Event()
        self._reading = asyncio.create_task(self._read_stream())

    async def wait_until_begun(self, *, within: float) -> None:
        """Returns when something was received or the stream is over, after ``within`` seconds at the latest."""
        try:
            async with asyncio.timeout(within):
                await self._news.wait()
        except TimeoutError:
            return  # the answer has begun, so the upstream has the request; its first chunk may take longer

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def _read_stream(self) -> None:
        state = self.state
        try:
            if self._stream.headers.get("content-type", "").lower().startswith("text/event-stream"):
                await self._read_events()
            else:
                await self._read_document()
            if not state.is_over:
                state.broken = "the stream ended before its last word"
        except (PollFailed, UpstreamFailed) as error:
            state.broken = error.message
        finally:
            state.broken = state.broken or ("" if state.is_over else "the stream was given up")
            self._news.set()
            await self._stream.close()

    async def _read_events(self) -> None:
        reader = EventStreamReader()
        async for chunk in _bounded(self._stream.chunks):
            self._take_events(reader.feed(chunk))
            if self.state.has_begun or self.state.is_over:
                self._news.set()
            if self.state.is_over:
                return
        self._take_events(reader.close())

    def _take_events(self, events: Iterator[StreamEvent]) -> None:
        for event in events:
            self.state.take_event(event)
            if self.state.is_over:
                return

    async def _read_document(self) -> None:
        content = b"".join([chunk async for chunk in _bounded(self._stream.chunks)])
        try:
            document = json.loads(content.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            return
        if isinstance(document, dict):
            self.state.take_chunk(document)


async def _bounded(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Raises ``PollFailed`` for a stream of more than 1 MiB."""
    length = 0
    async for chunk in chunks:
        length += len(chunk)
        if length > LONGEST_STREAM:
            raise PollFailed("the stream is too long")
        yield chunk
