"""Where a submission failed decides whether it may be sent again: every way that it can fail, over real sockets."""

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from pydantic import BaseModel

from app.errors import OutcomeUnknown, PollFailed, UpstreamError, UpstreamUnreachable
from app.media.guard import OutboundGuard
from app.providers.http import UpstreamClient
from app.providers.http_messages import FormFile, UpstreamTimeouts
from app.providers.transport import UpstreamTransport
from tests.security.test_outbound_guard import certificate
from tests.upstream import FakeUpstream, silent_port
from tests.upstream.transport import loopback_transport

SHORT = UpstreamTimeouts(connect=0.3, submit=0.3, poll=0.3)
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n"
INTERIM = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"


class Read(BaseModel):
    id: str = ""


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def transport() -> AsyncIterator[UpstreamTransport]:
    async with loopback_transport() as opened:
        yield opened


@asynccontextmanager
async def listening(talk: Talk, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port of a server that does ``talk`` with each connection and then closes it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def after_head(*pieces: bytes, hold: bool = False) -> Talk:
    """Reads the head of what is asked, then writes ``pieces``."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if hold:
            await reader.read()

    return talk


async def failure(transport: UpstreamTransport, base_url: str) -> UpstreamError:
    client = UpstreamClient(transport, base_url=base_url, headers={"X-Key": "k"}, timeouts=SHORT)
    with pytest.raises(PollFailed):
        await client.get("/v1/videos/1", answer=Read)
    with pytest.raises(UpstreamError) as met:
        await client.post_json("/v1/videos", {"prompt": "A kite"}, answer=Read)
    assert "127.0.0.1" not in str(met.value)
    return met.value


# ---- nothing was sent ----


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 407 Who are you\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 502 Bad gateway\r\ncontent-length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
        b"HTTP/1.1 200 Connected\r\n\r\nno TLS at all",
        b"HTTP/1.1 200 Connected\r\n\r\n",
        b"HTTP/1.1 200 Conn",
        b"",
    ],
    ids=["403", "407", "502", "no HTTP", "no TLS", "closed in TLS", "half a head", "closed"],
)
async def test_a_tunnel_that_is_not_made(transport: UpstreamTransport, answer: bytes) -> None:
    """The request is written into the tunnel only."""
    async with listening(after_head(answer)) as port:
        through = transport.via_proxy(f"http://127.0.0.1:{port}")
        assert isinstance(await failure(through, "https://upstream.example"), UpstreamUnreachable)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 Connected\r\n\r\n"], ids=["CONNECT", "TLS"])
async def test_a_tunnel_that_falls_silent(transport: UpstreamTransport, answer: bytes) -> None:
    async with listening(after_head(answer, hold=True)) as port:
        through = transport.via_proxy(f"http://127.0.0.1:{port}")
        assert isinstance(await failure(through, "https://upstream.example"), UpstreamUnreachable)


async def test_a_proxy_that_is_not_there(transport: UpstreamTransport) -> None:
    with silent_port() as port:
        through = transport.via_proxy(f"https://127.0.0.1:{port}")
        assert isinstance(await failure(through, "http://upstream.example"), UpstreamUnreachable)


async def test_a_certificate_of_another(tmp_path: Path, transport: UpstreamTransport) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate(tmp_path, "another.test"))
    async with listening(after_head(OK), tls=tls) as port:
        assert isinstance(await failure(transport, f"https://127.0.0.1:{port}"), UpstreamUnreachable)


@pytest.mark.parametrize("base_url", ["", "upstream.example", "ftp://127.0.0.1", "http://127.0.0.1:99999"])
async def test_an_address_that_is_none(transport: UpstreamTransport, base_url: str) -> None:
    assert isinstance(await failure(transport, base_url), UpstreamUnreachable)


# ---- it may have been read ----


@pytest.mark.parametrize(
    ("pieces", "hold"),
    [
        ([], False),
        ([], True),
        ([b"HTTP/1.1 20"], False),
        ([b"HTTP/1.1 200 OK\r\nx: "], True),
        ([b"SSH-2.0-OpenSSH_9.9\r\n\r\n"], True),
        ([b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000], True),
        ([b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 5000], True),
        ([OK, b"half"], False),
        ([OK, b"half"], True),
        ([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"zz\r\n"], True),
        ([b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n", b"gzip"], True),
        ([INTERIM] * 3, False),
    ],
    ids=[
        "closed", "silent", "half a status", "half a head", "no HTTP", "a long field", "many fields", "half a body",
        "a silent body", "no chunk", "no gzip", "interim only",
    ],
)  # fmt: skip
async def test_no_answer_after_it_was_sent(
    transport: UpstreamTransport, pieces: list[bytes], hold: bool
) -> None:
    async with listening(after_head(*pieces, hold=hold)) as port:
        assert isinstance(await failure(transport, f"http://127.0.0.1:{port}"), OutcomeUnknown)


async def test_a_flood_of_interim_answers_ends_by_its_bytes(transport: UpstreamTransport) -> None:
    """Long before the time of the attempt is over: each costs time to parse."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        while True:
            writer.write(INTERIM * 1000)
            await writer.drain()

    async with listening(talk) as port:
        client = UpstreamClient(transport, base_url=f"http://127.0.0.1:{port}", headers={})
        with pytest.raises(OutcomeUnknown, match="ClientPayloadError"):
            await client.post_json("/v1/videos", {}, answer=Read)


async def test_a_proxy_that_breaks_off_what_it_was_given(transport: UpstreamTransport) -> None:
    """Without TLS there is no tunnel: the proxy has the request, and may have passed it on."""
    async with listening(after_head()) as port:
        through = transport.via_proxy(f"http://127.0.0.1:{port}")
        assert isinstance(await failure(through, "http://upstream.example"), OutcomeUnknown)


async def test_an_upload_that_is_cut_off(transport: UpstreamTransport) -> None:
    async with listening(after_head()) as port:
        client = UpstreamClient(transport, base_url=f"http://127.0.0.1:{port}", headers={}, timeouts=SHORT)
        file = FormFile("image", bytes(8_000_000), "image/png", "a.png")
        with pytest.raises(OutcomeUnknown):
            await client.post_form("/v1/videos", {"prompt": "A kite"}, files=[file], answer=Read)


# ---- connections that are used again ----


@contextmanager
def one_answer_each() -> Iterator[tuple[str, list[bytes]]]:
    """An upstream on a thread that promises to keep a connection and ends it after one answer."""
    asked: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                asked.append(connection.recv(65_536))
                connection.sendall(b'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{"id":"1"}')

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


async def test_a_connection_that_has_ended_is_not_used_again(transport: UpstreamTransport) -> None:
    """Also where this process was too busy to notice: nobody could say whether the submission was read."""
    with one_answer_each() as (base_url, asked):
        client = UpstreamClient(transport, base_url=base_url, headers={})
        for _ in range(3):
            assert (await client.post_json("/v1/videos", {}, answer=Read)).body.id == "1"
            time.sleep(0.05)  # noqa: ASYNC251 - the loop must not see how the connection ends
        assert len(asked) == 3


@pytest.mark.parametrize("method", ["get", "delete", "put"])
async def test_a_request_is_sent_once(transport: UpstreamTransport, method: str) -> None:
    asked: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))

    async with listening(talk) as port:
        client = UpstreamClient(transport, base_url=f"http://127.0.0.1:{port}", headers={})
        send = {"get": lambda path: client.get(path, answer=Read), "delete": client.delete, "put": client.put}
        with pytest.raises(PollFailed):
            await send[method]("/v1/videos/1")
    assert len(asked) == 1


async def test_a_name_and_a_password_in_the_address(transport: UpstreamTransport) -> None:
    with FakeUpstream() as upstream:
        base_url = upstream.url.replace("http://", "http://me:word@")
        client = UpstreamClient(transport, base_url=base_url, headers={"Authorization": "Bearer key"})
        await client.post_json("/v1/videos", {"prompt": "A kite"}, answer=Read)
        assert upstream.counters().last["create"].headers["authorization"] == "Basic bWU6d29yZA=="


async def test_the_guard_is_asked_for_each_connection() -> None:
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.7"]

    guard = OutboundGuard(("127.0.0.1",), resolve=resolve)
    async with guard.upstream_transport() as transport:
        with FakeUpstream() as upstream:
            base_url = upstream.url.replace("127.0.0.1", "rebinding.test")
            client = UpstreamClient(transport, base_url=base_url, headers={})
            await client.post_json("/v1/videos", {"prompt": "A kite"}, answer=Read)
        with pytest.raises(UpstreamUnreachable):
            await client.post_json("/v1/videos", {"prompt": "A kite"}, answer=Read)
    assert asked == ["rebinding.test", "rebinding.test"]


async def test_only_a_request_that_may_have_a_body_states_its_length(transport: UpstreamTransport) -> None:
    heads: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            heads.append(head)
            lengths = [
                line.split(b":")[1] for line in head.split(b"\r\n") if line.startswith(b"Content-Length")
            ]
            await reader.readexactly(sum(map(int, lengths)))
            writer.write(OK + b'{"id":"1"}')
            await writer.drain()

    async with listening(talk) as port:
        client = UpstreamClient(transport, base_url=f"http://127.0.0.1:{port}/v1", headers={"X-Key": "k"})
        await client.get("/videos/a%20b", answer=Read, params={"at": "1"})
        await client.put("/videos/1")
        await client.delete("/videos/1")
        await client.post_json("/videos", {"prompt": "A kite"}, answer=Read)
        await client.post_form("/videos", {"a": "b"}, files=[], answer=Read, encoded=True)
    assert heads[0].startswith(f"GET /v1/videos/a%20b?at=1 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n".encode())
    stated = [
        [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")] for head in heads
    ]
    assert stated == [
        [],
        [b"Content-Length: 0"],
        [b"Content-Length: 0"],
        [b"Content-Length: 19"],
        [b"Content-Length: 3"],
    ]
    assert all(head.count(b"X-Key: k") == 1 for head in heads)
