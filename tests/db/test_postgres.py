"""Connections to PostgreSQL: what they bring along, and when one is thrown away."""

import asyncio
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.db import postgres
from app.db.postgres import SESSION_SETTINGS
from app.db.session import Database


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
