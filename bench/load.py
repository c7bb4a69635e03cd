"""A cheap load generator: keep-alive connections as raw protocols, one request at a time on each."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

WARMING_SECONDS = 0.4
PATIENCE_SECONDS = 60.0


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
            self.transport.close() if self.run.over else self.go_on()

    def go_on(self) -> None:
        self.next()

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


class PacedClient(Client):
    """Waits between its requests."""

    def __init__(self, run: "Run", pause: float) -> None:
        super().__init__(run)
        self.pause = pause

    def go_on(self) -> None:
        asyncio.get_running_loop().call_later(self.pause, self.ask_again)

    def ask_again(self) -> None:
        if not self.transport.is_closing():
            self.next()


class Run:
    """One measurement with a fixed number of connections."""

    def __init__(self, request: Callable[[], bytes]) -> None:
        self.request = request
        self.over = False
        self.warm = False
        self.counts_late = False
        self.measured = Measured()

    def note(self, client: Client) -> None:
        if not self.warm or (self.over and not self.counts_late):
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
) -> Measured:
    """Run for ``seconds`` after a short warming."""
    run = Run(request)
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(lambda: Client(run), "127.0.0.1", port) for _ in range(connections)]
    await asyncio.sleep(WARMING_SECONDS)
    began = time.perf_counter()
    run.warm = True
    await asyncio.sleep(seconds)
    # On a busy machine even the first answer may come late.
    while not run.measured.latencies and time.perf_counter() - began < PATIENCE_SECONDS:  # noqa: ASYNC110 - the load runs
        await asyncio.sleep(0.1)
    run.over = True
    run.measured.seconds = time.perf_counter() - began
    await asyncio.wait([client.closed for _, client in made], timeout=10)
    for _, client in made:
        client.transport.abort()
    return run.measured


async def send_all(port: int, request: bytes, *, count: int, connections: int) -> Measured:
    """Send ``count`` requests and wait for their answers."""
    left = count

    def take() -> bytes:
        nonlocal left
        left -= 1
        run.over = left <= 0  # those that are under way are noted all the same
        return request

    run = Run(take)
    run.warm = run.counts_late = True
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: Client(run), "127.0.0.1", port)
        for _ in range(min(connections, count))
    ]
    await asyncio.wait([client.closed for _, client in made])
    return run.measured


async def probe(
    port: int, requests: Sequence[bytes], *, pause: float, until: Callable[[], bool]
) -> list[float]:
    """The latencies, in seconds, of one client per request that asks, waits ``pause`` seconds and asks again."""
    watches = [Run(lambda request=request: request) for request in requests]  # type: ignore[misc]
    found: list[float] = []
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda run=run: PacedClient(run, pause), "127.0.0.1", port)  # type: ignore[misc]
        for run in watches
    ]
    for run in watches:
        run.warm = True
    while not until():  # noqa: ASYNC110 - what ends it is another process
        await asyncio.sleep(0.05)
    for run, (transport, _) in zip(watches, made, strict=True):
        if run.measured.failed:
            raise SystemExit(f"an unconcerned client was refused: {run.measured.statuses}")
        found += run.measured.latencies
        transport.abort()
    return found


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
