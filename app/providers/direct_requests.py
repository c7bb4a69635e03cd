"""Requests to upstreams over aiohttp's pool of connections, without aiohttp's session.

The session spends more on a request (its tasks, timers, traces, cookies, redirects and copies of headers) than all of our
work costs. The pool, TLS, proxies, the parser and the flow control stay aiohttp's; only the head is written here.
"""

import asyncio
from collections.abc import Iterable

import aiohttp
from aiohttp import hdrs
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError, RawResponseMessage
from multidict import CIMultiDictProxy
from yarl import URL

SWITCHING_PROTOCOLS = 101
HeaderLines = Iterable[tuple[bytes, bytes]]


class Destination(aiohttp.ClientRequest):
    """Where to connect to, as aiohttp's connector asks for it."""

    def __init__(self, url: URL, proxy: str | None, session: aiohttp.ClientSession) -> None:
        """``url`` may be any of its origin."""
        if url.scheme not in ("http", "https"):
            raise aiohttp.NonHttpUrlClientError(url)
        loop = asyncio.get_running_loop()
        super().__init__("POST", url, proxy=URL(proxy) if proxy else None, session=session, loop=loop)
        self._asks_proxy = self.proxy is not None and not self.is_ssl()
        self._host_line = f" HTTP/1.1\r\nHost: {self.headers[hdrs.HOST]}\r\n"
        self._key = super().connection_key

    @property
    def connection_key(self) -> ConnectionKey:
        return self._key

    def first_lines(self, method: str, url: URL) -> bytes:
        """Of a request for ``url``, which is of this origin."""
        target = str(url) if self._asks_proxy else url.raw_path_qs
        return f"{method} {target}{self._host_line}".encode()

    def whole_head(self, first_lines: bytes, headers: HeaderLines, length: int | None) -> bytes:
        """The head of a request with ``length`` bytes of body. Call it when connected: only then aiohttp has told what
        the proxy wants to know. Raises ``ValueError`` for a header that would begin another one."""
        lines = [b"%b: %b\r\n" % header for header in headers]
        if self._asks_proxy and (secret := self.headers.get(hdrs.PROXY_AUTHORIZATION)):
            lines.append(b"Proxy-Authorization: %b\r\n" % secret.encode())
        if length is not None:
            lines.append(b"Content-Length: %d\r\n" % length)
        head = b"".join([first_lines, *lines, b"\r\n"])
        ends = len(lines) + 3
        if head.count(b"\n") != ends or head.count(b"\r") != ends or b"\0" in head:
            raise ValueError("A header must be one line.")
        return head


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


async def read_head(
    protocol: aiohttp.client_proto.ResponseHandler, destination: Destination
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
