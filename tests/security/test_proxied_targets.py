"""What an account's proxy is asked for: everything to its upstream, and nothing inside the proxy's network that an
upstream names."""

from collections.abc import Awaitable, Callable

import aiohttp
import httpx2
import pytest
from aiohttp import web

from app.errors import PollFailed
from app.media.fetch import MediaFetcher, ResultRoute
from app.media.guard import OutboundGuard
from app.providers.http import UpstreamClient
from app.providers.http_messages import FOREIGN
from app.providers.transport import NotConnected
from tests.forward_proxy import ForwardProxy, forward_proxy
from tests.media.conftest import Serve, serve
from tests.relay.conftest import gateway
from tests.relay.gateway import RelayGateway
from tests.relay.test_realtime import dial, upstream
from tests.security.test_outbound_guard import HOSTILE, resolve

__all__ = ["gateway", "serve"]
LOOPBACK = ("127.0.0.1",)
LISTED = {"127.0.0.1", "127.0.0.1.", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"}
INSIDE = [
    "http://169.254.169.254/latest",
    "http://10.0.0.5/",
    "http://[fd00:ec2::254]/",
    "http://2130706433/",
]
NAMED_INSIDE = ["http://internal.test/", "http://metadata.test/", "http://mixed.test/", "http://localhost/"]
UNKNOWN = "http://metadata.proxys-network.internal/"


async def ask(guard: OutboundGuard, proxy: ForwardProxy, url: str, *, foreign: bool) -> int:
    transport = guard.http_transport(ports=None)
    async with httpx2.AsyncClient(transport=transport.via_proxy(proxy.url), trust_env=False) as client:
        try:
            return (await client.get(url, extensions={FOREIGN: foreign})).status_code
        finally:
            await transport.aclose()


async def test_a_proxy_is_not_asked_for_what_is_inside() -> None:
    guard = OutboundGuard(LOOPBACK, resolve=resolve)
    async with forward_proxy() as proxy:
        for host in (*sorted({*HOSTILE} - LISTED), "①②⑦.1", "127。0。0。9"):
            for url in (f"http://{host}/", f"https://{host}:8443/"):
                with pytest.raises((httpx2.HTTPError, httpx2.InvalidURL)):
                    await ask(guard, proxy, url, foreign=True)
        for url in INSIDE:
            with pytest.raises(httpx2.ConnectError):
                await ask(guard, proxy, url, foreign=False)
        assert proxy.asked == []


async def test_the_operators_list_and_own_names_are_passed_on(serve: Serve) -> None:
    base = await serve(answering(b"film"))
    port = int(base.rpartition(":")[2])
    async with forward_proxy() as proxy:
        proxy.names = dict.fromkeys(("internal.test", "only-there.test", "listed.test", "10.0.0.5"), port)
        guard = OutboundGuard((*LOOPBACK, "listed.test", "10.0.0.0/8"), resolve=resolve)
        for url in ("http://listed.test/", "http://10.0.0.5/", base):
            assert await ask(guard, proxy, url, foreign=True) == 200
        # The account's own host: the operator named it, and perhaps only the proxy can resolve it.
        assert await ask(guard, proxy, "http://only-there.test/", foreign=False) == 200
        with pytest.raises(httpx2.ConnectError):
            await ask(guard, proxy, "http://only-there.test/", foreign=True)


@pytest.mark.parametrize("target", [*INSIDE, *NAMED_INSIDE, UNKNOWN])
async def test_redirects_of_results_are_judged_before_the_proxy_gets_them(serve: Serve, target: str) -> None:
    async def redirect(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"location": target})

    base = await serve(redirect)
    guard = OutboundGuard(LOOPBACK, resolve=resolve)
    transport = guard.upstream_transport()
    async with forward_proxy() as proxy:
        client = UpstreamClient(transport.via_proxy(proxy.url), base_url=base, headers={"X-Key": "secret"})
        with pytest.raises(PollFailed):
            async with client.open_download("/film"):
                pass
        assert proxy.asked == [f"GET {base}/film"]
        fetcher = MediaFetcher(guard)
        route = ResultRoute(proxy.url, own_host="127.0.0.1")
        for url in (f"{base}/linked", target):
            with pytest.raises(PollFailed):
                async with fetcher.stream(url, limit=1000, route=route):
                    pass
        await fetcher.close()
        assert proxy.asked == [f"GET {base}/film", f"GET {base}/linked"]
    await transport.aclose()


async def test_a_results_link_is_fetched_through_the_accounts_proxy(serve: Serve) -> None:
    base = await serve(answering(b"film"))
    async with forward_proxy() as proxy:
        fetcher = MediaFetcher(OutboundGuard(LOOPBACK))
        async with fetcher.stream(f"{base}/film.mp4", limit=1000, route=ResultRoute(proxy.url)) as pieces:
            assert b"".join([piece async for piece in pieces]) == b"film"
        await fetcher.close()
        assert proxy.asked == [f"GET {base}/film.mp4"]


async def test_realtime_goes_through_the_accounts_proxy(gateway: RelayGateway) -> None:
    async with forward_proxy() as proxy, upstream() as origin:
        await gateway.add_account(origin, proxy=proxy.url)
        async with dial(gateway) as client:
            await client.send("hello")
            assert await client.recv() == "hello"
        assert [asked.partition("?")[0] for asked in proxy.asked] == [f"GET {origin}/v1/realtime"]


@pytest.mark.parametrize("path", ["chat", "realtime"])
async def test_relayed_calls_ask_a_proxy_for_nothing_inside(gateway: RelayGateway, path: str) -> None:
    async with forward_proxy() as proxy:
        await gateway.add_account("http://169.254.169.254", proxy=proxy.url)
        if path == "chat":
            assert (await gateway.send_chat()).status_code in (502, 503)
        else:
            async with dial(gateway) as client:
                assert "can't be reached" in str(await client.recv())
        assert proxy.asked == []


async def test_aiohttp_judges_also_a_connection_that_is_kept_open(serve: Serve) -> None:
    base = await serve(answering(b"film"))
    async with forward_proxy() as proxy:
        connector = OutboundGuard(LOOPBACK).aiohttp_connector(ports=None)
        async with aiohttp.ClientSession(connector=connector, trust_env=False) as session:
            async with session.get(base, proxy=proxy.url) as answer:
                assert await answer.read() == b"film"
            with pytest.raises(NotConnected):
                await session.get("http://10.0.0.5/", proxy=proxy.url)
        assert proxy.asked == [f"GET {base}"]


def answering(body: bytes) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=body, headers={"content-type": "video/mp4"})

    return answer
