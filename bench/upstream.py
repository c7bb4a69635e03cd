"""A fast upstream: chat at once, plain or as a stream that ends or does not; films that never end or are there at once.

The model that a video is asked of decides: ``FILM`` is finished in the answer to its submission, and its content is the
file that this process was started with; anything else runs for ever. A chat with ``"user":"paced"`` gets an event twice a
second without end, one with ``"user":"flood"`` as much as its connection takes.
"""

import asyncio
import json
import socket
import sys
import time
from pathlib import Path
from typing import Any

import httptools
import uvloop

from bench.processes import raise_file_limit

CHUNKS = 200
"""Content events of one streamed answer."""

TEXT = "All work and no play makes a benchmark that measures something else than it says. " * 8
ANSWER = json.dumps(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1,
        "model": "bench",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 40, "completion_tokens": 160, "total_tokens": 200},
    }
).encode()
CHUNK = json.dumps(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "bench",
        "choices": [{"index": 0, "delta": {"content": " word"}, "finish_reason": None}],
        "usage": None,
    }
).encode()
LAST = json.dumps(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "bench",
        "choices": [],
        "usage": {"prompt_tokens": 40, "completion_tokens": CHUNKS, "total_tokens": 40 + CHUNKS},
    }
).encode()


def response(body: bytes, kind: str = "application/json") -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n%b" % (
        kind.encode(),
        len(body),
        body,
    )


def framed(event: bytes) -> bytes:
    data = b"data: " + event + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(data), data)


PLAIN = response(ANSWER)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
FRAME = framed(CHUNK)
END = framed(LAST) + framed(b"[DONE]") + b"0\r\n\r\n"
FILM = b"bench-film"
PACE_SECONDS = 0.5
FLOOD = FRAME * 100
JOB = {
    "object": "video",
    "model": "bench-video",
    "created_at": 1,
    "progress": 10,
    "size": "720x1280",
    "seconds": "4",
}


class Looks:
    """How many jobs there are, and how long each was left alone between two looks."""

    def __init__(self) -> None:
        self.last: dict[str, float] = {}
        self.gaps: list[float] = []
        self.count = 0
        self.films = 0

    def made(self) -> str:
        self.count += 1
        return f"job_{self.count}"

    def finished(self) -> str:
        self.films += 1
        return f"film_{self.films}"

    def looked(self, name: str) -> str:
        now = time.perf_counter()
        if name in self.last:
            self.gaps.append(now - self.last[name])
        self.last[name] = now
        return name

    def told(self) -> bytes:
        """What was seen since it was last told."""
        gaps, self.gaps = sorted(self.gaps), []
        told: dict[str, float] = {"jobs": self.count, "seen": len(self.last), "polls": len(gaps)}
        if gaps:
            told |= {"p50": gaps[len(gaps) // 2], "p99": gaps[int(len(gaps) * 0.99)]}
        return json.dumps(told).encode()


LOOKS = Looks()


class Connection(asyncio.Protocol):
    """One keep-alive connection."""

    film = response(b"", "video/mp4")

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)
        self.body: list[bytes] = []
        self.path = b""
        self.is_writable = True
        self.is_flooding = False
        self.loop = asyncio.get_running_loop()
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self.path = url

    def on_body(self, body: bytes) -> None:
        self.body.append(body)

    def on_message_complete(self) -> None:
        body, self.body = b"".join(self.body), []
        if b"/stats" in self.path:
            self.transport.write(response(LOOKS.told()))
        elif self.path.endswith(b"/content"):
            self.transport.write(self.film)
        elif b"/videos" in self.path:
            self.transport.write(response(self.video(body)))
        elif b'"stream":true' in body:
            self.transport.write(HEAD)
            self.begin_stream(body)
        else:
            self.transport.write(PLAIN)

    def video(self, body: bytes) -> bytes:
        """The job that was asked for or about."""
        name = self.path.rpartition(b"/")[2].decode()
        if FILM in body or name.startswith("film_"):
            name = name if name.startswith("film_") else LOOKS.finished()
            return json.dumps({**JOB, "id": name, "status": "completed", "progress": 100}).encode()
        if name == "videos":
            name = LOOKS.made()
        elif name.startswith("job_"):
            LOOKS.looked(name)
        return json.dumps({**JOB, "id": name, "status": "in_progress"}).encode()

    def begin_stream(self, body: bytes) -> None:
        if b'"user":"paced"' in body:
            self.pace()
        elif b'"user":"flood"' in body:
            self.is_flooding = True
            self.flood()
        else:
            self.left = CHUNKS
            self.loop.call_soon(self.stream)

    def stream(self) -> None:
        """One event per turn of the loop, so that events leave one by one."""
        if self.transport.is_closing():
            return
        if self.left:
            self.left -= 1
            self.transport.write(FRAME)
            self.loop.call_soon(self.stream)
        else:
            self.transport.write(END)

    def pace(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(FRAME)
            self.loop.call_later(PACE_SECONDS, self.pace)

    def flood(self) -> None:
        if self.is_writable and not self.transport.is_closing():
            self.transport.write(FLOOD)
            self.loop.call_soon(self.flood)

    def pause_writing(self) -> None:
        self.is_writable = False

    def resume_writing(self) -> None:
        self.is_writable = True
        if self.is_flooding:
            self.flood()


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    raise_file_limit()
    if len(sys.argv) > 1:
        Connection.film = response(Path(sys.argv[1]).read_bytes(), "video/mp4")
    try:
        uvloop.run(serve())
    except KeyboardInterrupt:
        sys.exit(0)
