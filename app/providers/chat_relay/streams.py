"""A video told as a streamed chat completion: what its lines say, and the streams this process holds open."""

import asyncio
import codecs
import html
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from app.errors import PollFailed
from app.providers.http_messages import OpenStream
from app.providers.reading import ErrorDetail, read_error

LONGEST_STORY = 1024 * 1024
"""Characters of one stream that are read."""
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
    """What was told so far. ``ended``: the upstream closed it properly; ``broken``: it fell silent before."""

    id: str = ""
    said: str = ""
    last: str = ""
    progress: float | None = None
    usage: dict[str, Any] = field(default_factory=dict)
    complaint: ErrorDetail | None = None
    ended: bool = False
    broken: str = ""

    @property
    def has_begun(self) -> bool:
        return bool(self.id or self.said or self.last)

    @property
    def is_over(self) -> bool:
        return self.ended or bool(self.broken) or self.complaint is not None

    @property
    def is_queued(self) -> bool:
        return self.progress is None and any(word in self.last.lower() for word in QUEUED_WORDS)

    def file_urls(self) -> list[str]:
        """Addresses of the kind most to be trusted that occurs, in order, each once."""
        for pattern in LINKS:
            found = [html.unescape(link) for link in pattern.findall(self.said)]
            if found:
                return list(dict.fromkeys(found))
        return []

    def take_line(self, line: str) -> None:
        """One line of the event stream."""
        if not line.startswith("data:"):
            return
        text = line[5:].strip()
        if text == "[DONE]":
            self.ended = True
            return
        try:
            event = json.loads(text)
        except (ValueError, RecursionError):
            return
        if isinstance(event, dict):
            self.take_event(event)

    def take_event(self, event: dict[str, Any]) -> None:
        """One chunk, or a whole completion."""
        if event.get("error"):
            self.complaint = read_error(event) or ErrorDetail(str(event["error"]))
            return
        self.id = self.id or str(event.get("id") or "")
        if isinstance(event.get("usage"), dict):
            self.usage = event["usage"]
        choices = event.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if isinstance(choice, dict):
            self._take_choice(choice)

    def _take_choice(self, choice: dict[str, Any]) -> None:
        told = choice.get("delta") or choice.get("message")
        if isinstance(told, dict):
            self._read_text(told.get("reasoning_content"))
            self.said += self._read_text(told.get("content"))
        self.ended = self.ended or bool(choice.get("finish_reason"))

    def _read_text(self, text: Any) -> str:
        """Progress may stand in the answer or in what the upstream passes off as thinking."""
        if not isinstance(text, str) or not text:
            return ""
        self.last = text.strip() or self.last
        percents = PERCENT.findall(text)
        if percents:
            self.progress = max(self.progress or 0.0, min(float(percents[-1]), 100.0))
        return text


class HeldStream:
    """Reads one stream to its end in the background."""

    def __init__(self, stream: OpenStream) -> None:
        self.story = StreamState()
        self._stream = stream
        self._news = asyncio.Event()
        self._reading = asyncio.create_task(self._read_stream())

    async def wait_until_begun(self, *, within: float) -> None:
        """Returns when something was said or the stream is over, after ``within`` seconds at the latest."""
        try:
            async with asyncio.timeout(within):
                await self._news.wait()
        except TimeoutError:
            return  # it has begun to answer, so it has the request; it may be slow to speak

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def _read_stream(self) -> None:
        story = self.story
        try:
            if self._stream.headers.get("content-type", "").lower().startswith("text/event-stream"):
                await self._read_events()
            else:
                await self._read_whole()
            if not story.is_over:
                story.broken = "the stream ended before its last word"
        except PollFailed as error:
            story.broken = error.message
        finally:
            story.broken = story.broken or ("" if story.is_over else "the stream was given up")
            self._news.set()
            await self._stream.close()

    async def _read_events(self) -> None:
        async for line in _text_lines(self._stream.chunks):
            self.story.take_line(line)
            if self.story.has_begun or self.story.is_over:
                self._news.set()
            if self.story.is_over:
                return

    async def _read_whole(self) -> None:
        text = "".join([line + "\n" async for line in _text_lines(self._stream.chunks)])
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            return
        if isinstance(document, dict):
            self.story.take_event(document)


async def _text_lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """Raises ``PollFailed`` for a stream that is longer than any story."""
    decoder, rest, length = codecs.getincrementaldecoder("utf-8")("replace"), "", 0
    async for chunk in chunks:
        length += len(chunk)
        if length > LONGEST_STORY:
            raise PollFailed("the stream is too long")
        *lines, rest = (rest + decoder.decode(chunk)).split("\n")
        for line in lines:
            yield line
    if rest:
        yield rest
