"""How the requests of all providers reach the network: one pool of connections, aiohttp's.

What decides whether a paid submission may be sent again is where it failed, not how. Everything that fails before a
connection stands is ``NotConnected``: nothing was sent. Everything after that leaves open what the upstream has read.
"""

import re
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import aiohttp
from aiohttp import hdrs
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDict
from yarl import URL

from app.errors import OutboundRefused
from app.providers.direct_requests import Destination, UpstreamAnswer, read_head

CONNECTION_BROKEN = (aiohttp.ClientError, HttpProcessingError, OSError)
"""What an open connection may raise: closed, reset, silent (``TimeoutError`` is an ``OSError``), or no HTTP."""
LONGEST_FIELD = 32 * 1024
MOST_FIELDS = 512
READ_BYTES = 64 * 1024
DIRECT_BYTES = 64 * 1024
"""A longer body is sent through aiohttp's session, which waits until it is written before it waits for an answer."""
MOST_KNOWN = 4096
# Control characters would end a header; half a surrogate pair can't be encoded.
UNSENDABLE = re.compile("[\0-\x08\n-\x1f\x7f\ud800-\udfff]")
# aiohttp adds these by itself; only what the caller says is sent.
NOT_ADDED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")

JudgeForeign = Callable[[str, int], Awaitable[None]]
"""Raises ``OutboundRefused`` for a host and a port that no proxy may be asked for."""


class NotConnected(aiohttp.ClientConnectionError):
    """No connection was made, so nothing was sent. Its cause says why."""


class PoolExhausted(NotConnected):
    """No connection of ours became free in time."""


@dataclass(slots=True)
class OutgoingRequest:
    """One request, ready to be sent."""

    method: str
    url: URL
    headers: CIMultiDict[str]
    connect_seconds: float
    """To connect, and again to wait for a free connection."""
    read_seconds: float
    """The upstream may be silent so long."""
    content: bytes | AsyncIterable[bytes] | None = None
    is_foreign: bool = False
    """Its address came from a peer: the outbound guard judges it before a proxy is asked for it."""


@dataclass(slots=True)
class OpenAnswer:
    """An answer whose body is still to be read. Whoever opened it closes it."""

    status: int
    headers: Mapping[str, str]
    """Names are looked up without regard to case."""
    read_some: Callable[[], Awaitable[bytes]]
    """The next bytes of the body, empty at its end. Raises one of ``CONNECTION_BROKEN``."""
    close: Callable[[], None]


class OriginDestination(Destination):
    """One origin of an upstream."""

    def whole_request(self, request: OutgoingRequest, content: bytes | None) -> bytes:
        headers = [(name.encode(), value.encode()) for name, value in request.headers.items()]
        # RFC 9110, 8.6: a method that is expected to have a body states that there is none.
        states_length = hdrs.CONTENT_LENGTH not in request.headers and (
            content is not None or request.method != "GET"
        )
        length = len(content or b"") if states_length else None
        return self.whole_head(self.first_lines(request.method, request.url), headers, length) + (
            content or b""
        )


class UpstreamTransport:
    """Sends requests over the connections of ``connector``, which is closed with it."""

    def __init__(
        self, connector: aiohttp.BaseConnector, *, judge_foreign: JudgeForeign | None = None
    ) -> None:
        self._judge_foreign = judge_foreign
        self._proxy: str | None = None
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=NOT_ADDED,
            read_bufsize=READ_BYTES,
            max_line_size=LONGEST_FIELD,
            max_field_size=LONGEST_FIELD,
            max_headers=MOST_FIELDS,
        )
        self._connector = connector
        self._known: dict[tuple[str, str, str | None], OriginDestination] = {}
        # A request is sent once: aiohttp would repeat a GET or DELETE whose connection breaks, and has no option for it.
        self._session._retry_connection = False

    def via_proxy(self, proxy: str | None) -> "UpstreamTransport":
        """The same connections' pool, through an HTTP proxy. It is not closed by itself."""
        if proxy is None:
            return self
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._proxy = proxy
        return other

    async def open(self, request: OutgoingRequest) -> OpenAnswer:
        """Send ``request`` and wait for the head of its answer; redirects are answers.

        Raises ``NotConnected`` when nothing was sent, else one of ``CONNECTION_BROKEN``.
        """
        _require_sendable(request)
        if request.is_foreign and self._proxy is not None and self._judge_foreign is not None:
            try:
                await self._judge_foreign(request.url.raw_host or "", request.url.port or 0)
            except OutboundRefused as refusal:
                raise NotConnected(refusal.message) from refusal
        if request.content is None or (
            isinstance(request.content, bytes) and len(request.content) <= DIRECT_BYTES
        ):
            return await self._send_directly(request, request.content)
        response = await self._session.request(
            request.method,
            request.url,
            headers=request.headers,
            data=request.content,
            allow_redirects=False,
            timeout=_timeout_of(request.connect_seconds, request.read_seconds),
            proxy=self._proxy,
        )
        return OpenAnswer(response.status, response.headers, response.content.readany, response.close)

    async def _send_directly(self, request: OutgoingRequest, content: bytes | None) -> OpenAnswer:
        """``open`` for what is written at once."""
        timeout = _timeout_of(request.connect_seconds, request.read_seconds)
        destination = self._destination(request.url)
        connection = await self._connector.connect(destination, [], timeout)
        answer = None
        try:
            protocol = connection.protocol
            assert protocol is not None
            transport = protocol.transport
            if transport is None or transport.is_closing():
                raise NotConnected("the connection ended before anything was sent")
            protocol.set_response_params(
                read_until_eof=True,
                read_timeout=timeout.sock_read,
                read_bufsize=READ_BYTES,
                max_line_size=LONGEST_FIELD,
                max_field_size=LONGEST_FIELD,
                max_headers=MOST_FIELDS,
            )
            transport.write(destination.whole_request(request, content))
            protocol.start_timeout()
            answer = UpstreamAnswer(connection, *await read_head(protocol, destination))
        finally:
            if answer is None:
                connection.close()
        return OpenAnswer(answer.status, answer.headers, answer.content.readany, answer.close)

    def _destination(self, url: URL) -> "OriginDestination":
        key = (url.scheme, url.raw_authority, self._proxy)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            try:
                known = OriginDestination(url.origin(), self._proxy, self._session)
            except ValueError as error:
                raise NotConnected("an address that can't be read") from error
            self._known[key] = known
        return known

    async def aclose(self) -> None:
        await self._session.close()

    async def __aenter__(self) -> "UpstreamTransport":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def _require_sendable(request: OutgoingRequest) -> None:
    """Raises ``NotConnected`` for what aiohttp would refuse only when a connection stands."""
    url = request.url
    if url.scheme not in {"http", "https"} or not url.raw_host:
        raise NotConnected("an address that is no web address")
    if UNSENDABLE.search("".join((*request.headers, *request.headers.values()))):
        raise NotConnected("a header that HTTP can't hold")


@lru_cache(maxsize=64)
def _timeout_of(connect: float, read: float) -> aiohttp.ClientTimeout:
    # aiohttp rounds longer times up to whole seconds, which would let the wait for a connection outlast the whole call.
    return aiohttp.ClientTimeout(
        total=None, connect=2 * connect, sock_connect=connect, sock_read=read, ceil_threshold=1e9
    )
