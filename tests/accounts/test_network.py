"""Why an upstream can't be reached: itself, this machine, or the network between."""

import errno
import socket
from collections.abc import Iterable
from typing import Any

import httpcore2
import httpx2
import pytest

from app.errors import LocalConnectionsExhausted, NetworkDown, UpstreamUnreachable
from app.media.guard import OutboundGuard
from app.providers.http_errors import connection_error
from tests.upstream import closed_port


class Broken(httpcore2.AsyncNetworkBackend):
    """Connects like the real backend and raises ``errors`` one after the other."""

    def __init__(self, errors: Iterable[OSError]) -> None:
        self._errors = iter(errors)

    async def connect_tcp(self, *_: Any, **__: Any) -> httpcore2.AsyncNetworkStream:
        error = next(self._errors)
        raise httpcore2.ConnectError(error) from error


async def fault(
    guard: OutboundGuard, url: str, *, inner: httpcore2.AsyncNetworkBackend | None = None
) -> type:
    """The kind of error that a submission meets."""
    async with httpx2.AsyncClient(transport=guard.http_transport(ports=None, inner=inner)) as client:
        with pytest.raises(httpx2.TransportError) as met:
            await client.post(url)
    return type(connection_error(met.value, submits=True))


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
async def test_what_the_system_says(number: int, kind: type) -> None:
    inner = Broken([OSError(number, "as the system says it")])
    assert await fault(OutboundGuard(("127.0.0.1",)), "http://127.0.0.1:9/", inner=inner) is kind


@pytest.mark.parametrize(
    ("code", "kind"), [(socket.EAI_AGAIN, NetworkDown), (socket.EAI_NONAME, UpstreamUnreachable)]
)
async def test_a_name_that_does_not_resolve(code: int, kind: type) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        raise socket.gaierror(code, "as the resolver says it")

    assert await fault(OutboundGuard(resolve=resolve), "http://upstream.example/") is kind


async def test_the_first_address_decides() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"]

    refused, unreachable = OSError(errno.ECONNREFUSED, "no"), OSError(errno.ENETUNREACH, "no IPv6 here")
    guard = OutboundGuard(resolve=resolve)
    inner = Broken([refused, unreachable])
    assert await fault(guard, "http://upstream.example/", inner=inner) is UpstreamUnreachable


async def test_a_port_without_a_listener() -> None:
    guard = OutboundGuard(("127.0.0.1",))
    assert await fault(guard, f"http://127.0.0.1:{closed_port()}/") is UpstreamUnreachable


def test_no_connection_left_in_our_own_pool() -> None:
    assert type(connection_error(httpx2.PoolTimeout("full"), submits=True)) is LocalConnectionsExhausted
