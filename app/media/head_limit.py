"""How many bytes of an answer's head are read. The parser bounds one head, but not how many interim ones come first:
each costs time to parse, and a flood of them keeps the event loop busy for as long as an attempt may take."""

import select
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import aiohttp
import httpcore2
from aiohttp.client_proto import ResponseHandler

MOST_HEAD_BYTES = 256 * 1024
"""Of all heads of one answer, and what comes of its body with the last. The parser allows 100 KB for one."""
_left: ContextVar[list[int] | None] = ContextVar("head_bytes_left", default=None)


@contextmanager
def head_limit() -> Iterator[None]:
    """Around what ends when the head of an answer has been read."""
    token = _left.set([MOST_HEAD_BYTES])
    try:
        yield
    finally:
        _left.reset(token)


class LimitedStream(httpcore2.AsyncNetworkStream):
    """A connection that is given up when more is read within ``head_limit``."""

    def __init__(self, inner: httpcore2.AsyncNetworkStream) -> None:
        self._inner = inner

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = await self._inner.read(max_bytes, timeout=timeout)
        left = _left.get()
        if left is not None:
            left[0] -= len(data)
            if left[0] < 0:
                raise httpcore2.RemoteProtocolError("The head of the answer is too long")
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._inner.write(buffer, timeout=timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        return LimitedStream(await self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class LimitedHandler(ResponseHandler):
    """aiohttp's connection, which is given up when the heads of one answer do not end. aiohttp bounds one head, but not how
    many interim ones come first."""

    _head_bytes = 0

    def set_response_params(self, **options: Any) -> None:
        self._head_bytes = 0
        super().set_response_params(**options)

    def data_received(self, data: bytes) -> None:
        # What comes with the last head counts only when something follows that is a head again.
        if self._head_bytes > MOST_HEAD_BYTES:
            if self.transport is not None:
                self.transport.abort()
            self.set_exception(aiohttp.ClientPayloadError("The head of the answer is too long"))
            return
        if self._head_bytes >= 0:
            self._head_bytes += len(data)
        super().data_received(data)

    def feed_data(self, data: Any, size: int = 0) -> None:
        message, _ = data
        if message.code >= 200:
            self._head_bytes = -1
        super().feed_data(data, size)


class WatchfulHandler(LimitedHandler):
    """A connection that is not used again once the other side has ended it, also where the loop has not read that yet: a
    submission that is sent on it might have been bought, for all we know."""

    _look: "select.poll | None" = None

    def is_connected(self) -> bool:
        return super().is_connected() and not self._tail and not self._has_unread()

    def _has_unread(self) -> bool:
        assert self.transport is not None
        if self._look is None:
            self._look = select.poll()
            self._look.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(self._look.poll(0))
