"""A forward proxy on this machine: passes on what it is asked for, and remembers that."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class ForwardProxy:
    """``asked``: ``METHOD target`` of each request, CONNECT or absolute form; ``names`` are addresses of this machine
    that only the proxy knows."""

    url: str = ""
    asked: list[str] = field(default_factory=list)
    names: dict[str, int] = field(default_factory=dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            line, _, rest = head.partition(b"\r\n")
            method, target, _ = line.decode().split(" ")
            self.asked.append(f"{method} {target}")
            await self._pass_on(method, target, rest, client=(reader, writer))
        except (OSError, asyncio.IncompleteReadError, ValueError):
            pass
        finally:
            writer.close()

    async def _pass_on(
        self,
        method: str,
        target: str,
        rest: bytes,
        *,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        reader, writer = client
        parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
        port = self.names.get(parts.hostname or "", parts.port or 80)
        upstream, out = await asyncio.open_connection("127.0.0.1", port)
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        else:
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            out.write(f"{method} {path} HTTP/1.1\r\n".encode() + rest)
        copying = [asyncio.create_task(_copy(reader, out)), asyncio.create_task(_copy(upstream, writer))]
        try:
            await asyncio.wait(copying, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in copying:
                task.cancel()
            out.close()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await source.read(65_536):
            target.write(piece)
            await target.drain()


@asynccontextmanager
async def forward_proxy() -> AsyncIterator[ForwardProxy]:
    proxy = ForwardProxy()
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.url = f"http://user:word@127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
