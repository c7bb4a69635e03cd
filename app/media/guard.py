"""The outbound guard: resolves a host once, checks every address, and connects to a checked address only."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from functools import partial
from typing import Any, cast

import aiohttp
import httpcore2
import httpx2
import structlog
from aiohttp.abc import ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from app.errors import OutboundRefused
from app.media.addresses import is_disguised, is_public, parse_address, read_allowed
from app.media.head_limit import LimitedHandler, LimitedStream, WatchfulHandler, head_limit
from app.media.trusted_roots import LateContext
from app.providers.http_messages import FOREIGN
from app.providers.transport import CONNECTION_BROKEN, NotConnected, PoolExhausted, UpstreamTransport

log = structlog.get_logger(__name__)

HostResolver = Callable[[str, int], Awaitable[list[str]]]
WEB_PORTS: frozenset[int] = frozenset({80, 443})
RESOLVE_SECONDS = 10.0
PROXIED_RESOLVE_SECONDS = 3.0
"""For a name that a proxy will resolve itself; where there is no name service, nobody waits long for it."""
ADDRESSES_TRIED = 3
# The same text for refused, unknown and unreachable: answers must not reveal our network.
UNREACHABLE = "The address could not be reached."


class OutboundGuard:
    """Decides where this process may connect to: the public internet, and what ``allow`` lists.

    ``allow`` holds host names, addresses and CIDRs; they are reachable on any port. Everything else must
    be public, and on one of ``ports`` (None: any). ``resolve`` stands in for the system's resolver.
    """

    def __init__(self, allow: tuple[str, ...] = (), resolve: HostResolver | None = None) -> None:
        entries = [read_allowed(entry) for entry in allow]
        self._allowed_hosts = frozenset(entry for entry in entries if isinstance(entry, str))
        self._allowed_networks = tuple(entry for entry in entries if not isinstance(entry, str))
        self._resolve = resolve or self._ask_system_resolver
        self._tls = LateContext()
        # Separate threads: a name server that hangs must not delay file reads in the default pool.
        self._threads = ThreadPoolExecutor(max_workers=16, thread_name_prefix="resolve")

    def allows_address(self, ip: str) -> bool:
        """Whether a connection to this address is allowed. False for text that is no address."""
        try:
            return is_public(parse_address(ip)) or self._is_listed(ip)
        except ValueError:
            return False

    def lists_host(self, host: str) -> bool:
        """Whether the operator's list contains this host name or this address."""
        name = host.strip("[]").lower().rstrip(".")
        try:
            return self._is_listed(name)
        except ValueError:
            return name in self._allowed_hosts

    async def resolve(self, host: str, port: int, *, ports: Collection[int] | None = WEB_PORTS) -> list[str]:
        """The allowed addresses of ``host``, best first. Raises ``OutboundRefused``.

        One bad address among the answers refuses the name as a whole.
        """
        name = host.strip("[]").lower().rstrip(".")
        try:
            addresses = await self._find_addresses(name, port)
        except (OSError, UnicodeError, TimeoutError) as error:
            raise self._refusal_error(host, port, reason="no_address") from error
        if not addresses:
            raise self._refusal_error(host, port, reason="no_address")
        if name in self._allowed_hosts:
            return addresses
        if not all(self.allows_address(ip) for ip in addresses):
            raise self._refusal_error(host, port, reason="address")
        if ports is not None and port not in ports and not all(self._is_listed(ip) for ip in addresses):
            raise self._refusal_error(host, port, reason="port")
        return addresses

    def judge_literal(self, host: str) -> None:
        """Before a proxy is asked for ``host``: raises ``OutboundRefused`` for an address that is not allowed."""
        name = host.strip("[]").lower().rstrip(".")
        if self.lists_host(name):
            return
        try:
            allowed = is_public(parse_address(name))
        except ValueError:
            allowed = not is_disguised(name)
        if not allowed:
            raise self._refusal_error(host, 0, reason="address")

    async def judge_foreign(self, host: str, port: int) -> None:
        """Before a proxy is asked for an address that a peer named. Raises ``OutboundRefused``.

        The proxy resolves the name again, so this only refuses what is wrong from here as well. A name that does not
        resolve here may lead anywhere in the proxy's network: it must be on the operator's list.
        """
        self.judge_literal(host)
        if self.lists_host(host):
            return
        try:
            async with asyncio.timeout(PROXIED_RESOLVE_SECONDS):
                await self.resolve(host, port, ports=None)
        except TimeoutError as error:
            raise self._refusal_error(host, port, reason="no_address") from error

    def http_transport(
        self,
        *,
        ports: Collection[int] | None = WEB_PORTS,
        limits: httpx2.Limits | None = None,
        verify: ssl.SSLContext | None = None,
        inner: httpcore2.AsyncNetworkBackend | None = None,
    ) -> "GuardedTransport":
        """For ``httpx2.AsyncClient(transport=…, trust_env=False)``; ``inner`` opens the connections."""
        backend = GuardedBackend(self, ports=ports, inner=inner or httpcore2.AnyIOBackend())
        return GuardedTransport(self, backend, limits=limits or httpx2.Limits(), verify=verify or self._tls)

    def aiohttp_connector(
        self, *, ports: Collection[int] | None = WEB_PORTS, **options: Any
    ) -> aiohttp.TCPConnector:
        """For ``aiohttp.ClientSession(connector=…)``; ``options`` are those of ``TCPConnector``."""
        return GuardedConnector(self, ports=ports, **options)

    def upstream_transport(
        self, *, limit: int = 100, idle_seconds: float = 5.0, verify: ssl.SSLContext | None = None
    ) -> UpstreamTransport:
        """For providers: ``limit`` connections at once, of which each is idle for ``idle_seconds`` at most."""
        connector = GuardedConnector(
            self,
            ports=None,
            handler=WatchfulHandler,
            ssl=verify or self._tls,
            limit=limit,
            keepalive_timeout=idle_seconds,
        )
        return UpstreamTransport(connector, judge_foreign=self.judge_foreign)

    async def _find_addresses(self, name: str, port: int) -> list[str]:
        try:
            return [str(parse_address(name))]
        except ValueError:
            if is_disguised(name):
                return []
        async with asyncio.timeout(RESOLVE_SECONDS):
            return await self._resolve(name, port)

    async def _ask_system_resolver(self, host: str, port: int) -> list[str]:
        def look_up_host() -> list[str]:
            entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            return list(dict.fromkeys(str(entry[4][0]) for entry in entries))

        return await asyncio.get_running_loop().run_in_executor(self._threads, look_up_host)

    def _is_listed(self, ip: str) -> bool:
        address = parse_address(ip)
        return any(address in network for network in self._allowed_networks)

    def _refusal_error(self, host: str, port: int, *, reason: str) -> OutboundRefused:
        log.warning("outbound.refused", host=host, port=port, reason=reason)
        return OutboundRefused(UNREACHABLE)


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Opens connections for httpx2. TLS above it still verifies the host name."""

    def __init__(
        self, guard: OutboundGuard, *, ports: Collection[int] | None, inner: httpcore2.AsyncNetworkBackend
    ) -> None:
        self._guard = guard
        self._ports = ports
        self._inner = inner

    async def connect_tcp(  # type: ignore[override]  # httpcore2 passes these by name
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        *,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        try:
            addresses = await self._guard.resolve(host, port, ports=self._ports)
        except OutboundRefused as refusal:
            raise httpcore2.ConnectError(refusal.message) from refusal
        failures: list[Exception] = []
        for address in addresses[:ADDRESSES_TRIED]:
            try:
                stream = await self._inner.connect_tcp(
                    address, port, timeout=timeout, local_address=local_address, socket_options=socket_options
                )
                return LimitedStream(stream)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failures.append(error)
        # The first failure: addresses are sorted best first, and a second address family is often unreachable anyway.
        failure = type(failures[0])(UNREACHABLE)
        failure.__context__ = failures[0]  # httpx2 drops a cause but keeps the context
        raise failure

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore2.AsyncNetworkStream:
        raise httpcore2.ConnectError(UNREACHABLE)

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class GuardedTransport(httpx2.AsyncHTTPTransport):
    """httpx2's transport with a guarded connection pool.

    httpx2 offers no argument for a network backend, so its pool is set here instead of by its
    constructor; the exact version of httpx2 is pinned and the tests dial through it.
    """

    def __init__(
        self,
        guard: OutboundGuard,
        backend: httpcore2.AsyncNetworkBackend,
        *,
        limits: httpx2.Limits,
        verify: ssl.SSLContext,
    ) -> None:
        self._guard = guard
        self._is_proxied = False
        self._backend = backend
        self._verify = verify
        self._options: dict[str, Any] = {
            "max_connections": limits.max_connections,
            "max_keepalive_connections": limits.max_keepalive_connections,
            "keepalive_expiry": limits.keepalive_expiry,
        }
        self._by_proxy: dict[str, GuardedTransport] = {}
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=verify, network_backend=backend, **self._options
        )

    def via_proxy(self, proxy: str | None) -> "GuardedTransport":
        """The same transport through an HTTP proxy. The guard checks the proxy's address, and judges the target before
        the proxy is asked for it. Closed together with this transport."""
        if proxy is None:
            return self
        transport = self._by_proxy.get(proxy)
        if transport is None:
            transport = self._by_proxy[proxy] = copy(self)
            address = httpx2.Proxy(proxy)
            transport._by_proxy = {}
            transport._is_proxied = True
            transport._pool = httpcore2.AsyncHTTPProxy(
                httpcore2.URL(
                    scheme=address.url.raw_scheme,
                    host=address.url.raw_host,
                    port=address.url.port,
                    target=address.url.raw_path,
                ),
                proxy_auth=address.raw_auth,
                ssl_context=self._verify,
                network_backend=self._backend,
                **self._options,
            )
        return transport

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if self._is_proxied:
            await self._judge_target(request)
        with head_limit():
            return await super().handle_async_request(request)

    async def _judge_target(self, request: httpx2.Request) -> None:
        """The operator named the account's own host and its proxy; what a peer named is looked up first."""
        host, port = request.url.host, request.url.port or (443 if request.url.scheme == "https" else 80)
        try:
            if request.extensions.get(FOREIGN):
                await self._guard.judge_foreign(host, port)
            else:
                self._guard.judge_literal(host)
        except OutboundRefused as refusal:
            raise httpx2.ConnectError(refusal.message, request=request) from refusal

    async def aclose(self) -> None:
        for other in self._by_proxy.values():
            await other.aclose()
        await super().aclose()


class GuardedConnector(aiohttp.TCPConnector):
    """aiohttp's connector. Whatever keeps it from making a connection is raised as ``NotConnected``, whoever failed: our
    pool, the resolver, the guard, a proxy that was asked for a tunnel, TLS.

    aiohttp never asks its resolver about IP literals and takes no class for its connections, so methods and attributes
    are overridden here that are not public; its exact version is pinned, and the tests dial through it.
    """

    def __init__(
        self,
        guard: OutboundGuard,
        *,
        ports: Collection[int] | None,
        handler: type[LimitedHandler] = LimitedHandler,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._factory = cast("partial[ResponseHandler]", partial(handler, loop=self._loop))
        self._guard = guard
        self._ports = ports

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        try:
            if req.proxy is not None:
                self._guard.judge_literal(req.url.raw_host or "")
            return await super().connect(req, traces, timeout)
        except (*CONNECTION_BROKEN, OutboundRefused) as error:
            if isinstance(error, TimeoutError) and self._available_connections(req.connection_key) <= 0:
                raise PoolExhausted("every connection is in use") from error
            raise NotConnected(UNREACHABLE) from error

    async def _resolve_host(self, host: str, port: int, traces: object = None) -> list[ResolveResult]:
        try:
            addresses = await self._guard.resolve(host, port, ports=self._ports)
        except OutboundRefused as refusal:
            raise OSError(refusal.message) from refusal
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in addresses
        ]
