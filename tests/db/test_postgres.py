"""Connections to PostgreSQL: what they bring along, and when one is thrown away."""

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from app.assembly import assemble_components
from app.db import postgres
from app.db.postgres import SESSION_SETTINGS
from app.db.session import Database
from app.errors import SettingsInvalid
from app.settings import Settings
from tests.cli.running import filmgate
from tests.conftest import leave_out
from tests.serving import until


@pytest.fixture
def database(postgres_url: str) -> Database:
    return Database(postgres_url.replace("postgresql://", "postgresql+asyncpg://"), pool_size=1)


async def test_every_connection_has_the_limits(database: Database) -> None:
    async with database.read() as connection:
        for name in ("lock_timeout", "idle_in_transaction_session_timeout"):
            found = await connection.scalar(text(f"SHOW {name}"))
            assert found == SESSION_SETTINGS[name]
    await database.close()


@pytest.mark.parametrize("idle", [0.0, 2.0], ids=["used a moment ago", "idle"])
async def test_a_connection_that_the_server_closed_is_replaced(
    database: Database, monkeypatch: pytest.MonkeyPatch, idle: float
) -> None:
    monkeypatch.setattr(postgres, "USED_SECONDS", 1.0 - idle)
    own = text("SELECT pg_backend_pid()")
    closed = asyncio.Event()
    async with database.read() as connection:
        first = await connection.scalar(own)
        raw = (await connection.get_raw_connection()).driver_connection
        assert raw is not None
        raw.add_termination_listener(lambda _: closed.set())
    other = Database(database.url, pool_size=1)
    async with other.read() as connection:
        await connection.execute(text("SELECT pg_terminate_backend(:pid, 30000)"), {"pid": first})
    await closed.wait()
    async with database.read() as connection:
        assert await connection.scalar(own) != first
    await other.close()
    await database.close()


async def test_a_connection_is_asked_for_a_sign_of_life_only_after_a_pause(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    plain = asyncpg.Connection.fetchrow

    async def fetchrow(connection: asyncpg.Connection, query: str, **more: Any) -> Any:
        asked.append(query)
        return await plain(connection, query, **more)

    monkeypatch.setattr(asyncpg.Connection, "fetchrow", fetchrow)
    for _ in range(3):
        await database.check()
    assert len(asked) <= 1  # of a new connection
    monkeypatch.setattr(postgres, "USED_SECONDS", -1.0)
    await database.check()
    assert asked[-1] == ";"
    await database.close()


async def test_a_server_that_has_become_a_standby_is_left(database: Database) -> None:
    """Its connections stay open after a failover, and each write on them would fail for ever."""
    async with database.read() as connection:
        await connection.execute(text("SET default_transaction_read_only = on"))
    write = text("UPDATE marks SET until = 0")
    with pytest.raises(DBAPIError, match="read-only"):
        async with database.write() as connection:
            await connection.execute(write)
    async with database.write() as connection:  # on a connection of its own
        await connection.execute(write)
    await database.close()


async def test_a_transaction_that_stands_still_loses_its_locks(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SESSION_SETTINGS, "idle_in_transaction_session_timeout", "100ms")
    frozen = Database(database.url, pool_size=1)
    with pytest.raises(DBAPIError):
        async with frozen.write() as one:
            await one.execute(text("LOCK TABLE marks"))
            async with database.write() as other:
                await other.execute(text("LOCK TABLE marks"))
            await one.execute(text("SELECT 1"))
    await frozen.close()
    await database.close()


@pytest.fixture
def pooler(postgres_url: str, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """PgBouncer in front of the store, with the given ``pool_mode``; its address."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        leave_out("PgBouncer")
    with ExitStack() as running:

        def start(mode: str) -> str:
            server = make_url(postgres_url)
            password = f" password={server.password}" if server.password else ""
            with closing(socket.create_server(("127.0.0.1", 0))) as free:
                port = free.getsockname()[1]
            settings = tmp_path / f"{mode}.ini"
            settings.write_text(
                f"[databases]\n* = host={server.host} port={server.port or 5432} user={server.username}{password}\n"
                f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
                f"auth_type = any\npool_mode = {mode}\n"
            )
            as_nobody = ("--user", "nobody") if os.geteuid() == 0 else ()  # it refuses to be root
            process = subprocess.Popen([program, "--quiet", *as_nobody, settings], stderr=subprocess.DEVNULL)
            running.callback(process.wait)
            running.callback(process.terminate)
            until(lambda: _listens(port))
            return f"postgresql+asyncpg://{server.username}@127.0.0.1:{port}/{server.database}"

        yield start


def _listens(port: int) -> bool:
    with closing(socket.socket()) as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.postgres
async def test_a_pooler_that_lends_connections_by_transaction_is_refused_by_name(
    pooler: Callable[[str], str], tmp_path: Path
) -> None:
    by_session, by_transaction = pooler("session"), pooler("transaction")
    assert not await postgres.lends_by_transaction(by_session)
    settings = Settings(data_dir=tmp_path, database_url=by_transaction)
    with pytest.raises(SettingsInvalid, match="pool_mode = session"):
        await assemble_components(settings)
    told = filmgate("doctor", cwd=tmp_path, FILMGATE_DATABASE_URL=by_transaction)
    assert "lends connections by transaction" in told.stdout
    served = await assemble_components(settings.model_copy(update={"database_url": by_session}))
    await served.close()
