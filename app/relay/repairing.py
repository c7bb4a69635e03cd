"""Forwarding for answers in another form than the client asked for: it gets the form that it can read.

All other answers pass byte for byte (``ResponseForwarder``).
"""

from collections.abc import AsyncIterator, Callable

import structlog
from starlette.types import Send

from app.errors import UpstreamFailed
from app.json_bodies import run_for_body
from app.ops.envelope import ErrorEnvelope
from app.relay.decoding import (
    BROKEN,
    BROKEN_OFF,
    EVENT_STREAM,
    first_piece,
    is_compressed,
    is_event_stream,
    plain_chunks,
    read_whole,
)
from app.relay.forwarding import ResponseForwarder
from app.relay.other_forms import FORMS
from app.relay.request import Headers
from app.relay.upstream_answer import UpstreamAnswer
from app.relay.usage_filter import UsageFilter

log = structlog.get_logger()
JSON = b"application/json"


def plain_forwarder(
    response: UpstreamAnswer,
    *,
    account_id: str,
    path: str,
    envelope: ErrorEnvelope,
    streams: bool,
    hides_usage: bool,
) -> ResponseForwarder:
    """For an answer that needs no translation. ``streams``: whether the client asked for a stream."""
    if not may_need_repair(response, path, streams=streams):
        return ResponseForwarder(
            response, account_id=account_id, path=path, envelope=envelope, hides_usage=hides_usage
        )
    return RepairingForwarder(
        response,
        account_id=account_id,
        path=path,
        envelope=envelope,
        streams=streams,
        hides_usage=hides_usage,
    )


def may_need_repair(response: UpstreamAnswer, path: str, *, streams: bool) -> bool:
    """Whether the answer is, or without a length may be, in another form than the client asked for."""
    if is_compressed(response):
        return True
    if path not in FORMS:
        return False
    typed = response.header(b"content-type").lower().startswith("text/event-stream")
    return typed != streams or (not streams and not response.header(b"content-length"))


class RepairingForwarder(ResponseForwarder):
    """``streams``: whether the client asked for a stream."""

    __slots__ = ("_forms", "_hides_usage", "_streams")

    def __init__(
        self,
        response: UpstreamAnswer,
        *,
        account_id: str,
        path: str,
        envelope: ErrorEnvelope,
        streams: bool,
        hides_usage: bool = False,
    ) -> None:
        super().__init__(
            response, account_id=account_id, path=path, envelope=envelope, hides_usage=hides_usage
        )
        self._streams = streams
        self._forms = FORMS.get(path)
        self._hides_usage = hides_usage

    async def forward(self, send: Send) -> None:
        try:
            await self._forward_repaired(send)
        finally:
            self._response.close()

    async def _forward_repaired(self, send: Send) -> None:
        """Raises ``UpstreamFailed`` while nothing has been sent."""
        chunks = plain_chunks(self._response)
        try:
            start = await first_piece(chunks)
            self.is_event_stream = is_event_stream(start, typed=self.is_event_stream)
            convert = self._conversion()
            if convert is not None:
                whole = await read_whole(chunks, start=start, note=self.usage_reader.add_chunk)
                converted = await run_for_body(len(whole), lambda: convert(whole))
                await self._send_converted(converted, send)
                return
        except BROKEN as error:
            log.warning("relay.broken", account=self._account_id, error=type(error).__name__)
            raise UpstreamFailed(BROKEN_OFF) from error
        if self.is_event_stream and self._hides_usage:
            self._filter = UsageFilter()
        kind = EVENT_STREAM if self.is_event_stream and self._forms else b""
        await self._start_response(send, kind)
        try:
            await self._copy_chunks(start, chunks, send)
        except (*BROKEN, UpstreamFailed) as error:
            log.warning("relay.broken", account=self._account_id, error=type(error).__name__)
            await self._report_broken_stream(send)

    def _conversion(self) -> Callable[[bytes], bytes] | None:
        """To the form that the client asked for; None where it comes in that."""
        if self._forms is None or self.is_event_stream == self._streams:
            return None
        if self.is_event_stream:
            return self._forms.as_whole
        as_events = self._forms.as_events
        return None if as_events is None else lambda whole: as_events(whole, self._hides_usage)

    async def _send_converted(self, body: bytes, send: Send) -> None:
        await self._start_response(send, EVENT_STREAM if self._streams else JSON, length=len(body))
        await send({"type": "http.response.body", "body": body})
        self.is_complete = True

    async def _copy_chunks(self, start: bytes, chunks: AsyncIterator[bytes], send: Send) -> None:
        await self._copy_chunk(start, send)
        async for chunk in chunks:
            await self._copy_chunk(chunk, send)
        last = b"" if self._filter is None else self._filter.close()
        await send({"type": "http.response.body", "body": last})
        self.is_complete = True

    async def _copy_chunk(self, chunk: bytes, send: Send) -> None:
        self.usage_reader.add_chunk(chunk)
        passed = chunk if self._filter is None else self._filter.feed(chunk)
        if passed:
            await send({"type": "http.response.body", "body": passed, "more_body": True})

    async def _start_response(self, send: Send, kind: bytes, *, length: int | None = None) -> None:
        dropped = {b"content-encoding"} | ({b"content-type"} if kind else set())
        if kind or is_compressed(self._response) or self._filter is not None:
            dropped.add(b"content-length")
        headers: Headers = [each for each in self.response_headers() if each[0] not in dropped]
        headers += [(b"content-type", kind)] if kind else []
        headers += [(b"content-length", b"%d" % length)] if length is not None else []
        await send({"type": "http.response.start", "status": self._response.status, "headers": headers})
