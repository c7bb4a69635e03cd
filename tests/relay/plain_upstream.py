"""An upstream for which the test writes every byte, pause and disconnect."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Answer = Callable[["Exchange"], Awaitable[None]]
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


@dataclass
class Exchange:
    """One request as raw bytes, and the connection to answer on."""

    head: bytes
    body: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def write_event(self, data: bytes) -> None:
        """One server-sent event as one HTTP chunk."""
        await self.write(b"%x\r\n%b\r\n" % (len(data), data))

    async def wait_for_hangup(self) -> None:
        """Wait until the gateway disconnects."""
        while await self.reader.read(65536):
            pass


@dataclass
class PlainUpstream:
    origin: str = ""
    seen: list[Exchange] = field(default_factory=list)


@asynccontextmanager
async def plain_upstream(answer: Answer) -> AsyncIterator[PlainUpstream]:
    """One request per connection; the connection is closed when ``answer`` returns."""
    upstream = PlainUpstream()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length:" in line
            )
            exchange = Exchange(head, await reader.readexactly(length), reader, writer)
            upstream.seen.append(exchange)
            await answer(exchange)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    upstream.origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield upstream
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def whole_answer(
    body: bytes, *, status: str = "200 OK", kind: str = "application/json", extra: bytes = b""
) -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: %d\r\nConnection: close\r\n%b\r\n%b" % (
        status.encode(),
        kind.encode(),
        len(body),
        extra,
        body,
    )
