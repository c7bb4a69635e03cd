"""What stands before a relayed call: the proxy's word, and one request of our own making to the upstream."""

import asyncio
import socket
import threading
from typing import Any

import aiohttp
import pytest
from aiohttp.connector import Connection
from starlette.types import Receive, Scope, Send
from yarl import URL

from app.media.guard import OutboundGuard
from app.ops.forwarded import ForwardedAddresses
from app.providers.transport import NotConnected
from app.relay.request import OwnHeaders
from app.relay.upstream import open_session
from app.relay.upstream_connections import RelayDestination, UpstreamConnections
from tests.relay.gateway import RelayGateway
from tests.relay.plain_upstream import Exchange, plain_upstream
from tests.upstream import FakeUpstream


@pytest.mark.parametrize(
    ("peer", "header", "seen"),
    [
        ("10.0.0.1", b"x-forwarded-for", "203.0.113.9"),
        ("203.0.113.5", b"x-forwarded-for", "203.0.113.5"),
        ("10.0.0.1", b"x-other", "10.0.0.1"),
    ],
)
async def test_a_trusted_proxy_says_whose_request_it_is(peer: str, header: bytes, seen: str) -> None:
    found: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        found.append(scope["client"][0])

    async def receive() -> dict[str, str]:
        return {}

    async def send(_: object) -> None: ...

    scope = {"type": "http", "client": (peer, 1), "scheme": "http", "headers": [(header, b"203.0.113.9")]}
    await ForwardedAddresses(app, ["10.0.0.0/8"])(scope, receive, send)
    assert found == [seen]


def test_an_accounts_headers_replace_the_clients() -> None:
    own = OwnHeaders((("Authorization", "Bearer ours"),), defaults=(("X-Version", "1"), ("X-Kind", "a")))
    client = [
        (b"authorization", b"Bearer theirs"),
        (b"user-agent", b"theirs"),
        (b"connection", b"close, X-Hop"),
        (b"x-hop", b"1"),
        (b"x-kind", b"b"),
        (b"cookie", b"c"),
    ]
    passed = own.with_passed(client)
    assert [value for name, value in passed if name.lower() == b"authorization"] == [b"Bearer ours"]
    assert dict(passed).keys() == {b"x-kind", b"User-Agent", b"Authorization", b"X-Version"}
    assert (b"x-kind", b"b") in passed


async def test_a_name_and_a_password_in_the_base_url_go_along(
    gateway: RelayGateway, upstream: FakeUpstream
) -> None:
    """As they do with tasks."""
    await gateway.add_account(upstream.url.replace("//", "//user:w%40rd@"), secret="")
    assert (await gateway.send_chat()).status_code == 200
    seen = upstream.counters().last["chat"]
    assert seen.headers["authorization"] == aiohttp.encode_basic_auth("user", "w@rd")
    assert seen.headers["host"] == upstream.url.removeprefix("http://")


async def test_a_connection_that_has_ended_has_sent_nothing(
    upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[bool] = []
    async with open_session(OutboundGuard(("127.0.0.1",))) as session:
        connections = UpstreamConnections(session)
        assert session.connector is not None
        connect = session.connector.connect

        async def connect_and_lose(*arguments: Any) -> Connection:
            connection = await connect(*arguments)
            assert connection.transport is not None
            connection.transport.close()
            return connection

        monkeypatch.setattr(session.connector, "connect", connect_and_lose)
        destination = connections.destination(URL(f"{upstream.url}/v1/chat/completions"), None)
        with pytest.raises(NotConnected):
            await connections.post(destination, [], b"{}", on_sent=lambda: sent.append(True))
    assert (sent, upstream.counters().requests) == ([], {})


async def test_a_connection_that_ended_while_idle_is_not_used_again() -> None:
    """Also where the loop has not read its end yet: what is sent on it might have been bought, for all we know."""
    may_end, ended = threading.Event(), threading.Event()

    def serve_twice() -> None:
        for _ in range(2):
            with listener.accept()[0] as peer:
                while not peer.recv(65_536).endswith(b"{}"):
                    pass
                peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                may_end.wait(60)
            ended.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=serve_twice)
        serving.start()
        async with open_session(OutboundGuard(("127.0.0.1",))) as session:
            connections = UpstreamConnections(session)
            url = URL(f"http://127.0.0.1:{listener.getsockname()[1]}/v1/chat/completions")
            for _ in range(2):
                answer = await connections.post(connections.destination(url, None), [], b"{}", on_sent=None)
                assert (answer.status, await answer.read_some(), answer.is_over) == (200, b"ok", True)
                may_end.set()
                ended.wait(60)  # and the loop reads nothing meanwhile
        serving.join()


ANSWERS = {
    b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\nX-A: 1 \r\ncontent-length: 2\r\n\r\nab": b"ab",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\nx-trailer: 1\r\n\r\n": b"ab",
    b"HTTP/1.1 200 OK\r\n\r\nuntil the end": b"until the end",
    b"HTTP/1.1 204 No Content\r\n\r\n": b"",
    b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab and more": b"ab",
    b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab": None,
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n": None,
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnonsense": None,
    b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n": None,
    b"not HTTP": None,
    b"": None,
}
"""What an upstream says before it disconnects, and the body; None where it is no whole answer."""


@pytest.mark.parametrize(("said", "body"), ANSWERS.items())
@pytest.mark.parametrize("is_slow", [False, True])
async def test_answers_as_they_come(said: bytes, body: bytes | None, is_slow: bool) -> None:
    async def answer(exchange: Exchange) -> None:
        for at in range(len(said)) if is_slow else ():
            await exchange.write(said[at : at + 1])
            await asyncio.sleep(0)
        await exchange.write(b"" if is_slow else said)

    async def read() -> bytes:
        answered = await connections.post(destination, [], b"{}", on_sent=None)
        pieces = []
        while not answered.is_over:
            pieces.append(await answered.read_some())
        return b"".join(pieces)

    async with plain_upstream(answer) as upstream, open_session(OutboundGuard(("127.0.0.1",))) as session:
        connections = UpstreamConnections(session)
        destination = connections.destination(URL(f"{upstream.origin}/v1/chat/completions"), None)
        if body is None:
            with pytest.raises(aiohttp.ClientError):
                await read()
        else:
            assert await read() == body


async def test_a_header_never_begins_another() -> None:
    async with aiohttp.ClientSession() as session:
        destination = RelayDestination(URL("http://[::1]:8080/v1/chat?a=b"), None, session)
        head = destination.head_with([(b"x-a", b"1")], 3)
        assert (
            head == b"POST /v1/chat?a=b HTTP/1.1\r\nHost: [::1]:8080\r\nx-a: 1\r\nContent-Length: 3\r\n\r\n"
        )
        for bad in ((b"x-a", b"1\r\nx-b: 2"), (b"x-a\n", b"1"), (b"x-a", b"\0")):
            with pytest.raises(ValueError, match="one line"):
                destination.head_with([bad], 0)
        with pytest.raises(aiohttp.NonHttpUrlClientError):
            RelayDestination(URL("ftp://vendor.example/"), None, session)
