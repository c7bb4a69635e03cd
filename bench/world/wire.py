"""The network: carries requests of the product's real HTTP clients to the vendors and receivers of the world."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import httpx2

from app.media.guard import OutboundGuard
from app.providers.transport import NotConnected, OpenAnswer, OutgoingRequest
from bench.world.edges import Edges
from bench.world.vendors import NoReply, Reply


class Body(httpx2.AsyncByteStream):
    """A body that comes in pieces, as slowly as the reply says, and may break off."""

    def __init__(self, reply: Reply, read_seconds: float | None) -> None:
        self._reply = reply
        self._read_seconds = read_seconds

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for delay, piece in self._reply.pieces:
            await pass_time(delay, self._read_seconds, httpx2.ReadTimeout)
            yield piece
        if self._reply.breaks:
            raise httpx2.RemoteProtocolError("peer closed connection")


async def pass_time(seconds: float, limit: float | None, error: type[Exception]) -> None:
    """Wait, at most for ``limit`` seconds: raises ``error`` then."""
    if limit is not None and seconds > limit:
        await asyncio.sleep(limit)
        raise error("timed out")
    if seconds > 0:
        await asyncio.sleep(seconds)


Serve = Callable[[httpx2.Request, bytes], Reply]
Connect = Callable[[str], None]


class WorldTransport(httpx2.AsyncBaseTransport):
    """``connect`` and ``serve`` are the world's; both may raise ``NoReply``."""

    def __init__(self, edges: Edges, connect: Connect, serve: Serve) -> None:
        self._edges = edges
        self._connect = connect
        self._serve = serve

    def via_proxy(self, _proxy: str | None) -> "WorldTransport":
        return self

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        limits: dict[str, Any] = request.extensions.get("timeout", {})
        read = limits.get("read")
        body = await request.aread()
        await self._edges.wait(f"{request.method} {request.url}")
        try:
            self._connect(request.url.host)
        except NoReply as failure:
            await pass_time(failure.delay, limits.get("connect"), httpx2.ConnectTimeout)
            raise httpx2.ConnectError("refused") from None
        await asyncio.sleep(0.02)
        try:
            reply = self._serve(request, body)
        except NoReply as failure:
            await pass_time(failure.delay, read, httpx2.ReadTimeout)
            raise httpx2.ReadError("connection reset") from None
        await pass_time(reply.delay, read, httpx2.ReadTimeout)
        await self._edges.wait(f"{reply.status} for {request.method} {request.url}")
        stream = Body(reply, read) if reply.pieces or reply.breaks else httpx2.ByteStream(reply.body)
        return httpx2.Response(reply.status, headers=dict(reply.headers), stream=stream, request=request)


class WorldUpstreams:
    """The transport of providers, over the world's."""

    def __init__(self, world: WorldTransport) -> None:
        self._world = world

    def via_proxy(self, _proxy: str | None) -> "WorldUpstreams":
        return self

    async def open(self, request: OutgoingRequest) -> OpenAnswer:
        content = request.content or b""
        if not isinstance(content, bytes):
            content = b"".join([part async for part in content])
        limits = {"connect": request.connect_seconds, "read": request.read_seconds}
        asked = httpx2.Request(
            request.method,
            str(request.url),
            headers=list(request.headers.items()),
            content=content,
            extensions={"timeout": limits},
        )
        try:
            answer = await self._world.handle_async_request(asked)
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            raise NotConnected(str(error)) from error
        except httpx2.TransportError as error:
            raise aiohttp.ClientOSError(str(error)) from error
        pieces = answer.aiter_bytes()

        async def read_some() -> bytes:
            try:
                return await anext(pieces, b"")
            except httpx2.TransportError as error:
                raise aiohttp.ClientPayloadError(str(error)) from error

        return OpenAnswer(answer.status_code, answer.headers, read_some, _nothing)

    async def aclose(self) -> None:
        """The world stays."""


def _nothing() -> None:
    return None


class WorldGuard(OutboundGuard):
    """The product's guard, whose connections lead into the world."""

    transport: WorldTransport

    def http_transport(self, **_options: Any) -> Any:
        return self.transport

    def upstream_transport(self, **_options: Any) -> Any:
        return WorldUpstreams(self.transport)
