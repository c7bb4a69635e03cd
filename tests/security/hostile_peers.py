"""What a hostile client does at a port, by hand on a socket: each returns what it got out of us before we hung up."""

import json
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from tests.serving import KEY

GIVE_UP_SECONDS = 90.0
MEGABYTE = b"a" * 1024 * 1024
DEEP = 200_000


@dataclass(frozen=True, slots=True)
class Target:
    """A door of the gateway, and what a client says there."""

    name: str
    line: str
    headers: str = ""

    def head(self, *more: str) -> bytes:
        lines = [self.line, "Host: gateway", *self.headers.splitlines(), *more]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n"


@dataclass(frozen=True, slots=True)
class Outcome:
    """``status`` of the last answer, 0 for none; ``taken`` are the bytes that we took; ``closed`` says that we hung up."""

    status: int
    taken: int
    seconds: float
    closed: bool


TARGETS = (
    Target("key", "POST /v1/videos HTTP/1.1", f"Authorization: Bearer {KEY}\nContent-Type: application/json"),
    Target(
        "relay",
        "POST /v1/chat/completions HTTP/1.1",
        f"Authorization: Bearer {KEY}\nContent-Type: application/json",
    ),
    Target("stranger", "POST /v1/videos HTTP/1.1", "Content-Type: application/json"),
    Target("panel", "POST /admin/api/session HTTP/1.1", "Content-Type: application/json"),
    Target("static", "GET /docs/swagger-ui.js HTTP/1.1"),
)


def converse(port: int, pieces: Iterable[bytes], *, every: float = 0.0, read: bool = True) -> Outcome:
    """Send the pieces, ``every`` so many seconds, then wait until we are hung up on."""
    began, taken, answer, closed = time.monotonic(), 0, b"", False
    with socket.create_connection(("127.0.0.1", port), timeout=GIVE_UP_SECONDS) as wire:
        if not read:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with suppress(ConnectionError):  # hung up on; what was said before that can still be read
            for piece in pieces:
                wire.sendall(piece)
                taken += len(piece)
                time.sleep(every)
        with suppress(TimeoutError):
            answer, closed = _read_rest(wire) if read else (b"", _is_gone(wire))
    status = int(answer.rpartition(b"HTTP/1.1 ")[2][:3]) if b"HTTP/1.1 " in answer else 0
    return Outcome(status, taken, time.monotonic() - began, closed)


def _read_rest(wire: socket.socket) -> tuple[bytes, bool]:
    answer = b""
    with suppress(ConnectionError):
        while received := wire.recv(65536):
            answer = (answer + received)[:4096]
    return answer, True


def _is_gone(wire: socket.socket) -> bool:
    """Whether the other side resets the connection, though nothing is read from it."""
    end = time.monotonic() + GIVE_UP_SECONDS
    while time.monotonic() < end:
        time.sleep(0.3)
        if wire.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            return True
        try:
            wire.send(b"x")
        except OSError:
            return True
    return False


def forever(piece: bytes, *, first: bytes = b"", most: int = 200 * 1024 * 1024) -> Iterable[bytes]:
    yield first
    for _ in range(max(1, most // len(piece))):
        yield piece


def half_line(port: int, target: Target) -> Outcome:
    return converse(port, [target.line.encode()[:9]])


def half_head(port: int, target: Target) -> Outcome:
    return converse(port, [target.head()])


def silence(port: int, _: Target) -> Outcome:
    return converse(port, [])


def dripping_head(port: int, target: Target) -> Outcome:
    return converse(port, forever(b"x", first=target.head() + b"X-Drip: ", most=400), every=0.3)


def empty_lines(port: int, _: Target) -> Outcome:
    return converse(port, forever(b"\r\n", most=800), every=0.3)


def endless_header(port: int, target: Target) -> Outcome:
    return converse(port, forever(MEGABYTE, first=target.head() + b"X-Endless: "))


def endless_path(port: int, target: Target) -> Outcome:
    return converse(port, forever(MEGABYTE, first=target.line.split()[0].encode() + b" /"))


def million_headers(port: int, target: Target) -> Outcome:
    return converse(port, forever(b"a: b\r\n" * 10_000, first=target.head(), most=6_000_000))


def many_fields(port: int, target: Target) -> Outcome:
    return converse(port, [target.head() + b"a: b\r\n" * 300 + b"\r\n"])


def dripping_body(port: int, target: Target) -> Outcome:
    return converse(
        port, forever(b"x", first=target.head("Content-Length: 9000") + b"\r\n", most=300), every=0.4
    )


def no_body(port: int, target: Target) -> Outcome:
    return converse(port, [target.head("Content-Length: 9000", "Expect: 100-continue") + b"\r\n"])


def chunk_extensions(port: int, target: Target) -> Outcome:
    first = target.head("Transfer-Encoding: chunked") + b"\r\n1;"
    return converse(port, forever(MEGABYTE, first=first))


def endless_trailer(port: int, target: Target) -> Outcome:
    first = target.head("Transfer-Encoding: chunked") + b"\r\n2\r\n{}\r\n0\r\nX-Trailer: "
    return converse(port, forever(MEGABYTE, first=first))


def pipelined(port: int, target: Target) -> Outcome:
    one = target.head("Content-Length: 2") + b"\r\n{}"
    return converse(port, forever(one * 400, most=len(one) * 4000))


def never_reads(port: int, target: Target) -> Outcome:
    """As many answers as may be asked for ahead, and none is read."""
    has_body = target.line.startswith("POST")
    one = target.head("Content-Length: 2" if has_body else "X: y") + (b"\r\n{}" if has_body else b"\r\n")
    return converse(port, [one * 12], read=False)


def half_upgrade(port: int, target: Target) -> Outcome:
    upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
    return converse(port, [Target("", "GET /v1/realtime?model=x HTTP/1.1").head(*upgrade)])


def upgrade_without_key(port: int, _: Target) -> Outcome:
    upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
    known = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    head = Target("", "GET /v1/realtime?model=x HTTP/1.1").head(*upgrade, known)
    return converse(port, [head + b"\r\n"])


def odd_lengths(port: int, target: Target) -> Outcome:
    told = ("-1", "1" * 400, "1e3", "0x10", "5\r\nContent-Length: 6", "+5", "5\r\nTransfer-Encoding: chunked")
    outcomes = [converse(port, [target.head(f"Content-Length: {one}") + b"\r\n"]) for one in told]
    return max(outcomes, key=lambda one: (not one.closed, one.status if one.status != 400 else 0))


def odd_names(port: int, target: Target) -> Outcome:
    told = (b"a\0b: c\r\n", b"\0: c\r\n", b": c\r\n", b"a b: c\r\n", b"\xff\xfe: c\r\n", b"a: b\0c\r\n")
    outcomes = [converse(port, [target.head() + one + b"\r\n"]) for one in told]
    return max(outcomes, key=lambda one: (not one.closed, one.status if one.status != 400 else 0))


def bad_body(body: bytes) -> Callable[[int, Target], Outcome]:
    def send(port: int, target: Target) -> Outcome:
        head = target.head(f"Content-Length: {len(body)}", "Connection: close")
        return converse(port, [head + b"\r\n", body])

    return send


BODIES = {
    "deep JSON": b'{"prompt":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "absurd numbers": b'{"prompt":"x","model":"m","seconds":1e400,"n":' + b"9" * 4000 + b',"size":-0.0}',
    "surrogates": json.dumps({"prompt": "\ud800 x", "model": "m\udfff", "messages": "\ud800"}).encode(),
    "no JSON": b"\xff\xfe\x00" * 1000,
    "many objects": b"[" + b"{}," * 100_000 + b"{}]",
}
ATTACKS: dict[str, Callable[[int, Target], Outcome]] = {
    each.__name__.replace("_", " "): each
    for each in (
        *(half_line, half_head, silence, dripping_head, empty_lines, endless_header, endless_path),
        *(million_headers, many_fields, dripping_body, no_body, chunk_extensions, endless_trailer),
        *(pipelined, never_reads, half_upgrade, upgrade_without_key, odd_lengths, odd_names),
    )
} | {name: bad_body(body) for name, body in BODIES.items()}
