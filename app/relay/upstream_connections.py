"""The relay's POST to an upstream, sent directly over aiohttp's pool of connections."""

import asyncio
from collections.abc import Callable

import aiohttp
from aiohttp import hdrs
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from yarl import URL

from app.media.head_limit import LimitedHandler
from app.media.small_reads import SmallReads
from app.providers.direct_requests import Destination, UpstreamAnswer, read_head
from app.providers.transport import NotConnected
from app.relay.request import Headers

BUFFER_BYTES = 64 * 1024
STREAM_BUFFER_BYTES = 4 * 1024
"""aiohttp stops reading at twice as much. Thousands of streams may each wait for a slow client."""
LINE_BYTES = 32 * 1024
EVENT_STREAM = "text/event-stream"
MAX_KNOWN = 4096


class PatientHandler(LimitedHandler):
    """aiohttp's protocol, which reads in small pieces and has one timer for an answer. Its own sets a new one for each piece
    that comes."""

    _heard_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self.transport is not None
        self.transport.set_protocol(SmallReads(self))

    def _reschedule_timeout(self) -> None:
        self._heard_at = self._loop.time()
        if self._read_timeout_handle is None and self._read_timeout:
            self._read_timeout_handle = self._loop.call_later(self._read_timeout, self._on_read_timeout)

    def _on_read_timeout(self) -> None:
        left = self._heard_at + (self._read_timeout or 0.0) - self._loop.time()
        if left > 0:
            self._read_timeout_handle = self._loop.call_later(left, self._on_read_timeout)
        else:
            super()._on_read_timeout()


class RelayDestination(Destination):
    """One address, and the first lines of every request for it."""

    def __init__(self, url: URL, proxy: str | None, session: aiohttp.ClientSession) -> None:
        super().__init__(url, proxy, session)
        self._first_lines = self.first_lines("POST", self.url)

    def head_with(self, headers: Headers, length: int) -> bytes:
        return self.whole_head(self._first_lines, headers, length)


class UpstreamConnections:
    """Sends requests over the connections of ``session``. Raises what aiohttp's session raises, once each: nothing is sent
    again."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        assert session.connector is not None
        self._session = session
        self._connector = session.connector
        self._known: dict[tuple[URL, str | None], RelayDestination] = {}

    async def post(
        self,
        destination: RelayDestination,
        headers: Headers,
        body: bytes,
        *,
        on_sent: Callable[[], None] | None,
    ) -> UpstreamAnswer:
        """The answer, with its body still to be read. ``on_sent`` is called when the first byte leaves."""
        connection = await self._connector.connect(destination, [], self._session.timeout)
        answer = None
        try:
            protocol = self._prepare_protocol(connection)
            head, transport = destination.head_with(headers, len(body)), protocol.transport
            if transport is None or transport.is_closing():
                raise NotConnected("the connection ended before anything was sent")
            if on_sent is not None:
                on_sent()
            transport.writelines((head, body))
            protocol.start_timeout()
            message, content = await read_head(protocol, destination)
            if EVENT_STREAM not in message.headers.get(hdrs.CONTENT_TYPE, ""):
                content.set_read_chunk_size(BUFFER_BYTES)
            answer = UpstreamAnswer(connection, message, content)
            return answer
        finally:
            if answer is None:
                connection.close()

    def destination(self, url: URL, proxy: str | None) -> RelayDestination:
        """Raises ``aiohttp.InvalidURL``."""
        known = self._known.get((url, proxy))
        if known is None:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            known = self._known[(url, proxy)] = RelayDestination(url, proxy, self._session)
        return known

    def _prepare_protocol(self, connection: Connection) -> ResponseHandler:
        protocol = connection.protocol
        assert protocol is not None
        protocol.set_response_params(
            read_until_eof=True,
            auto_decompress=False,
            read_timeout=self._session.timeout.sock_read,
            read_bufsize=STREAM_BUFFER_BYTES,
            max_line_size=LINE_BYTES,
            max_field_size=LINE_BYTES,
        )
        return protocol
