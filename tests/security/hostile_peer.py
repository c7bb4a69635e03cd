"""A peer that does everything wrong, in a process of its own: ``python -m tests.security.hostile_peer``.

It prints one line of JSON, the port of each behaviour, and then answers whatever is asked there in that way.
"""

import asyncio
import gzip
import json
import random
import socket
import struct
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

Act = Callable[[asyncio.StreamWriter], Awaitable[None]]
ROOT = Path(__file__).parent.parent.parent
DRIP_SECONDS = 0.05
ENOUGH = 400 * 1024 * 1024
"""Bytes after which an endless answer ends all the same: then nobody stopped reading."""
KIB = b"x" * 1024
HUGE = b'{"id": "a", "data": [' + b"{}," * 10_000_000 + b"{}]}"
BOMB = gzip.compress(b'{"id": "' + b"\0" * 300_000_000, compresslevel=1)
JSON_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
CHUNKED = JSON_HEAD + b"transfer-encoding: chunked\r\n\r\n"


async def send(writer: asyncio.StreamWriter, data: bytes) -> None:
    for start in range(0, len(data), 65_536):
        writer.write(data[start : start + 65_536])
        await writer.drain()


async def repeat(writer: asyncio.StreamWriter, piece: bytes, *, pause: float = 0.0) -> None:
    for _ in range(ENOUGH // len(piece)):
        await send(writer, piece)
        if pause:
            await asyncio.sleep(pause)


async def answer(writer: asyncio.StreamWriter, body: bytes, *, more: bytes = b"") -> None:
    await send(writer, JSON_HEAD + more + b"content-length: %d\r\n\r\n" % len(body) + body)


async def stay_silent(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


async def drip_head(writer: asyncio.StreamWriter) -> None:
    await send(writer, b"HTTP/1.1 200 OK\r\nx: ")
    await repeat(writer, b"x", pause=DRIP_SECONDS)


async def drip_body(writer: asyncio.StreamWriter) -> None:
    await send(writer, JSON_HEAD + b"content-length: 1000000\r\n\r\n")
    await repeat(writer, b" ", pause=DRIP_SECONDS)


async def endless_header(writer: asyncio.StreamWriter) -> None:
    await send(writer, b"HTTP/1.1 200 OK\r\nx: ")
    await repeat(writer, KIB * 64)


async def endless_headers(writer: asyncio.StreamWriter) -> None:
    await send(writer, b"HTTP/1.1 200 OK\r\n")
    await repeat(writer, b"x-header: a\r\n" * 5000)


async def endless_body(writer: asyncio.StreamWriter) -> None:
    await send(writer, CHUNKED)
    await repeat(writer, b"10000\r\n" + KIB * 64 + b"\r\n")


async def half_answer(writer: asyncio.StreamWriter) -> None:
    await send(writer, JSON_HEAD + b"content-length: 1000\r\n\r\n" + b'{"id": "')
    await asyncio.sleep(3600)


async def reset(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()


async def huge_json(writer: asyncio.StreamWriter) -> None:
    await answer(writer, HUGE)


async def deep_json(writer: asyncio.StreamWriter) -> None:
    await answer(writer, b"[" * 2_000_000)


async def absurd_numbers(writer: asyncio.StreamWriter) -> None:
    numbers = b'{"id": "a", "status": "queued", "progress": 1e999, "seconds": %s, "expires_in": -1e308}'
    await answer(writer, numbers % (b"9" * 4000))


async def gzip_bomb(writer: asyncio.StreamWriter) -> None:
    await answer(writer, BOMB, more=b"content-encoding: gzip\r\n")


async def endless_line(writer: asyncio.StreamWriter) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    await send(writer, head + b"6\r\ndata: \r\n")
    await repeat(writer, b"400\r\n" + KIB + b"\r\n")


async def flood_of_1xx(writer: asyncio.StreamWriter) -> None:
    await repeat(writer, b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 1000)


async def chunk_extension(writer: asyncio.StreamWriter) -> None:
    await send(writer, CHUNKED + b"1;")
    await repeat(writer, KIB * 64)


async def endless_trailers(writer: asyncio.StreamWriter) -> None:
    await send(writer, CHUNKED + b"2\r\n{}\r\n0\r\n")
    await repeat(writer, b"x-trailer: a\r\n" * 5000)


async def garbage(writer: asyncio.StreamWriter) -> None:
    await repeat(writer, random.Random(1).randbytes(65_536))


async def circle(writer: asyncio.StreamWriter) -> None:
    await send(writer, b"HTTP/1.1 302 Found\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n")


BEHAVIOURS: dict[str, Act] = {
    "silence": stay_silent,
    "dripping head": drip_head,
    "dripping body": drip_body,
    "endless header": endless_header,
    "endless headers": endless_headers,
    "endless body": endless_body,
    "half an answer": half_answer,
    "reset": reset,
    "huge JSON": huge_json,
    "deep JSON": deep_json,
    "absurd numbers": absurd_numbers,
    "gzip bomb": gzip_bomb,
    "endless line": endless_line,
    "1xx flood": flood_of_1xx,
    "chunk extension": chunk_extension,
    "endless trailers": endless_trailers,
    "garbage": garbage,
    "circle": circle,
}


async def serve_all() -> None:
    ports = {}
    for name, act in BEHAVIOURS.items():
        server = await asyncio.start_server(_talk(act), "127.0.0.1", 0)
        ports[name] = server.sockets[0].getsockname()[1]
        asyncio.get_running_loop().create_task(server.serve_forever())
    print(json.dumps(ports), flush=True)
    await asyncio.Event().wait()


def _talk(act: Act) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await reader.readuntil(b"\r\n\r\n")
            acting = asyncio.ensure_future(act(writer))
            leaving = asyncio.ensure_future(reader.read())  # so that a hangup ends what waits
            await asyncio.wait({acting, leaving}, return_when=asyncio.FIRST_COMPLETED)
            acting.cancel()
            leaving.cancel()
            await asyncio.gather(acting, leaving, return_exceptions=True)
        writer.close()

    return talk


@contextmanager
def hostile_peer() -> Iterator[dict[str, str]]:
    """The origin of each behaviour."""
    command = [sys.executable, "-m", "tests.security.hostile_peer"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            ports: dict[str, int] = json.loads(process.stdout.readline())
            yield {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        finally:
            process.kill()


if __name__ == "__main__":
    asyncio.run(serve_all())
