"""Forwarding for an upstream that speaks another API than the client: its answers are translated on the way."""

from collections.abc import AsyncIterator
from typing import Any, Protocol

import structlog
from starlette.types import Send

from app.errors import UpstreamError, UpstreamFailed
from app.foreign import parse_json, write_json
from app.ops.envelope import ErrorEnvelope
from app.providers.event_stream import EventStreamReader, StreamEvent
from app.relay.chat_chunks import START_BYTES, CompletionReader, looks_like_events, objects_in
from app.relay.decoding import (
    BROKEN,
    BROKEN_OFF,
    EVENT_STREAM,
    UNREADABLE,
    first_piece,
    is_event_stream,
    plain_chunks,
    read_whole,
)
from app.relay.forwarding import ResponseForwarder
from app.relay.request import Headers, RelayRequest
from app.relay.upstream import UpstreamRefusal
from app.relay.upstream_answer import UpstreamAnswer

log = structlog.get_logger()
REPLACED_HEADERS = frozenset({b"content-length", b"content-type", b"content-encoding"})


class EventTranslator(Protocol):
    """Translates one streamed answer: each upstream event becomes any number of client events, as bytes."""

    def opening_events(self) -> bytes: ...

    def translate_event(self, event: dict[str, Any]) -> bytes: ...

    def keep_alive(self) -> bytes: ...

    def note_end(self) -> None:
        """The upstream has said that this was all."""
        ...

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
        response: UpstreamAnswer,
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
        answer = await self._read_answer(plain_chunks(self._response))
        body = write_json(self._translation.translated_answer(answer))
        await self._start_response(send, b"application/json", length=len(body))
        await send({"type": "http.response.body", "body": body})
        self.is_complete = True

    async def _send_stream(self, send: Send) -> None:
        events = self._translation.event_translator()
        chunks, start = plain_chunks(self._response), b""
        if not self.is_event_stream:  # what is typed as one is sent on at once
            start = await self._read_start(chunks)
            self.is_event_stream = is_event_stream(start, typed=False)
        if not self.is_event_stream:
            await self._send_answer_as_stream(send, events, start=start, chunks=chunks)
            return
        await self._start_response(send, EVENT_STREAM)
        await send({"type": "http.response.body", "body": events.opening_events(), "more_body": True})
        try:
            async for translated in self._translated_events(events, start, chunks):
                await send({"type": "http.response.body", "body": translated, "more_body": True})
            last = events.closing_events()
            if last is None:
                raise UpstreamFailed(BROKEN_OFF)
            await send({"type": "http.response.body", "body": last})
            self.is_complete = True
        except (*BROKEN, UpstreamError) as error:
            log.warning("relay.broken", account=self._account_id, error=type(error).__name__)
            failure = error if isinstance(error, UpstreamError) else UpstreamFailed(BROKEN_OFF)
            await send({"type": "http.response.body", "body": self._envelope.error_event(failure)})

    async def _send_answer_as_stream(
        self, send: Send, events: EventTranslator, *, start: bytes, chunks: AsyncIterator[bytes]
    ) -> None:
        """For a client that wants a stream, from an upstream that does not stream."""
        answer = await self._read_answer(chunks, start=start)
        choices = [{**choice, "delta": choice.get("message")} for choice in objects_in(answer.get("choices"))]
        if not choices:
            raise UpstreamFailed(UNREADABLE)
        translated = events.translate_event({**answer, "choices": choices})
        events.note_end()
        last = events.closing_events()
        if last is None:
            raise UpstreamFailed(UNREADABLE)
        await self._start_response(send, EVENT_STREAM)
        await send({"type": "http.response.body", "body": events.opening_events() + translated + last})
        self.is_complete = True

    async def _translated_events(
        self, events: EventTranslator, start: bytes, chunks: AsyncIterator[bytes]
    ) -> AsyncIterator[bytes]:
        """The client's events after each chunk from the upstream, where there are any."""
        reader = EventStreamReader()
        async for piece in _chained(start, chunks):
            self.usage_reader.add_chunk(piece)
            translated = b"".join(_translate(events, event) for event in reader.feed(piece))
            if translated:
                yield translated
        last = b"".join(_translate(events, event) for event in reader.close())
        if last:
            yield last

    async def _read_start(self, chunks: AsyncIterator[bytes]) -> bytes:
        try:
            return await first_piece(chunks)
        except BROKEN as error:
            log.warning("relay.broken", account=self._account_id, error=type(error).__name__)
            raise UpstreamFailed(BROKEN_OFF) from error

    async def _read_answer(self, chunks: AsyncIterator[bytes], *, start: bytes = b"") -> dict[str, Any]:
        """The whole answer, also where it comes as events although nobody asked for a stream. Raises ``UpstreamFailed``,
        which is not retried: the answer was made and billed."""
        try:
            whole = await read_whole(chunks, start=start, note=self.usage_reader.add_chunk)
        except BROKEN as error:
            log.warning("relay.broken", account=self._account_id, error=type(error).__name__)
            raise UpstreamFailed(BROKEN_OFF) from error
        if looks_like_events(whole[:START_BYTES]):
            self.is_event_stream = True
            return CompletionReader().read_stream(whole)
        answer = parse_json(whole)
        if not isinstance(answer, dict):
            raise UpstreamFailed(UNREADABLE)
        return answer

    async def _start_response(self, send: Send, kind: bytes, *, length: int | None = None) -> None:
        headers: Headers = [(n, v) for n, v in self.response_headers() if n not in REPLACED_HEADERS]
        headers.append((b"content-type", kind))
        if length is not None:
            headers.append((b"content-length", b"%d" % length))
        await send({"type": "http.response.start", "status": 200, "headers": headers})


async def _chained(start: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if start:
        yield start
    async for chunk in chunks:
        yield chunk


def _translate(events: EventTranslator, event: StreamEvent) -> bytes:
    if event.kind == "unreadable":
        raise UpstreamFailed(UNREADABLE)
    if event.kind == "comment":
        return events.keep_alive()
    if event.kind == "done":
        events.note_end()
    return events.translate_event(event.data) if event.kind == "data" else b""
