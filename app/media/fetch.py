"""Downloads from addresses that clients and upstreams give: inputs and results."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx2
import structlog

from app import USER_AGENT
from app.errors import FilmgateError, InvalidRequest, PayloadTooLarge, PollFailed
from app.media.guard import OutboundGuard
from app.media.peer_shares import PeerShares
from app.providers.base import Account
from app.providers.http_messages import FOREIGN, DownloadPace, keep_pace

log = structlog.get_logger(__name__)

REDIRECTS = {301, 302, 303, 307, 308}
MAX_REDIRECTS = 3
# Uncompressed bytes only: a small compressed answer could unpack into gigabytes.
HEADERS = {"accept": "*/*", "accept-encoding": "identity", "user-agent": USER_AGENT}
PAGE_TYPES = ("text/html", "application/xhtml")
LINKS_AT_ONCE = 200
"""Clients' links that are fetched at the same time: each takes a connection, and as much memory as a file may have."""
LINKS_PER_OWNER = 16
"""Of one key or project. More wait for their turn, and ``seconds`` begin after that."""
LINK_OWNER: ContextVar[str] = ContextVar("link_owner", default="")
"""Whose request the links are fetched for; set where the request is authenticated."""
HTTP_FAILURES = (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, UnicodeError)


@dataclass(frozen=True, slots=True)
class ResultRoute:
    """The way to results of one account: through its proxy, where ``own_host`` is known to the operator."""

    proxy: str | None = None
    own_host: str = ""

    @classmethod
    def of(cls, account: Account, base_url: str) -> "ResultRoute":
        return cls(account.proxy, urlsplit(base_url).hostname or "")


DIRECT = ResultRoute()


class MediaFetcher:
    """Downloads through the outbound guard, which checks every redirect again.

    ``seconds`` caps a client's link as a whole, and the time in which a result begins or comes too slowly;
    ``result_seconds`` caps a result download as a whole.
    """

    def __init__(
        self,
        guard: OutboundGuard,
        *,
        seconds: float = 30.0,
        result_seconds: float = 1800.0,
        verify: ssl.SSLContext | None = None,
    ) -> None:
        self._seconds = seconds
        self._pace = DownloadPace(window_seconds=seconds, whole_seconds=result_seconds)
        self._shares = PeerShares(LINKS_AT_ONCE, per_peer=LINKS_PER_OWNER)
        self._links = self._create_client(guard.http_transport(verify=verify))
        self._transport = guard.http_transport(verify=verify, ports=None)
        self._results: dict[str | None, httpx2.AsyncClient] = {}

    def _create_client(self, transport: httpx2.AsyncHTTPTransport) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            transport=transport,
            trust_env=False,
            follow_redirects=False,
            timeout=httpx2.Timeout(self._seconds, connect=min(10.0, self._seconds)),
        )

    async def close(self) -> None:
        await self._links.aclose()
        for client in self._results.values():
            await client.aclose()
        await self._transport.aclose()

    def _result_client(self, proxy: str | None) -> httpx2.AsyncClient:
        if proxy not in self._results:
            self._results[proxy] = self._create_client(self._transport.via_proxy(proxy))
        return self._results[proxy]

    async def fetch_bytes(
        self, url: str, *, limit: int, accept: tuple[str, ...], param: str
    ) -> tuple[bytes, str]:
        """Download a client's link: the bytes and their declared type, which begins with one of ``accept``.

        Raises ``InvalidRequest`` that names ``param``, and ``PayloadTooLarge`` over ``limit`` bytes.
        """
        try:
            async with (
                self._shares.place(LINK_OWNER.get()),
                asyncio.timeout(self._seconds),
                self._follow_redirects(self._links, url) as response,
            ):
                return await self._read_link(response, limit=limit, accept=accept, param=param)
        except HTTP_FAILURES as error:
            log.info("link.failed", param=param, error=type(error).__name__)
            raise InvalidRequest(f"{param}: the address could not be fetched", param=param) from error

    async def _read_link(
        self, response: httpx2.Response, *, limit: int, accept: tuple[str, ...], param: str
    ) -> tuple[bytes, str]:
        if not response.is_success:
            message = f"{param}: the address answered with HTTP {response.status_code}"
            raise InvalidRequest(message, param=param)
        content_type = declared_type(response)
        if content_type and not content_type.startswith(accept):
            raise InvalidRequest(f"{param}: the address holds {content_type[:100]}", param=param)
        too_large = PayloadTooLarge(f"{param} is larger than {limit} bytes", param=param)
        content = bytearray()
        async for chunk in read_limited(response, limit=limit, too_large=too_large):
            content += chunk
        return bytes(content), content_type

    @asynccontextmanager
    async def stream(
        self, url: str, *, limit: int, route: ResultRoute = DIRECT
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Stream an upstream's result: ``async with fetcher.stream(url, limit=n) as pieces``.

        Raises ``PollFailed`` (a later try may work) when it is no media or does not arrive whole, and
        ``PayloadTooLarge`` over ``limit`` bytes; both also from the iterator.
        """
        client = self._result_client(route.proxy)
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(self._seconds):
                    opening = self._follow_redirects(client, url, own_host=route.own_host)
                    response = await stack.enter_async_context(opening)
            except HTTP_FAILURES as error:
                raise log_interruption(error) from error
            check_result(response)
            yield self._stream_body(response, limit=limit)

    async def _stream_body(self, response: httpx2.Response, *, limit: int) -> AsyncIterator[bytes]:
        too_large = PayloadTooLarge(f"The result is larger than {limit} bytes")
        pieces = read_limited(response, limit=limit, too_large=too_large)
        try:
            async for chunk in keep_pace(pieces, self._pace):
                yield chunk
        except HTTP_FAILURES as error:
            raise log_interruption(error) from error

    @asynccontextmanager
    async def _follow_redirects(
        self, client: httpx2.AsyncClient, url: str, *, own_host: str = ""
    ) -> AsyncIterator[httpx2.Response]:
        address = web_address(httpx2.URL(url))
        for _ in range(MAX_REDIRECTS + 1):
            named = {FOREIGN: address.host != own_host}
            async with client.stream("GET", address, headers=HEADERS, extensions=named) as response:
                target = response.headers.get("location", "")
                if response.status_code not in REDIRECTS or not target:
                    yield response
                    return
            address = web_address(address.join(target))
        raise httpx2.TooManyRedirects("Too many redirects")


def web_address(url: httpx2.URL) -> httpx2.URL:
    if url.scheme not in ("http", "https") or not url.host or url.userinfo:
        raise httpx2.UnsupportedProtocol("Only plain http and https addresses are fetched")
    return url


def declared_type(response: httpx2.Response) -> str:
    value: str = response.headers.get("content-type", "")
    return value.partition(";")[0].strip().lower()


async def read_limited(
    response: httpx2.Response, *, limit: int, too_large: FilmgateError
) -> AsyncIterator[bytes]:
    """The raw body. Raises ``too_large`` as soon as it exceeds ``limit`` bytes."""
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise httpx2.DecodingError("The body is compressed although plain bytes were asked for")
    length = response.headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise too_large
    received = 0
    async for chunk in response.aiter_raw():
        received += len(chunk)
        if received > limit:
            raise too_large
        yield chunk


def check_result(response: httpx2.Response) -> None:
    if not response.is_success:
        raise PollFailed(f"The result could not be downloaded: HTTP {response.status_code}")
    content_type = declared_type(response)
    if content_type.startswith(PAGE_TYPES):
        raise PollFailed(f"The result's address holds {content_type} instead of media")


def log_interruption(error: BaseException) -> PollFailed:
    log.warning("result.interrupted", error=type(error).__name__)
    return PollFailed("The result could not be downloaded whole")
