"""nginx and Caddy with the files of `deploy/`, as TLS in front of a gateway: what passes them, and as what."""

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.conftest import leave_out
from tests.faults.flight import finish_films, hold_films
from tests.forked import ForkedCommand
from tests.serving import KEY, ROOT, GatewayProcess, until
from tests.upstream import FakeUpstream

NAME = "video.example.com"
PASSWORD = "a long password of the owner"
OTHER_CLIENT = "127.0.0.2"
"""An address that is no trusted proxy, unlike 127.0.0.1."""
NGINX = """\
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes 1; {user}
events {{ worker_connections 256; }}
http {{ access_log off;
client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
{site} }}
"""


def write_certificate(folder: Path) -> None:
    """``tls.crt`` and ``tls.key`` for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a proxy of the tests")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=3)).not_valid_after(now + timedelta(days=3))
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    builder = builder.add_extension(address, critical=False)
    (folder / "tls.crt").write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "tls.key").write_bytes(plain)


@dataclass(frozen=True)
class Proxy:
    address: str
    folder: Path

    def client(self) -> httpx2.Client:
        """One that comes from ``OTHER_CLIENT``."""
        trust = ssl.create_default_context(cafile=str(self.folder / "tls.crt"))
        transport = httpx2.HTTPTransport(verify=trust, local_address=OTHER_CLIENT)
        headers = {"authorization": f"Bearer {KEY}"}
        return httpx2.Client(base_url=self.address, transport=transport, headers=headers, timeout=60)


class LastingGateway(GatewayProcess):
    """It starts on the same port again."""

    def _open_process(
        self, arguments: list[str], environment: dict[str, str]
    ) -> "ForkedCommand | subprocess.Popen[str]":
        port = self.url.rpartition(":")[2] or "0"
        return super()._open_process([*arguments[:-1], port], environment)


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        return int(free.getsockname()[1])


def nginx(folder: Path, port: int, gateway: str) -> list[str]:
    site = (ROOT / "deploy" / "nginx.conf").read_text()
    for written, here in (
        ("443 ssl", f"127.0.0.1:{port} ssl"),
        (f"/etc/ssl/{NAME}", f"{folder}/tls"),
        (NAME, "127.0.0.1"),
        ("127.0.0.1:8000", gateway),
        ("# server 127.0.0.1:8001", f"server 127.0.0.1:{free_port()}"),  # where nobody listens
    ):
        assert written in site
        site = site.replace(written, here)
    user = "user root;" if os.geteuid() == 0 else ""  # others may not read folders of tests
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, site=site, user=user))
    return ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]


def caddy(folder: Path, port: int, gateway: str) -> list[str]:
    site = (ROOT / "deploy" / "Caddyfile").read_text()
    own = f"https://127.0.0.1:{port} {{\n\ttls {folder}/tls.crt {folder}/tls.key"
    for written, here in ((f"{NAME} {{", own), ("127.0.0.1:8000", gateway)):
        assert written in site
        site = site.replace(written, here)
    (folder / "Caddyfile").write_text(f"{{\n\tadmin off\n\tauto_https disable_redirects\n}}\n{site}")
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture
def gateway(tmp_path: Path, upstream: FakeUpstream) -> Iterator[GatewayProcess]:
    gateway = LastingGateway(tmp_path / "gateway", FILMGATE_ADMIN_PASSWORD=PASSWORD, FILMGATE_STUDIO="off")
    gateway.folder.mkdir()
    gateway.add_upstream(upstream.url)
    with gateway:
        yield gateway


@pytest.fixture(params=[nginx, caddy], ids=["nginx", "Caddy"])
def proxy(request: pytest.FixtureRequest, tmp_path: Path, gateway: GatewayProcess) -> Iterator[Proxy]:
    port = free_port()
    write_certificate(tmp_path)
    name, *arguments = request.param(tmp_path, port, gateway.url.removeprefix("http://"))
    program = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if program is None:
        leave_out(name)
    with (tmp_path / "proxy.log").open("w") as log:
        environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
        process = subprocess.Popen([program, *arguments], env=environment, stdout=log, stderr=log)
    proxy = Proxy(f"https://127.0.0.1:{port}", tmp_path)
    try:
        until(lambda: answers(proxy, process))
        yield proxy
    finally:
        process.terminate()
        process.wait()


def answers(proxy: Proxy, process: "subprocess.Popen[bytes]") -> bool:
    assert process.poll() is None, (proxy.folder / "proxy.log").read_text()
    try:
        with proxy.client() as client:
            return client.get("/healthz").status_code == 200
    except httpx2.ConnectError:
        return False


def test_streams_links_sign_in_and_the_clients_address_pass(
    proxy: Proxy, gateway: GatewayProcess, upstream: FakeUpstream
) -> None:
    hold_films(upstream)
    wish = {"model": "sora-2", "stream": True, "messages": [{"role": "user", "content": "A kite"}]}
    lie = {"x-forwarded-for": "203.0.113.5", "x-forwarded-proto": "http", "x-request-id": "through-a-proxy"}
    with proxy.client() as client:
        with client.stream("POST", "/v1/chat/completions", json=wish, headers=lie) as answer:
            assert answer.status_code == 200
            lines = answer.iter_lines()
            first = next(lines)  # a proxy that buffers would keep it until the film is made
            finish_films(upstream)
            told = first + "".join(lines)
        link = re.search(rf"{re.escape(proxy.address)}/[^\s\"'\\\\()<>]+", told)
        assert link, told
        part = client.get(link[0], headers={"range": "bytes=0-99"})
        assert (part.status_code, len(part.content)) == (206, 100)
        assert client.get("/metrics").status_code == 403
        owner = {"name": "admin", "password": PASSWORD}
        session = client.post("/admin/api/session", json=owner, headers={"origin": proxy.address})
        assert session.status_code == 200, session.text
        assert "secure" in session.headers["set-cookie"].lower()
        assert client.get("/admin/").status_code == 200
    logged = [json.loads(line) for line in gateway.log.read_text().splitlines()]
    (line,) = [one for one in logged if one.get("request_id") == "through-a-proxy" and "client" in one]
    assert line["client"] == OTHER_CLIENT


@pytest.mark.parametrize("proxy", [nginx], indirect=True)
def test_a_gateway_that_was_away_is_asked_again_at_once(proxy: Proxy, gateway: GatewayProcess) -> None:
    """Beside a second one that is down: nginx by itself would answer 502 for ten seconds more."""
    with proxy.client() as client:
        gateway.kill()
        assert client.get("/healthz").status_code == 502
        gateway.start()
        assert [client.get("/healthz").status_code for _ in range(5)] == [200] * 5
