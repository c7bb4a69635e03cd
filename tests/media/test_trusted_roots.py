"""The TLS context of outbound connections reads the trusted roots late, and checks as any other."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop

from app.media.guard import OutboundGuard
from app.media.trusted_roots import LateContext
from tests.security.test_outbound_guard import certificate

LOOPS = [uvloop.new_event_loop, asyncio.new_event_loop]


@asynccontextmanager
async def tls_server(pem: Path) -> AsyncIterator[int]:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(pem)
    serving.set_alpn_protocols(["h2", "http/1.1"])
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=serving)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def protocol_spoken(pem: Path, host: str) -> str | None:
    async with tls_server(pem) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=LateContext(), server_hostname=host)
        spoken: str | None = writer.get_extra_info("ssl_object").selected_alpn_protocol()
        writer.close()
        return spoken


@pytest.mark.parametrize("loop", LOOPS, ids=["uvloop", "asyncio"])
def test_it_trusts_whom_the_roots_name(tmp_path: Path, loop: object, monkeypatch: pytest.MonkeyPatch) -> None:
    pem = certificate(tmp_path, "films.test")
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    with asyncio.Runner(loop_factory=loop) as runner:  # type: ignore[arg-type]
        assert runner.run(protocol_spoken(pem, "films.test")) == "http/1.1"
        with pytest.raises(ssl.SSLCertVerificationError):
            runner.run(protocol_spoken(pem, "other.test"))


@pytest.mark.parametrize("loop", LOOPS, ids=["uvloop", "asyncio"])
def test_it_trusts_nobody_else(tmp_path: Path, loop: object) -> None:
    pem = certificate(tmp_path, "films.test")
    with (
        asyncio.Runner(loop_factory=loop) as runner,  # type: ignore[arg-type]
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        runner.run(protocol_spoken(pem, "films.test"))


async def test_a_start_reads_no_roots(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []
    monkeypatch.setattr("httpx2.create_ssl_context", lambda *given: read.append(given))
    guard = OutboundGuard()
    async with guard.http_transport():
        await guard.upstream_transport().aclose()
    assert read == []
