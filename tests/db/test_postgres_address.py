"""What managed databases put behind the ``?`` of their address reaches every connection, or is refused by name."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import asyncpg
import pytest
from sqlalchemy import text

from app.db.postgres import open_connection
from app.db.postgres_address import PostgresAddress, check_parameters, read_address
from app.db.session import DATABASE_AWAY, Database
from tests.conftest import leave_out
from tests.db.tls_postgres import TlsServer, binaries, tls_server
from tests.serving import GatewayProcess, until
from tests.stores import done
from tests.upstream import FakeUpstream

PLAIN = "postgresql+asyncpg://u@h/db"


@pytest.mark.parametrize(
    ("url", "driver", "seconds"),
    [
        ("postgresql+asyncpg://u:p%40x@h/db", "postgresql://u:p%40x@h/db?application_name=filmgate", 5.0),
        (f"{PLAIN}?ssl=require", "postgresql://u@h/db?application_name=filmgate&sslmode=require", 5.0),
        (
            f"{PLAIN}?connect_timeout=9&application_name=me&channel_binding=prefer",
            "postgresql://u@h/db?application_name=me",
            9.0,
        ),
        (
            "postgresql+asyncpg://u@a:1,b:2/db?target_session_attrs=primary",
            "postgresql://u@a:1,b:2/db?application_name=filmgate&target_session_attrs=primary",
            5.0,
        ),
    ],
)
def test_the_driver_gets_the_address_as_it_reads_it(url: str, driver: str, seconds: float) -> None:
    check_parameters(url)
    assert read_address(url) == PostgresAddress(driver, seconds)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (
            "sslmode=required",
            "sslmode=required; it must be one of disable, allow, prefer, require, verify-ca, verify-full",
        ),
        ("sslmode=verify-full", "sslrootcert"),
        (
            "sslmode=verify-full&sslrootcert=/nowhere/ca.pem",
            "sslrootcert=/nowhere/ca.pem, a file that does not exist",
        ),
        ("sslmode=require&channel_binding=require", "channel_binding=require"),
        (
            "schema=public",
            "the parameter schema, which is not known; known are application_name, connect_timeout,",
        ),
        ("connect_timeout=0", "connect_timeout=0; it must be 1 to 60 seconds"),
        ("connect_timeout=soon", "connect_timeout=soon"),
        ("target_session_attrs=master", "target_session_attrs=master; it must be one of any, primary"),
        ("sslnegotiation=direct", "sslmode=require"),
    ],
)
def test_what_can_not_be_kept_is_refused_by_name(
    query: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PGSSLROOTCERT", raising=False)
    with pytest.raises(ValueError) as caught:
        check_parameters(f"{PLAIN}?{query}")
    assert said in str(caught.value)


@pytest.fixture(scope="module")
def server() -> Iterator[TlsServer]:
    programs = binaries()
    if programs is None:
        leave_out("PostgreSQL's initdb, for a server with TLS")
    assert programs
    with tls_server(programs) as found:
        yield found


async def _session(url: str) -> tuple[bool, str]:
    """Of a connection as the queue opens it, and of one of SQLAlchemy's pool, which must be the same."""
    query = "SELECT ssl, application_name FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE pid = pg_backend_pid()"
    connection = await open_connection(url)
    try:
        own = tuple(await connection.fetchrow(query))
    finally:
        await connection.close()
    database = Database(url, pool_size=1)
    try:
        async with database.read() as pooled:
            assert tuple((await pooled.execute(text(query))).one()) == own
    finally:
        await database.close()
    return own[0], own[1]


@pytest.mark.postgres
async def test_tls_is_what_the_address_says(server: TlsServer) -> None:
    url = server.url.replace("postgresql://", "postgresql+asyncpg://")
    sure = f"sslmode=verify-full&sslrootcert={quote(str(server.authority))}"
    for query, name in (
        ("sslmode=require", "filmgate"),
        ("", "filmgate"),
        (f"{sure}&application_name=mine", "mine"),
    ):
        check_parameters(f"{url}?{query}")
        assert await _session(f"{url}?{query}") == (True, name)
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        await open_connection(f"{url}?sslmode=disable")
    for mode in ("verify-ca", "verify-full", "require"):
        with pytest.raises(ssl.SSLCertVerificationError):
            await open_connection(f"{url}?sslmode={mode}&sslrootcert={quote(str(server.stranger))}")
    stranger = Database(f"{url}?sslmode=verify-ca&sslrootcert={quote(str(server.stranger))}")
    with pytest.raises(DATABASE_AWAY):
        await stranger.check()
    await stranger.close()


@pytest.mark.slow
@pytest.mark.postgres
def test_a_film_is_made_over_tls_alone(server: TlsServer, tmp_path: Path) -> None:
    """The migration, the requests, the queue and the notices: none of them would be let in without."""
    address = f"{server.url}?sslmode=verify-full&sslrootcert={server.authority}&connect_timeout=30"
    gateway = GatewayProcess(tmp_path / "gateway", FILMGATE_DATABASE_URL=address, FILMGATE_STUDIO="off")
    with FakeUpstream() as upstream:
        with gateway:
            pass  # makes the tables
        gateway.add_upstream(upstream.url)
        with gateway, gateway.client() as client:
            made = client.post("/v1/videos", json={"model": "sora-2", "prompt": "A kite"}).json()["id"]
            until(lambda: client.get(f"/v1/videos/{made}").json()["status"] == "completed")
            assert done(_sessions(server)) == {True}


async def _sessions(server: TlsServer) -> set[bool]:
    connection = await asyncpg.connect(f"{server.url}?sslmode=require")
    try:
        query = "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'filmgate'"
        return {row["ssl"] for row in await connection.fetch(query)}
    finally:
        await connection.close()
