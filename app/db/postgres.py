"""How every connection to PostgreSQL is opened: SQLAlchemy's pool, the queue and LISTEN.

A server that goes silent without closing its connections (a failover, a firewall that forgets them) is noticed within
seconds, and a process that freezes inside a transaction does not keep its locks.
"""

import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, asynccontextmanager
from typing import Any

import asyncpg
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import InvalidatePoolError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.db.postgres_address import read_address

COMMAND_SECONDS = 15.0
"""An answer that takes longer is given up, and its connection with it."""
PREPARED_STATEMENTS = 300
"""Of each connection. Statements for groups of rows exist in several lengths."""
USED_SECONDS = 1.0
"""A connection that answered so lately is used without a sign of life: that would double the round trips of a read."""
USED_AT = "used_at"
PING_SECONDS = 3.0
"""An idle connection that does not answer for so long is dead, and all that are as old are opened anew."""
LOOKS = 3
"""So often each of two connections is asked which process of the server it has."""
LENT = "The pooler in front of PostgreSQL lends connections by transaction, but Filmgate needs sessions (LISTEN, prepared statements)."
LENT_ADVICE = "Give the address of PostgreSQL itself, or pool by session: PgBouncer's `pool_mode = session`."
SESSION_SETTINGS = {
    # A process that stops inside a transaction loses it, and its locks, before those who wait give up.
    "idle_in_transaction_session_timeout": "5s",
    "lock_timeout": "8s",
    # The server's side of a connection whose client is gone with its host.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "20s",
}
"""https://www.postgresql.org/docs/current/runtime-config-client.html and …/runtime-config-connection.html"""
# After a failover the old server may still answer, but takes no writes.
_DEMOTED = asyncpg.ReadOnlySQLTransactionError
# Raised by a plain asyncpg connection when the database is away; `session.py` has those of SQLAlchemy.
CONNECTION_AWAY = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)


async def open_connection(url: str) -> asyncpg.Connection:
    """Raises ``OSError`` (also for a time-out), ``asyncpg.PostgresError`` or ``asyncpg.InterfaceError``."""
    address = read_address(url)
    connection = await asyncpg.connect(
        address.url, timeout=address.connect_seconds, command_timeout=COMMAND_SECONDS
    )
    with ExitStack() as failure:
        failure.callback(connection.terminate)
        # Not as parameters of the start: poolers like PgBouncer refuse those that they do not know.
        await connection.execute(
            "; ".join(f"SET {name} = '{value}'" for name, value in SESSION_SETTINGS.items())
        )
        failure.pop_all()
    return connection


async def lends_by_transaction(url: str) -> bool:
    """Whether a pooler gives one connection of the server to several of ours in turn, as PgBouncer does with ``pool_mode =
    transaction``. LISTEN, prepared statements and our settings of a session are lost then. False when nothing answers."""
    async with AsyncExitStack() as stack:
        try:
            connections = [await stack.enter_async_context(_unnamed_connection(url)) for _ in range(2)]
            looks = [[await _server_process(one) for one in connections] for _ in range(LOOKS)]
        except CONNECTION_AWAY:
            return False
    first, second = (set(seen) for seen in zip(*looks, strict=True))
    return len(first) > 1 or len(second) > 1 or bool(first & second)


async def _server_process(connection: asyncpg.Connection) -> int:
    async with connection.transaction():
        found: int = await connection.fetchval("SELECT pg_backend_pid()")
        return found


@asynccontextmanager
async def _unnamed_connection(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Its statements have no names: on a lent connection the other's would be found, or our own be missing."""
    address = read_address(url)
    connection = await asyncpg.connect(
        address.url, timeout=address.connect_seconds, command_timeout=COMMAND_SECONDS, statement_cache_size=0
    )
    try:
        yield connection
    finally:
        connection.terminate()


def create_postgres_engine(url: str, *, pool_size: int) -> AsyncEngine:
    """An engine that asks each connection that was idle for a sign of life before it is used."""

    def connect() -> Any:
        dialect: Any = engine.dialect
        return dialect.dbapi.connect(
            async_creator_fn=lambda: open_connection(url), prepared_statement_cache_size=PREPARED_STATEMENTS
        )

    engine = create_async_engine(
        "postgresql+asyncpg://",
        creator=connect,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=COMMAND_SECONDS,
    )
    event.listen(engine.sync_engine, "checkout", _require_sign_of_life)
    event.listen(engine.sync_engine, "checkin", _note_use)
    event.listen(engine.sync_engine, "handle_error", _leave_demoted_server)
    return engine


@asynccontextmanager
async def lend_connection(
    connecting: AbstractAsyncContextManager[AsyncConnection],
) -> AsyncIterator[AsyncConnection]:
    """The connection, whose failures are all SQLAlchemy's. One on which a command ran out of time is closed: its rollback would
    wait as long again."""
    try:
        async with connecting as connection:
            try:
                yield connection
            except TimeoutError:
                await connection.invalidate()
                raise
    except asyncpg.InternalClientError as error:  # of a connection that is cut during a query
        raise OperationalError(None, None, error) from error


def _require_sign_of_life(connection: Any, record: sa.pool.ConnectionPoolEntry, _proxy: object) -> None:
    """SQLAlchemy's own ``pool_pre_ping`` waits for ever, as asyncpg's time-out is no error of the database to it."""
    is_idle = time.monotonic() - record.info.get(USED_AT, 0.0) > USED_SECONDS
    if not is_idle and not connection.driver_connection.is_closed():
        return
    try:
        connection.run_async(lambda raw: raw.fetchrow(";", timeout=PING_SECONDS))
    except CONNECTION_AWAY as error:
        raise InvalidatePoolError from error


def _note_use(_connection: object, record: sa.pool.ConnectionPoolEntry) -> None:
    record.info[USED_AT] = time.monotonic()


def _leave_demoted_server(context: ExceptionContext) -> None:
    cause = getattr(context.original_exception, "__cause__", None)
    if isinstance(cause, _DEMOTED):
        context.is_disconnect = True
        context.invalidate_pool_on_disconnect = True
