"""The outbound guard: resolves a host once, checks every address, and connects to a checked address only."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

import aiohttp
import httpcore2
import httpx2
import structlog
from aiohttp.abc import ResolveResult

from app.errors import OutboundRefused

log = structlog.get_logger(__name__)

HostResolver = Callable[[str, int], Awaitable[list[str]]]
WEB_PORTS: frozenset[int] = frozenset({80, 443})
RESOLVE_SECONDS = 10.0
ADDRESSES_TRIED = 3
# The same text for refused, unknown and unreachable: answers must not reveal our network.
UNREACHABLE = "The address could not be reached."
Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

CLOSED_IPV4 = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier NAT, and one cloud's metadata service
        "127.0.0.0/8",
        "169.254.0.0/16",  # link local, and most clouds' metadata services
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments, and one cloud's metadata service
        "192.0.2.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
OPEN_IPV6 = IPv6Network("2000::/3")
CLOSED_IPV6 = tuple(
    IPv6Network(block)
    for block in (
        "2001::/23",  # Teredo, benchmarks, ORCHID
        "2001:db8::/32",
        "2002::/16",  # 6to4 hides an IPv4 address
        "3fff::/20",
    )
)


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
        return GuardedTransport(backend, limits=limits or httpx2.Limits(), verify=verify or self._tls_context)

    def aiohttp_connector(
        self, *, ports: Collection[int] | None = WEB_PORTS, **options: Any
    ) -> aiohttp.TCPConnector:
        """For ``aiohttp.ClientSession(connector=…)``; ``options`` are those of ``TCPConnector``."""
        return GuardedConnector(self, ports=ports, **options)

    @cached_property
    def _tls_context(self) -> ssl.SSLContext:
        # Shared, because loading the trusted roots for every client costs time and megabytes.
        return httpx2.create_ssl_context()

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
                return await self._inner.connect_tcp(
                    address, port, timeout=timeout, local_address=local_address, socket_options=socket_options
                )
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
        self, backend: httpcore2.AsyncNetworkBackend, *, limits: httpx2.Limits, verify: ssl.SSLContext
    ) -> None:
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
        """The same transport through an HTTP proxy. The guard checks the proxy's address; the proxy decides where it
        connects to. Closed together with this transport."""
        if proxy is None:
            return self
        transport = self._by_proxy.get(proxy)
        if transport is None:
            transport = self._by_proxy[proxy] = copy(self)
            address = httpx2.Proxy(proxy)
            transport._by_proxy = {}
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

    async def aclose(self) -> None:
        for other in self._by_proxy.values():
            await other.aclose()
        await super().aclose()


class GuardedConnector(aiohttp.TCPConnector):
    """aiohttp's connector. It never asks its resolver about IP literals, so the method above that is overridden."""

    def __init__(self, guard: OutboundGuard, *, ports: Collection[int] | None, **options: Any) -> None:
        super().__init__(**options)
        self._guard = guard
        self._ports = ports

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


def parse_address(text: str) -> Address:
    """Read one address; an IPv4 address wrapped in IPv6 comes out as IPv4. Raises ``ValueError``."""
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in block for block in CLOSED_IPV4)
    return address in OPEN_IPV6 and not any(address in block for block in CLOSED_IPV6)


def is_disguised(host: str) -> bool:
    """Whether ``host`` is a number that the operating system would interpret as an IPv4 address.

    ``127.1``, ``2130706433``, ``0x7f.0.0.1`` and the like: no real host name ends in a number.
    """
    last = host.rstrip(".").rpartition(".")[2].lower()
    if last.isdigit():
        return True
    return last.startswith("0x") and all(digit in "0123456789abcdef" for digit in last[2:])


def read_allowed(entry: str) -> Network | str:
    """One entry of the allow-list: a network (or single address), or a host name in lower case."""
    try:
        return ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return entry.lower().rstrip(".")
