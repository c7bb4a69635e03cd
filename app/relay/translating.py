"""Forwarding for an upstream that speaks another API than the client: its answers are translated on the way."""

import json
from collections.abc import AsyncIterator
from typing import Any, Protocol

import aiohttp
import structlog
from starlette.types import Send

from app.errors import UpstreamError, UpstreamFailed
from app.ops.envelope import ErrorEnvelope
from app.providers.event_stream import EventStreamReader, StreamEvent
from app.relay.forwarding import ResponseForwarder
from app.relay.request import Headers, RelayRequest
from app.relay.upstream import UpstreamRefusal

log = structlog.get_logger()
MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""Of an answer that is no stream."""
BROKEN_OFF = "The upstream broke off its answer."
UNREADABLE = "The upstream's answer can't be read."
EVENT_STREAM = b"text/event-stream; charset=utf-8"
REPLACED_HEADERS = frozenset({b"content-length", b"content-type", b"content-encoding"})


class EventTranslator(Protocol):
    """Translates one streamed answer: each upstream event becomes any number of client events, as bytes."""

    def opening_events(self) -> bytes: ...

    def translate_event(self, event: dict[str, Any]) -> bytes: ...

    def keep_alive(self) -> bytes: ...

    def closing_events(self) -> bytes | None:
        """The last events; None when the upstream has not said that its answer is complete."""
        ...


class CallTranslation(Protocol):
    """One call in the words of another API. ``streams``: whether the client asked for a stream."""

    streams: bool

    def translated_request(self, model: str, *, limit_name: str) -> RelayRequest:
        """Raises ``InvalidRequest`` for what the other API can't express."""
        ...

    def translated_answer(self, answer: dict[str, Any]) -> dict[str, Any]: ...

    def event_translator(self) -> EventTranslator: ...

    def translated_refusal(self, refusal: UpstreamRefusal) -> UpstreamRefusal: ...


class TranslatingForwarder(ResponseForwarder):
    """Forwards an answer and translates it."""

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
            async for translated in self._translated_events(events):
                await send({"type": "http.response.body", "body": translated, "more_body": True})
            last = events.closing_events()
            if last is None:
                raise UpstreamFailed(BROKEN_OFF)
            await send({"type": "http.response.body", "body": last})
            self.is_complete = True
        except (aiohttp.ClientError, OSError, TimeoutError, UpstreamError) as error:
            log.warning("relay.broken", account=self._account_id, error=type(error).__name__)
            failure = error if isinstance(error, UpstreamError) else UpstreamFailed(BROKEN_OFF)
            await send({"type": "http.response.body", "body": self._envelope.error_event(failure)})

    async def _send_answer_as_stream(self, send: Send, events: EventTranslator) -> None:
        """For a client that wants a stream, from an upstream that does not stream."""
        answer = await self._read_answer()
        choices = [choice for choice in answer.get("choices") or () if isinstance(choice, dict)]
        translated = events.translate_event(
            {**answer, "choices": [{**c, "delta": c.get("message")} for c in choices]}
        )
        last = events.closing_events()
        if last is None:
            raise UpstreamFailed(UNREADABLE)
        await self._start_response(send, EVENT_STREAM)
        await send({"type": "http.response.body", "body": events.opening_events() + translated + last})
        self.is_complete = True

    async def _translated_events(self, events: EventTranslator) -> AsyncIterator[bytes]:
        """The client's events after each chunk from the upstream, where there are any."""
        reader = EventStreamReader()
        content = self._response.content
        while not content.at_eof():
            piece = await content.readany()
            self.usage_reader.add_chunk(piece)
            translated = b"".join(_translate(events, event) for event in reader.feed(piece))
            if translated:
                yield translated

    async def _read_answer(self) -> dict[str, Any]:
        """The JSON answer. Raises ``UpstreamFailed``, which is not retried: the answer was made and billed."""
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
            raise UpstreamFailed(UNREADABLE) from error
        if not isinstance(answer, dict):
            raise UpstreamFailed(UNREADABLE)
        return answer

    async def _start_response(self, send: Send, kind: bytes, *, length: int | None = None) -> None:
        headers: Headers = [(n, v) for n, v in self.response_headers() if n not in REPLACED_HEADERS]
        headers.append((b"content-type", kind))
        if length is not None:
            headers.append((b"content-length", b"%d" % length))
        await send({"type": "http.response.start", "status": 200, "headers": headers})


def _translate(events: EventTranslator, event: StreamEvent) -> bytes:
    if event.kind == "unreadable":
        raise UpstreamFailed(UNREADABLE)
    if event.kind == "comment":
        return events.keep_alive()
    return events.translate_event(event.data) if event.kind == "data" else b""
