"""A cheap load generator: keep-alive connections as raw protocols, one request at a time on each."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

WARMING_SECONDS = 0.4


@dataclass
class Measured:
    """What one run saw: times in seconds."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    first_chunks: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds

    @property
    def failed(self) -> int:
        return sum(count for status, count in self.statuses.items() if status >= 400)

    @staticmethod
    def percentile(values: list[float], share: float) -> float:
        """In milliseconds."""
        return sorted(values)[min(len(values) - 1, int(len(values) * share))] * 1000 if values else 0.0


class Client(asyncio.Protocol):
    """Sends the next request as soon as an answer is whole."""

    def __init__(self, run: "Run") -> None:
        self.run = run
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.next()

    def next(self) -> None:
        self.buffer = b""
        self.size: int | None = None
        self.head = -1
        self.first = 0.0
        self.began = time.perf_counter()
        self.transport.write(self.run.request())

    def data_received(self, data: bytes) -> None:
        # Of a stream only the end matters: what came before is not kept.
        self.buffer = (
            self.buffer + data if self.head < 0 or self.size is not None else (self.buffer[-8:] + data)
        )
        if self.head < 0 and not self.read_head():
            return
        if self.size is None:
            if not self.first and b"data: " in self.buffer:
                self.first = time.perf_counter()
            done = self.buffer.endswith(b"\r\n0\r\n\r\n")
        else:
            done = len(self.buffer) >= self.head + self.size
        if done:
            self.run.note(self)
            self.transport.close() if self.run.over else self.next()

    def read_head(self) -> bool:
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        self.head = end + 4
        self.status = int(self.buffer[9:12])
        lower = self.buffer[:end].lower()
        at = lower.find(b"content-length:")
        if at >= 0:
            self.size = int(lower[at + 15 :].split(b"\r\n", 1)[0])
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)


class Run:
    """One measurement with a fixed number of connections."""

    def __init__(self, request: Callable[[], bytes]) -> None:
        self.request = request
        self.over = False
        self.warm = False
        self.measured = Measured()

    def note(self, client: Client) -> None:
        if not self.warm or self.over:
            return
        measured = self.measured
        measured.latencies.append(time.perf_counter() - client.began)
        measured.statuses[client.status] = measured.statuses.get(client.status, 0) + 1
        if client.first:
            measured.first_chunks.append(client.first - client.began)


async def load(
    port: int,
    request: Callable[[], bytes],
    *,
    connections: int,
    seconds: float,
    at_start: Callable[[], None],
    at_end: Callable[[], None],
) -> Measured:
    """Run for ``seconds`` after a short warming; the two callbacks frame exactly that time."""
    run = Run(request)
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(lambda: Client(run), "127.0.0.1", port) for _ in range(connections)]
    await asyncio.sleep(WARMING_SECONDS)
    at_start()
    began = time.perf_counter()
    run.warm = True
    await asyncio.sleep(seconds)
    run.over = True
    run.measured.seconds = time.perf_counter() - began
    at_end()
    done, late = await asyncio.wait([client.closed for _, client in made], timeout=10)
    for _, client in made:
        client.transport.abort()
    del done, late
    return run.measured


def post(path: str, body: bytes, *, key: str) -> bytes:
    return (
        b"POST %b HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer %b\r\ncontent-type: application/json\r\n"
        b"accept: application/json\r\nuser-agent: bench\r\ncontent-length: %d\r\n\r\n%b"
        % (path.encode(), key.encode(), len(body), body)
    )


def get(path: str, *, key: str) -> bytes:
    return b"GET %b HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer %b\r\nuser-agent: bench\r\n\r\n" % (
        path.encode(),
        key.encode(),
    )
