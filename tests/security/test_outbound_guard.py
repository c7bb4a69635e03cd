"""No hostile address is ever dialled, by either HTTP client; nothing here leaves the process."""

import asyncio
import datetime
import ipaddress
import socket
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import httpcore2
import httpx2
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from structlog.testing import capture_logs

from app.errors import OutboundRefused
from app.media.guard import UNREACHABLE, OutboundGuard
from app.providers.transport import NotConnected

TLS = httpx2.create_ssl_context()
PUBLIC = "8.8.8.8"
PUBLIC_6 = "2606:4700:4700::1111"
HOSTILE = [
    "127.0.0.1",
    "127.1",
    "127.8.9.10",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "017700000001",
    "127.0.0.1.",
    "0",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "169.254.1.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "[::]",
    "[::1]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::a00:1]",
    "[100::1]",
    "[2001::1]",
    "[2001:db8::1]",
    "[2002:7f00:1::]",
    "[3fff::1]",
    "[5f00::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "[fec0::1]",
    "[ff02::1]",
    "localhost",
    "internal.test",
    "metadata.test",
    "mixed.test",
    "mixed6.test",
    "unknown.test",
]
NAMES = {
    "localhost": ["127.0.0.1", "::1"],
    "internal.test": ["10.1.2.3"],
    "metadata.test": ["fd00:ec2::254"],
    "mixed.test": [PUBLIC, "192.168.0.9"],
    "mixed6.test": [PUBLIC_6, "::ffff:10.0.0.1"],
    "good.test": [PUBLIC, PUBLIC_6],
    "zone.test": ["fe80::1%lo"],
    "odd.test": ["not an address"],
}


async def resolve(host: str, port: int) -> list[str]:
    if host in NAMES:
        return NAMES[host]
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    return [str(entry[4][0]) for entry in found]


class Dialler(httpcore2.AsyncNetworkBackend):
    """Notes what would be dialled; answers with what it is given, or not at all."""

    def __init__(self, *answers: bytes) -> None:
        self.dialled: list[tuple[str, int]] = []
        self.answers = list(answers)

    async def connect_tcp(self, host: str, port: int, **_: Any) -> httpcore2.AsyncNetworkStream:
        self.dialled.append((host, port))
        if not self.answers:
            raise httpcore2.ConnectError("connection refused by 10.9.9.9")
        return httpcore2.AsyncMockStream([self.answers.pop(0)])


class Sockets:
    """The same for aiohttp: notes the address and gives no socket."""

    def __init__(self) -> None:
        self.dialled: list[tuple[str, int]] = []

    def __call__(self, info: Any) -> socket.socket:
        self.dialled.append(info[4][:2])
        raise OSError("no network in this test")


async def get(guard: OutboundGuard, url: str, dialler: Dialler, **options: Any) -> httpx2.Response:
    transport = guard.http_transport(inner=dialler, verify=TLS, **options)
    async with httpx2.AsyncClient(transport=transport, trust_env=False) as client:
        return await client.get(url)


async def aio_get(guard: OutboundGuard, url: str, sockets: Sockets, **options: Any) -> None:
    connector = guard.aiohttp_connector(socket_factory=sockets, **options)
    async with aiohttp.ClientSession(connector=connector, trust_env=False) as session, session.get(url):
        pass


def redirect(url: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nlocation: {url}\r\ncontent-length: 0\r\n\r\n".encode()


@pytest.mark.parametrize("host", HOSTILE)
@pytest.mark.parametrize("ports", [frozenset({80, 443}), None], ids=["web", "any-port"])
async def test_hostile_hosts_are_not_dialled(host: str, ports: frozenset[int] | None) -> None:
    guard, dialler, sockets = OutboundGuard(resolve=resolve), Dialler(), Sockets()
    for scheme in ("http", "https"):
        with pytest.raises((httpx2.ConnectError, httpx2.InvalidURL)):
            await get(guard, f"{scheme}://{host}/", dialler, ports=ports)
        with pytest.raises(aiohttp.ClientError):
            await aio_get(guard, f"{scheme}://{host}/", sockets, ports=ports)
    assert dialler.dialled == []
    assert sockets.dialled == []


@pytest.mark.parametrize("host", ["①②⑦.⓪.⓪.①", "１２７.0.0.1", "127。0。0。1", "zone.test", "odd.test", ""])
async def test_disguises_are_not_dialled(host: str) -> None:
    guard, dialler, sockets = OutboundGuard(resolve=resolve), Dialler(), Sockets()
    with pytest.raises((httpx2.HTTPError, httpx2.InvalidURL)):
        await get(guard, f"http://{host}/", dialler)
    with pytest.raises((aiohttp.ClientError, ValueError)):
        await aio_get(guard, f"http://{host}/", sockets)
    assert dialler.dialled == sockets.dialled == []


@pytest.mark.parametrize("port", [1, 22, 25, 81, 6379, 8080, 65535])
async def test_odd_ports_of_public_hosts(port: int) -> None:
    guard, dialler, sockets = OutboundGuard(resolve=resolve), Dialler(), Sockets()
    url = f"http://good.test:{port}/"
    with pytest.raises(httpx2.ConnectError):
        await get(guard, url, dialler)
    with pytest.raises(aiohttp.ClientError):
        await aio_get(guard, url, sockets)
    assert dialler.dialled == sockets.dialled == []

    with pytest.raises(httpx2.ConnectError):
        await get(guard, url, dialler, ports=None)
    with pytest.raises(aiohttp.ClientError):
        await aio_get(guard, url, sockets, ports=None)
    assert dialler.dialled == [(PUBLIC, port), (PUBLIC_6, port)]
    assert set(sockets.dialled) == {(PUBLIC, port), (PUBLIC_6, port)}


async def test_a_rebinding_name_is_judged_at_every_dial() -> None:
    answers = [[PUBLIC], ["127.0.0.1"], [PUBLIC], ["127.0.0.1"]]

    async def rebinding(host: str, port: int) -> list[str]:
        return answers.pop(0)

    guard, dialler, sockets = OutboundGuard(resolve=rebinding), Dialler(), Sockets()
    for _ in range(2):
        with pytest.raises(httpx2.ConnectError):
            await get(guard, "http://rebind.test/", dialler)
    connector = guard.aiohttp_connector(socket_factory=sockets)
    async with aiohttp.ClientSession(connector=connector) as session:
        for _ in range(2):
            with pytest.raises(aiohttp.ClientError):
                await session.get("http://rebind.test/")
    assert dialler.dialled == [(PUBLIC, 80)]
    assert sockets.dialled == [(PUBLIC, 80)]
    assert answers == []


@pytest.mark.parametrize("target", ["http://127.0.0.1/", "http://169.254.169.254/latest", "http://[::1]:80/"])
async def test_a_redirect_inside_is_not_followed(target: str) -> None:
    guard, dialler = OutboundGuard(resolve=resolve), Dialler(redirect(target))
    transport = guard.http_transport(inner=dialler)
    async with httpx2.AsyncClient(transport=transport, trust_env=False) as client:
        with pytest.raises(httpx2.ConnectError):
            await client.get("http://good.test/", follow_redirects=True)
    assert dialler.dialled == [(PUBLIC, 80)]


async def test_unix_sockets_are_closed() -> None:
    transport = OutboundGuard().http_transport(inner=Dialler())
    with pytest.raises(httpcore2.ConnectError):
        await transport._pool._network_backend.connect_unix_socket("/run/docker.sock")  # type: ignore[union-attr]
    await transport.aclose()


async def test_refused_and_unreachable_read_the_same_and_only_the_log_knows() -> None:
    guard, texts = OutboundGuard(resolve=resolve), set()
    hosts = ["internal.test", "good.test", "unknown.test"]
    with capture_logs() as logs:
        for host in hosts:
            with pytest.raises(httpx2.ConnectError) as caught:
                await get(guard, f"http://{host}/", Dialler())
            texts.add(str(caught.value))
            with pytest.raises(OutboundRefused) as refused:
                await guard.resolve(host, 25)
            texts.add(refused.value.message)
    assert texts == {UNREACHABLE}
    reasons = {(entry["host"], entry["reason"]) for entry in logs if entry["event"] == "outbound.refused"}
    assert reasons == {
        ("internal.test", "address"),
        ("good.test", "port"),
        ("unknown.test", "no_address"),
    }


@pytest.mark.parametrize("failure", [OSError, socket.gaierror, TimeoutError, UnicodeError])
async def test_a_name_server_that_fails_counts_as_unreachable(failure: type[Exception]) -> None:
    async def failing(host: str, port: int) -> list[str]:
        raise failure("no answer")

    with pytest.raises(OutboundRefused, match=UNREACHABLE):
        await OutboundGuard(resolve=failing).resolve("slow.test", 80)


def test_allow_list_forms() -> None:
    guard = OutboundGuard(("10.2.0.0/16", "192.168.7.7", "fd12::/64", "[fd99::1]", "Box.Internal."))
    assert guard.allows_address("10.2.3.4")
    assert guard.allows_address("::ffff:10.2.3.4")
    assert guard.allows_address("192.168.7.7")
    assert guard.allows_address("fd12::9")
    assert guard.allows_address("fd99::1")
    assert guard.allows_address(PUBLIC)
    assert guard.allows_address(PUBLIC_6)
    for ip in ("10.3.0.1", "192.168.7.8", "fd13::9", "127.0.0.1", "", "box.internal"):
        assert not guard.allows_address(ip), ip


async def test_listed_names_may_lie_inside_and_others_beside_them_may_not() -> None:
    guard = OutboundGuard(("internal.test", "10.0.0.0/8"), resolve=resolve)
    assert await guard.resolve("Internal.Test.", 9000) == ["10.1.2.3"]
    with pytest.raises(OutboundRefused):
        await guard.resolve("metadata.test", 80)
    with pytest.raises(OutboundRefused):
        await guard.resolve("mixed.test", 80)


async def test_allow_list_reaches_a_real_server_with_both_clients() -> None:
    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", hello)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        for allow, host in ((("127.0.0.0/8",), "127.0.0.1"), (("localhost",), "localhost")):
            guard = OutboundGuard(allow)
            async with httpx2.AsyncClient(transport=guard.http_transport(), trust_env=False) as client:
                assert (await client.get(f"http://{host}:{port}/")).text == "hello"
            async with (
                aiohttp.ClientSession(connector=guard.aiohttp_connector()) as session,
                session.get(f"http://{host}:{port}/") as answer,
            ):
                assert await answer.text() == "hello"
        with pytest.raises(OutboundRefused):
            await OutboundGuard().resolve("localhost", port)
    finally:
        await runner.cleanup()


def certificate(folder: Path, name: str) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "server.pem"
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


async def test_tls_checks_the_name_although_the_address_is_dialled(tmp_path: Path) -> None:
    pem = certificate(tmp_path, "right.test")
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(pem)
    trusting = ssl.create_default_context(cafile=str(pem))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()
        writer.close()

    async def here(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=serving)
    port = server.sockets[0].getsockname()[1]
    guard = OutboundGuard(("127.0.0.1",), resolve=here)
    transport = guard.http_transport(verify=trusting)
    try:
        async with httpx2.AsyncClient(transport=transport, trust_env=False) as client:
            assert (await client.get(f"https://right.test:{port}/")).status_code == 204
            with pytest.raises(httpx2.ConnectError, match=r"wrong\.test"):
                await client.get(f"https://wrong.test:{port}/")
        connector = guard.aiohttp_connector(ssl=trusting)
        async with aiohttp.ClientSession(connector=connector) as session:
            async with session.get(f"https://right.test:{port}/") as response:
                assert response.status == 204
            with pytest.raises(NotConnected) as refused:
                await session.get(f"https://wrong.test:{port}/")
            assert isinstance(refused.value.__cause__, aiohttp.ClientConnectorCertificateError)
    finally:
        server.close()
        await server.wait_closed()


def test_the_table_agrees_with_the_stdlib_where_that_is_strict() -> None:
    guard = OutboundGuard()
    for block in ("10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "fc00::/7", "fe80::/10", "240.0.0.0/4"):
        network = ipaddress.ip_network(block)
        for address in (network[0], network[1], network[-1]):
            assert not guard.allows_address(str(address))
    for public in (
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "223.255.255.255",
    ):
        assert guard.allows_address(public)
