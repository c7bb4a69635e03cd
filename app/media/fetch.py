"""Downloads from addresses that clients and upstreams give: inputs and results."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx2
import structlog

from app.errors import FilmgateError, InvalidRequest, PayloadTooLarge, PollFailed
from app.media.guard import OutboundGuard

log = structlog.get_logger(__name__)

REDIRECTS = {301, 302, 303, 307, 308}
MAX_REDIRECTS = 3
# Uncompressed bytes only: a small compressed answer could unpack into gigabytes.
HEADERS = {"accept": "*/*", "accept-encoding": "identity", "user-agent": "filmgate"}
PAGE_TYPES = ("text/html", "application/xhtml")
HTTP_FAILURES = (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, UnicodeError)


class MediaFetcher:
    """Downloads through the outbound guard, which checks every redirect again.

    ``seconds`` caps a client's link as a whole, and the time until a result begins or stands still;
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
        self._result_seconds = result_seconds
        self._links = self._create_client(guard.http_transport(verify=verify))
        self._results = self._create_client(guard.http_transport(verify=verify, ports=None))

    def _create_client(self, transport: httpx2.AsyncHTTPTransport) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            transport=transport,
            trust_env=False,
            follow_redirects=False,
            timeout=httpx2.Timeout(self._seconds, connect=min(10.0, self._seconds)),
        )

    async def close(self) -> None:
        await self._links.aclose()
        await self._results.aclose()

    async def fetch_bytes(
        self, url: str, *, limit: int, accept: tuple[str, ...], param: str
    ) -> tuple[bytes, str]:
        """Download a client's link: the bytes and their declared type, which begins with one of ``accept``.

        Raises ``InvalidRequest`` that names ``param``, and ``PayloadTooLarge`` over ``limit`` bytes.
        """
        try:
            async with asyncio.timeout(self._seconds), self._follow_redirects(self._links, url) as response:
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
    async def stream(self, url: str, *, limit: int) -> AsyncIterator[AsyncIterator[bytes]]:
        """Stream an upstream's result: ``async with fetcher.stream(url, limit=n) as pieces``.

        Raises ``PollFailed`` (a later try may work) when it is no media or does not arrive whole, and
        ``PayloadTooLarge`` over ``limit`` bytes; both also from the iterator.
        """
        deadline = asyncio.get_running_loop().time() + self._result_seconds
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(self._seconds):
                    response = await stack.enter_async_context(self._follow_redirects(self._results, url))
            except HTTP_FAILURES as error:
                raise log_interruption(error) from error
            check_result(response)
            yield self._stream_body(response, limit=limit, deadline=deadline)

    async def _stream_body(
        self, response: httpx2.Response, *, limit: int, deadline: float
    ) -> AsyncIterator[bytes]:
        too_large = PayloadTooLarge(f"The result is larger than {limit} bytes")
        loop = asyncio.get_running_loop()
        try:
            async for chunk in read_limited(response, limit=limit, too_large=too_large):
                yield chunk
                if loop.time() > deadline:
                    raise PollFailed(f"The result did not arrive within {self._result_seconds:g} seconds")
        except HTTP_FAILURES as error:
            raise log_interruption(error) from error

    @asynccontextmanager
    async def _follow_redirects(self, client: httpx2.AsyncClient, url: str) -> AsyncIterator[httpx2.Response]:
        address = web_address(httpx2.URL(url))
        for _ in range(MAX_REDIRECTS + 1):
            async with client.stream("GET", address, headers=HEADERS) as response:
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
