"""``python -m bench.crowd``: many clients at once, in a process of their own, as cheap as the kernel allows.

It prints ``open`` once every client has the head of its answer, and a JSON object of what was seen at its end.
"""

import argparse
import json
import os
import selectors
import socket
import time
from dataclasses import dataclass

from bench.load import get
from bench.processes import raise_file_limit
from bench.seeding import FILE_ID, KEY
from bench.stage import chat

BUFFER = bytearray(1 << 20)
SLOW_SECONDS = 1.0
SLOW_BYTES = 2_000
"""A slow reader takes so much, once in so long."""


@dataclass
class Client:
    """One connection, and how much of its answer it has taken."""

    socket: socket.socket
    is_slow: bool
    received: int = 0
    head: bytes = b""
    next_read: float = 0.0

    @property
    def is_open(self) -> bool:
        return b"\r\n\r\n" in self.head

    def read(self) -> bool:
        """False at the end of the answer."""
        if not self.is_open:
            piece = self.socket.recv(1024)
            self.head += piece
            if self.head and not self.head.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"a client of the crowd was refused: {self.head[:200]!r}")
            count = len(piece)
        elif self.is_slow:
            count = len(self.socket.recv(SLOW_BYTES))
        else:  # the kernel throws it away: nothing here looks at it
            count = self.socket.recv_into(BUFFER, len(BUFFER), socket.MSG_TRUNC)
        self.received += count
        return count > 0


class Crowd:
    """All clients, until they have what they want or the time is over."""

    def __init__(self, port: int, requests: list[tuple[bytes, bool]], *, wanted: int) -> None:
        """``requests``, each with whether its client is slow; ``wanted``: bytes of an answer, 0 for an endless one."""
        self.selector = selectors.DefaultSelector()
        self.clients = [self._connect(port, request, is_slow=slow) for request, slow in requests]
        self.wanted = wanted
        self.open = self.done = 0

    def _connect(self, port: int, request: bytes, *, is_slow: bool) -> Client:
        connection = socket.socket()
        if is_slow:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", port))
        connection.sendall(request)
        connection.setblocking(False)
        client = Client(connection, is_slow)
        self.selector.register(connection, selectors.EVENT_READ, client)
        return client

    def run(self, seconds: float) -> None:
        end, waiting = time.monotonic() + 600.0, list[Client]()
        while time.monotonic() < end and self.done < len(self.clients):
            for key, _ in self.selector.select(0.05):
                self._read(key.data, waiting)
            waiting = self._wake(waiting)
            if self.open == len(self.clients):
                print("open", flush=True)
                self.open += 1
                end = time.monotonic() + seconds

    def _read(self, client: Client, waiting: list[Client]) -> None:
        was_open = client.is_open
        goes_on = client.read()
        self.open += client.is_open and not was_open
        if not goes_on or (self.wanted and client.received >= self.wanted + client.head.index(b"\r\n\r\n")):
            self.selector.unregister(client.socket)
            client.socket.close()
            self.done += 1
        elif client.is_slow and client.is_open:
            self.selector.unregister(client.socket)
            client.next_read = time.monotonic() + SLOW_SECONDS
            waiting.append(client)

    def _wake(self, waiting: list[Client]) -> list[Client]:
        now = time.monotonic()
        while waiting and waiting[0].next_read <= now:
            client = waiting.pop(0)
            self.selector.register(client.socket, selectors.EVENT_READ, client)
        return waiting


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("downloads", "streams"))
    parser.add_argument("port", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("--bytes", type=int, default=0, help="of one download")
    parser.add_argument("--seconds", type=float, default=600.0, help="after all are open")
    given = parser.parse_args()
    raise_file_limit()
    os.nice(5)  # whoever is timed beside it comes first
    if given.kind == "downloads":
        request = get(f"/v1/videos/video_{FILE_ID}/content", key=KEY)
        requests = [(request, False)] * given.count
    else:
        paced, flood = (chat(stream=True, user=pace) for pace in ("paced", "flood"))
        requests = [(flood, True) if number % 2 else (paced, False) for number in range(given.count)]
    crowd = Crowd(given.port, requests, wanted=given.bytes)
    began = time.monotonic()
    crowd.run(given.seconds)
    received = sum(client.received for client in crowd.clients)
    seen = {"done": crowd.done, "bytes": received, "seconds": time.monotonic() - began}
    print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    main()
