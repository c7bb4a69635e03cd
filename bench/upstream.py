"""A fast fake upstream: answers chat at once, plain or as a stream, and videos that never end or end at once."""

import asyncio
import json
import socket
import sys
import time
from typing import Any

import httptools
import uvloop

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

    def made(self) -> str:
        self.count += 1
        return f"job_{self.count}"

    def looked(self, name: str) -> str:
        now = time.perf_counter()
        if name in self.last:
            self.gaps.append(now - self.last[name])
        self.last[name] = now
        return name

    def told(self) -> bytes:
        """What was seen since it was last told."""
        gaps, self.gaps = sorted(self.gaps), []
        told: dict[str, float] = {"jobs": self.count, "seen": len(self.last), "looks": len(gaps)}
        if gaps:
            told |= {"p50": gaps[len(gaps) // 2], "p99": gaps[int(len(gaps) * 0.99)]}
        return json.dumps(told).encode()


LOOKS = Looks()


class Connection(asyncio.Protocol):
    """One keep-alive connection."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)
        self.body: list[bytes] = []
        self.path = b""
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
        elif b"/videos" in self.path:
            self.transport.write(response(self.video()))
        elif b'"stream":true' in body:
            self.transport.write(HEAD)
            self.left = CHUNKS
            self.loop.call_soon(self.stream)
        else:
            self.transport.write(PLAIN)

    def video(self) -> bytes:
        """A job that runs for ever: what is measured is how it is looked at."""
        name = self.path.rpartition(b"/")[2].decode()
        name = LOOKS.looked(name) if name.startswith("job_") else LOOKS.made()
        return json.dumps({**JOB, "id": name, "status": "in_progress"}).encode()

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


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    try:
        uvloop.run(serve())
    except KeyboardInterrupt:
        sys.exit(0)
