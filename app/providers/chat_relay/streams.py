"""A video as a streamed chat completion: what its chunks say, and the streams that this process keeps open."""

import asyncio
import html
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

from app.errors import PollFailed, UpstreamFailed
from app.foreign import clean_text, parse_json
from app.providers.event_stream import EventStreamReader, StreamEvent
from app.providers.http_messages import OpenStream
from app.providers.reading import ErrorDetail, read_error

# Bytes of one stream that are read: pictures may come in the answer itself.
LONGEST_STREAM, LONGEST_WITH_PICTURES = 1024 * 1024, 16 * 1024 * 1024
LONGEST_LINK = 4000  # characters; Python refuses a character reference (``&#…;``) of more digits
PERCENT = re.compile(r"(\d{1,3}(?:\.\d+)?)\s*[%％]")
QUEUED_WORDS = ("队列", "排队", "queue")
# Each of these consumes what it fails on, as an upstream may send a megabyte of beginnings without an end.
PLAYER = re.compile(r"<(?:video|source|audio)|>|src=[\"'](https?://[^\"']+)")
NAMED_LINK = re.compile(r"\]\((https?://[^)\s]+)(\)?)")
PICTURE = re.compile(r"\((data:image/[\w.+-]{1,40};base64,[A-Za-z0-9+/=]++)\)", re.ASCII)
BARE_LINK = re.compile(r"(https?://[^\s\"'<>()\[\]，。！]+)")


def links_in(text: str) -> list[str]:
    """Addresses of the most trusted kind that occurs: of a player, of a picture or named link, bare."""
    if pictures := PICTURE.findall(text):
        return pictures
    named = [found[1] for found in NAMED_LINK.finditer(text) if found[2]]
    links = _player_links(text) or named or BARE_LINK.findall(text)
    return [html.unescape(link) for link in links if len(link) <= LONGEST_LINK]


def _player_links(text: str) -> list[str]:
    found, inside = [], False
    for token in PLAYER.finditer(text):
        if token[1] and inside:
            found.append(token[1])
        inside = not token[1] and token[0] != ">"
    return found


@dataclass
class StreamState:
    """What has been received so far. ``ended``: the upstream closed the stream properly; ``broken``: why it ended
    before."""

    id: str = ""
    pieces: list[str] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    """``data:`` URIs and links that stand beside the text, as OpenRouter and Gemini's gateways send them."""
    last_text: str = ""
    progress: float | None = None
    usage: dict[str, Any] = field(default_factory=dict)
    error: ErrorDetail | None = None
    ended: bool = False
    broken: str = ""

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def has_begun(self) -> bool:
        return bool(self.id or self.pieces or self.last_text or self.pictures)

    @property
    def is_over(self) -> bool:
        return self.ended or bool(self.broken) or self.error is not None

    @property
    def is_queued(self) -> bool:
        return self.progress is None and any(word in self.last_text.lower() for word in QUEUED_WORDS)

    def file_urls(self) -> list[str]:
        """Addresses of the most trusted kind that occurs, in order, each once."""
        return list(dict.fromkeys(self.pictures or links_in(self.text)))

    def take_event(self, event: StreamEvent) -> None:
        if event.kind == "done":
            self.ended = True
        elif event.kind == "data":
            self.take_chunk(event.data)

    def take_chunk(self, chunk: dict[str, Any]) -> None:
        """One chunk, or a whole completion."""
        if chunk.get("error"):
            self.error = read_error(chunk) or ErrorDetail(clean_text(chunk["error"]))
            return
        self.id = self.id or clean_text(chunk.get("id") or "", LONGEST_LINK)
        if isinstance(chunk.get("usage"), dict):
            self.usage = chunk["usage"]
        choices = chunk.get("choices")
        if isinstance(choices, list) and choices and isinstance(choices[0], dict):
            self._take_choice(choices[0])

    def _take_choice(self, choice: dict[str, Any]) -> None:
        message = choice.get("delta") or choice.get("message")
        if isinstance(message, dict):
            self._read_text(message.get("reasoning_content"))
            if text := self._read_text(message.get("content")):
                self.pieces.append(text)
            self.pictures += _pictures_of(message)
        self.ended = self.ended or bool(choice.get("finish_reason"))

    def _read_text(self, text: Any) -> str:
        """``text`` if it is any, after its progress has been read. Gateways report progress in the answer's text or
        as if it were the model's reasoning."""
        if not isinstance(text, str) or not text:
            return ""
        self.last_text = text.strip() or self.last_text
        if percents := PERCENT.findall(text):
            self.progress = max(self.progress or 0.0, min(float(percents[-1]), 100.0))
        return text


def _pictures_of(message: dict[str, Any]) -> list[str]:
    """``images: [{"type": "image_url", "image_url": {"url": …}}]``: https://openrouter.ai/docs/guides/overview/multimodal/image-generation"""
    images = message.get("images")
    found: list[str] = []
    for image in images if isinstance(images, list) else ():
        place = image.get("image_url") if isinstance(image, dict) else None
        link = place.get("url") if isinstance(place, dict) else place
        if isinstance(link, str) and link.startswith(("https://", "http://", "data:image/")):
            found.append(link)
    return found


class HeldStream:
    """Reads one stream to its end in the background, ``longest`` bytes at most."""

    def __init__(self, stream: OpenStream, *, longest: int = LONGEST_STREAM) -> None:
        self.state = StreamState()
        self._longest = longest
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
        async for chunk in _bounded(self._stream.chunks, self._longest):
            self._take_events(reader.feed(chunk))
            if self.state.is_over:
                return  # its end is the news
            if self.state.has_begun:
                self._news.set()
        self._take_events(reader.close())

    def _take_events(self, events: Iterator[StreamEvent]) -> None:
        for event in events:
            self.state.take_event(event)
            if self.state.is_over:
                return

    async def _read_document(self) -> None:
        content = b"".join([chunk async for chunk in _bounded(self._stream.chunks, self._longest)])
        document = await asyncio.to_thread(parse_json, content)
        if isinstance(document, dict):
            self.state.take_chunk(document)


async def _bounded(chunks: AsyncIterator[bytes], longest: int) -> AsyncIterator[bytes]:
    """Raises ``PollFailed`` for a stream of more than ``longest`` bytes."""
    length = 0
    async for chunk in chunks:
        length += len(chunk)
        if length > longest:
            raise PollFailed("the stream is too long")
        yield chunk
