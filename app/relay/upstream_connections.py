"""One POST to an upstream over aiohttp's pool of connections, without aiohttp's session.

The session spends more on a request (its tasks, timers, traces, cookies, redirects and copies of headers) than all of our
work costs. The pool, TLS, proxies, the parser and the flow control stay aiohttp's; only the head is written here.
"""

import asyncio
import re
from collections.abc import Callable

import aiohttp
from aiohttp import hdrs
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError, RawResponseMessage
from multidict import CIMultiDictProxy
from yarl import URL

from app.media.head_limit import LimitedHandler
from app.media.small_reads import SmallReads
from app.providers.transport import NotConnected
from app.relay.request import Headers

BUFFER_BYTES = 64 * 1024
STREAM_BUFFER_BYTES = 4 * 1024
"""aiohttp stops reading at twice as much. Thousands of streams may each wait for a slow client."""
LINE_BYTES = 32 * 1024
EVENT_STREAM = "text/event-stream"
MAX_KNOWN = 4096
SWITCHING_PROTOCOLS = 101
LINE_ENDS = re.compile(rb"[\r\n\0]")


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


class Destination(aiohttp.ClientRequest):
    """Where to connect to, as aiohttp's connector asks for it, and the head of every request that goes there."""

    def __init__(self, url: URL, proxy: str | None, session: aiohttp.ClientSession) -> None:
        if url.scheme not in ("http", "https"):
            raise aiohttp.NonHttpUrlClientError(url)
        loop = asyncio.get_running_loop()
        super().__init__("POST", url, proxy=URL(proxy) if proxy else None, session=session, loop=loop)
        self._asks_proxy = self.proxy is not None and not self.is_ssl()
        target = str(self.url) if self._asks_proxy else self.url.raw_path_qs
        self._first_lines = f"POST {target} HTTP/1.1\r\nHost: {self.headers[hdrs.HOST]}\r\n".encode()
        self._key = super().connection_key

    @property
    def connection_key(self) -> ConnectionKey:
        return self._key

    def head_with(self, headers: Headers, length: int) -> bytes:
        """The head of a request with ``length`` bytes of body. Call it when connected: only then aiohttp has told what
        the proxy wants to know. Raises ``ValueError`` for a header that would begin another one."""
        lines = [self._first_lines]
        if self._asks_proxy and (secret := self.headers.get(hdrs.PROXY_AUTHORIZATION)):
            lines.append(b"Proxy-Authorization: %b\r\n" % secret.encode())
        for name, value in headers:
            if LINE_ENDS.search(value) or LINE_ENDS.search(name):
                raise ValueError("A header must be one line.")
            lines += (name, b": ", value, b"\r\n")
        lines.append(b"Content-Length: %d\r\n\r\n" % length)
        return b"".join(lines)


class UpstreamAnswer:
    """An answer whose head has come. Close it; its connection is used again when all of it has been read."""

    __slots__ = ("_connection", "content", "headers", "raw_headers", "status")

    def __init__(
        self, connection: Connection, message: RawResponseMessage, content: aiohttp.StreamReader
    ) -> None:
        self._connection: Connection | None = connection
        self.status: int = message.code
        self.headers: CIMultiDictProxy[str] = message.headers
        self.raw_headers: tuple[tuple[bytes, bytes], ...] = message.raw_headers
        self.content = content
        content.on_eof(self._release)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _release(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        transport = connection.transport
        if transport is None or transport.get_write_buffer_size():
            connection.close()  # it answered before it had read the request
        else:
            connection.release()


class UpstreamConnections:
    """Sends requests over the connections of ``session``. Raises what aiohttp's session raises, once each: nothing is sent
    again."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        assert session.connector is not None
        self._session = session
        self._connector = session.connector
        self._known: dict[tuple[URL, str | None], Destination] = {}

    async def post(
        self, destination: Destination, headers: Headers, body: bytes, *, on_sent: Callable[[], None] | None
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
            message, content = await _read_head(protocol, destination)
            if EVENT_STREAM not in message.headers.get(hdrs.CONTENT_TYPE, ""):
                content.set_read_chunk_size(BUFFER_BYTES)
            answer = UpstreamAnswer(connection, message, content)
            return answer
        finally:
            if answer is None:
                connection.close()

    def destination(self, url: URL, proxy: str | None) -> Destination:
        """Raises ``aiohttp.InvalidURL``."""
        known = self._known.get((url, proxy))
        if known is None:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            known = self._known[(url, proxy)] = Destination(url, proxy, self._session)
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


async def _read_head(
    protocol: ResponseHandler, destination: Destination
) -> tuple[RawResponseMessage, aiohttp.StreamReader]:
    """The head of the answer itself, after those of 1xx that may come before it."""
    while True:
        try:
            message, content = await protocol.read()
        except HttpProcessingError as error:
            raise aiohttp.ClientResponseError(
                destination.request_info, (), status=error.code, message=error.message
            ) from error
        if not 100 <= message.code <= 199 or message.code == SWITCHING_PROTOCOLS:
            return message, content
