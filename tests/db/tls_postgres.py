"""A PostgreSQL server of a test's own that lets nobody in without TLS, and the certificates for it."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import asyncpg
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.stores import done

LETS_IN = "hostssl all all 127.0.0.1/32 trust\n"
PATIENCE = 150.0
"""Seconds; only there to end a test that hangs."""


def binaries() -> Path | None:
    """The folder of PostgreSQL's programs; None where there are none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    path = shutil.which("initdb")
    return found[-1].parent if found else Path(path).resolve().parent if path else None


@dataclass(frozen=True)
class TlsServer:
    """``url`` without parameters; ``authority`` is the certificate that its own is signed by, ``stranger`` another."""

    url: str
    authority: Path
    stranger: Path


@contextmanager
def tls_server(programs: Path) -> Iterator[TlsServer]:
    folder = Path(tempfile.mkdtemp(prefix="filmgate-tls-"))
    user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
    try:
        if user:
            shutil.chown(folder, user)
        folder.chmod(0o755)
        data = folder / "data"
        subprocess.run(
            [programs / "initdb", "--pgdata", data, "--username", "postgres", "--auth", "trust", "--no-sync"],
            cwd=folder, user=user, check=True, capture_output=True,
        )  # fmt: skip
        authority, stranger = folder / "authority.pem", folder / "stranger.pem"
        _write_certificates(data, authority, stranger)
        if user:
            for path in (data / "server.crt", data / "server.key"):
                shutil.chown(path, user)
        (data / "pg_hba.conf").write_text(LETS_IN)
        with _running(programs, data, user=user) as port:
            yield TlsServer(f"postgresql://postgres@127.0.0.1:{port}/postgres", authority, stranger)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running(programs: Path, data: Path, *, user: str | None) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
    told = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": data,
        "ssl": "on",
        "fsync": "off",
    }
    options = [word for name, value in told.items() for word in ("-c", f"{name}={value}")]
    with (data.parent / "log").open("w") as log:
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, *options], cwd=data.parent, user=user, stdout=log, stderr=log
        )
        try:
            done(_wait_for(f"postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=require", server))
            yield port
        finally:
            server.send_signal(signal.SIGQUIT)
            server.wait(PATIENCE)


async def _wait_for(url: str, server: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            connection = await asyncpg.connect(url, timeout=PATIENCE)
        except (OSError, asyncpg.PostgresError):
            assert server.poll() is None, "the server has ended"
            assert time.monotonic() < end, "the server does not answer"
            await asyncio.sleep(0.1)
        else:
            await connection.close()
            return


def _write_certificates(data: Path, authority: Path, stranger: Path) -> None:
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(3)]
    for key, path in zip(keys, (authority, stranger), strict=False):
        path.write_bytes(_certificate(key, key, path.stem, is_authority=True).public_bytes(Encoding.PEM))
    signed = _certificate(keys[2], keys[0], authority.stem, is_authority=False)
    (data / "server.crt").write_bytes(signed.public_bytes(Encoding.PEM))
    secret = keys[2].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (data / "server.key").write_bytes(secret)
    (data / "server.key").chmod(0o600)


def _certificate(
    key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey, issuer: str, *, is_authority: bool
) -> x509.Certificate:
    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    return (
        x509.CertificateBuilder()
        .subject_name(name(issuer if is_authority else "server"))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(names, critical=False)
        .sign(signer, hashes.SHA256())
    )
