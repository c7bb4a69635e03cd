"""What stands before a relayed call: the proxy's word, and one request of our own making to the upstream."""

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
