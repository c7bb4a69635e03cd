"""Why an upstream can't be reached: itself, this machine, or the network between."""

import asyncio
import errno
import socket
from collections.abc import Iterable
from typing import Any

import pytest
from pydantic import BaseModel

from app.errors import LocalConnectionsExhausted, NetworkDown, UpstreamError, UpstreamUnreachable
from app.media.guard import OutboundGuard
from app.providers.http import UpstreamClient
from tests.upstream import closed_port


async def fault(guard: OutboundGuard, url: str) -> type:
    """The kind of error that a submission meets."""
    async with guard.upstream_transport() as transport:
        client = UpstreamClient(transport, base_url=url, headers={})
        with pytest.raises(UpstreamError) as met:
            await client.post_json("/", {}, answer=BaseModel)
    return type(met.value)


def break_sockets(monkeypatch: pytest.MonkeyPatch, errors: Iterable[OSError]) -> None:
    """Connecting raises ``errors`` one after the other, as the system's own calls would."""
    left = iter(errors)

    async def refuse(*_: Any, **__: Any) -> None:
        raise next(left)

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", refuse)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ECONNREFUSED, UpstreamUnreachable),
        (errno.EHOSTUNREACH, UpstreamUnreachable),
        (errno.EMFILE, LocalConnectionsExhausted),
        (errno.EADDRNOTAVAIL, LocalConnectionsExhausted),
        (errno.ENETUNREACH, NetworkDown),
        (errno.ENETDOWN, NetworkDown),
    ],
    ids=lambda value: errno.errorcode[value] if isinstance(value, int) else "",
)
async def test_what_the_system_says(monkeypatch: pytest.MonkeyPatch, number: int, kind: type) -> None:
    break_sockets(monkeypatch, [OSError(number, "as the system says it")])
    assert await fault(OutboundGuard(("127.0.0.1",)), "http://127.0.0.1:9/") is kind


@pytest.mark.parametrize(
    ("code", "kind"), [(socket.EAI_AGAIN, NetworkDown), (socket.EAI_NONAME, UpstreamUnreachable)]
)
async def test_a_name_that_does_not_resolve(code: int, kind: type) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        raise socket.gaierror(code, "as the resolver says it")

    assert await fault(OutboundGuard(resolve=resolve), "http://upstream.example/") is kind


async def test_one_address_that_can_be_reached_says_that_the_network_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"]

    refused, unreachable = OSError(errno.ECONNREFUSED, "no"), OSError(errno.ENETUNREACH, "no IPv6 here")
    guard = OutboundGuard(resolve=resolve)
    break_sockets(monkeypatch, [refused, unreachable])
    assert await fault(guard, "http://upstream.example/") is UpstreamUnreachable


async def test_a_port_without_a_listener() -> None:
    guard = OutboundGuard(("127.0.0.1",))
    assert await fault(guard, f"http://127.0.0.1:{closed_port()}/") is UpstreamUnreachable
