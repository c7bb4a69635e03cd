"""Answers of an upstream that speaks another API than its client: read, put into the client's words, sent on."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, Protocol

import aiohttp
import structlog
from starlette.types import Send

from app.errors import UpstreamError, UpstreamFailed
from app.ops.envelope import ErrorEnvelope
from app.relay.forwarding import ResponseForwarder
from app.relay.request import Headers, RelayRequest
from app.relay.upstream import UpstreamRefusal

log = structlog.get_logger()
MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""Of a whole answer."""
MAX_LINE_BYTES = 8 * 1024 * 1024
BROKEN_OFF = "The upstream broke off its answer."
EVENT_STREAM = b"text/event-stream; charset=utf-8"
REPLACED_HEADERS = frozenset({b"content-length", b"content-type", b"content-encoding"})


class EventTranslator(Protocol):
    """One streamed answer: each event of the upstream's becomes any number of the client's."""

    def opening_events(self) -> bytes: ...

    def translate_event(self, event: dict[str, Any]) -> bytes: ...

    def keep_alive(self) -> bytes: ...

    def closing_events(self) -> bytes | None:
        """None when the upstream has not said that it was done."""
        ...


class CallTranslation(Protocol):
    """One call, said in the words of another API. ``streams`` says what the client asked for."""

    streams: bool

    def translated_request(self, model: str, *, limit_name: str) -> RelayRequest:
        """Raises ``InvalidRequest`` for what can't be said."""
        ...

    def translated_answer(self, answer: dict[str, Any]) -> dict[str, Any]: ...

    def event_translator(self) -> EventTranslator: ...

    def translated_refusal(self, refusal: UpstreamRefusal) -> UpstreamRefusal: ...


class TranslatingForwarder(ResponseForwarder):
    """An answer that is translated on its way."""

    __slots__ = ("_translation",)

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        *,
        account_id: str,
        path: str,
        envelope: ErrorEnvelope,
        translation: CallTranslation,
    ) -> None:
        super().__init__(response, account_id=account_id, path=path, envelope=envelope)
        self._translation = translation

    async def forward(self, send: Send) -> None:
        try:
            if self._translation.streams:
                await self._send_stream(send)
            else:
                await self._send_answer(send)
        finally:
            self._response.close()

    async def _send_answer(self, send: Send) -> None:
        """Raises ``UpstreamFailed`` while nothing has been sent."""
        answer = await self._read_answer()
        body = json.dumps(self._translation.translated_answer(answer), ensure_ascii=False).encode()
        await self._start_response(send, b"application/json", length=len(body))
        await send({"type": "http.response.body", "body": body})
        self.is_complete = True

    async def _send_stream(self, send: Send) -> None:
        events = self._translation.event_translator()
        if not self.is_event_stream:
            await self._send_answer_as_stream(send, events)
            return
        await self._start_response(send, EVENT_STREAM)
        await send({"type": "http.response.body", "body": events.opening_events(), "more_body": True})
        try:
            async for said in self._translated_events(events):
                await send({"type": "http.response.body", "body": said, "more_body": True})
            last = events.closing_events()
            if last is None:
                raise UpstreamFailed(BROKEN_OFF)
            await send({"type": "http.response.body", "body": last})
            self.is_complete = True
        except (aiohttp.ClientError, OSError, TimeoutError, UpstreamError) as error:
            log.warning("relay.broken", account=self._account_id, error=type(error).__name__)
            news = error if isinstance(error, UpstreamError) else UpstreamFailed(BROKEN_OFF)
            await send({"type": "http.response.body", "body": self._envelope.error_event(news)})

    async def _send_answer_as_stream(self, send: Send, events: EventTranslator) -> None:
        """For a client that wants a stream, from an upstream that can't."""
        answer = await self._read_answer()
        choices = [choice for choice in answer.get("choices") or () if isinstance(choice, dict)]
        said = events.translate_event(
            {**answer, "choices": [{**c, "delta": c.get("message")} for c in choices]}
        )
        last = events.closing_events()
        if last is None:
            raise UpstreamFailed("The upstream's answer can't be read.")
        await self._start_response(send, EVENT_STREAM)
        await send({"type": "http.response.body", "body": events.opening_events() + said + last})
        self.is_complete = True

    async def _translated_events(self, events: EventTranslator) -> AsyncIterator[bytes]:
        """What can be said after each piece that came, if anything."""
        lines = LineSplitter()
        content = self._response.content
        while not content.at_eof():
            piece = await content.readany()
            self.usage_reader.add_chunk(piece)
            said = b"".join(_translate_line(events, line) for line in lines.feed_lines(piece))
            if said:
                yield said

    async def _read_answer(self) -> dict[str, Any]:
        """Raises ``UpstreamFailed``: an answer that can't be read was made and billed, so nobody repeats it."""
        pieces: list[bytes] = []
        size = 0
        content = self._response.content
        try:
            while not content.at_eof() and size < MAX_ANSWER_BYTES:
                pieces.append(await content.readany())
                self.usage_reader.add_chunk(pieces[-1])
                size += len(pieces[-1])
            answer = json.loads(b"".join(pieces))
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            log.warning("relay.broken", account=self._account_id, error=type(error).__name__)
            raise UpstreamFailed(BROKEN_OFF) from error
        except (ValueError, RecursionError) as error:
            raise UpstreamFailed("The upstream's answer can't be read.") from error
        if not isinstance(answer, dict):
            raise UpstreamFailed("The upstream's answer can't be read.")
        return answer

    async def _start_response(self, send: Send, kind: bytes, *, length: int | None = None) -> None:
        headers: Headers = [(n, v) for n, v in self.response_headers() if n not in REPLACED_HEADERS]
        headers.append((b"content-type", kind))
        if length is not None:
            headers.append((b"content-length", b"%d" % length))
        await send({"type": "http.response.start", "status": 200, "headers": headers})


class LineSplitter:
    """Cuts a stream into lines, whatever pieces it comes in."""

    def __init__(self) -> None:
        self._rest = b""

    def feed_lines(self, piece: bytes) -> Iterator[bytes]:
        """Raises ``UpstreamFailed`` for a line without end."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > MAX_LINE_BYTES:
            raise UpstreamFailed("The upstream's answer has too long a line.")
        for line in lines:
            yield line.rstrip(b"\r")


def _translate_line(events: EventTranslator, line: bytes) -> bytes:
    if line.startswith(b":"):
        return events.keep_alive()
    if not line.startswith(b"data:"):
        return b""
    data = line[5:].strip()
    if data == b"[DONE]":
        return b""
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        raise UpstreamFailed("The upstream's answer can't be read.") from None
    return events.translate_event(event) if isinstance(event, dict) else b""
