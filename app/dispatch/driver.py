"""PgQueuer's ``Driver`` over one connection that is opened again whenever it was cut."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg
import structlog
from pgqueuer import AsyncpgDriver
from pgqueuer.ports.driver import NotifyCallback, TaskManagerPort

from app.db.postgres import CONNECTION_AWAY, open_connection

log = structlog.get_logger()
Answer = TypeVar("Answer")
RECONNECT_SECONDS = 1.0


class ReconnectingDriver:
    """A database that restarts delays the queue instead of ending it. PgQueuer's own drivers raise, and its
    manager then waits for all running jobs before it can be started again."""

    def __init__(self, url: str) -> None:
        self.shutdown = asyncio.Event()
        self._url = url
        self._connecting = asyncio.Lock()
        self._connection: asyncpg.Connection | None = None
        self._driver: AsyncpgDriver | None = None
        self._listeners: list[tuple[str, NotifyCallback]] = []

    @property
    def tm(self) -> TaskManagerPort:
        assert self._driver is not None
        return self._driver.tm

    async def fetch(self, query: str, *args: object) -> list[dict[str, object]]:
        return await self._retry_call(lambda driver: driver.fetch(query, *args))

    async def execute(self, query: str, *args: object) -> str:
        return await self._retry_call(lambda driver: driver.execute(query, *args))

    async def notify(self, channel: str, payload: str) -> None:
        await self._retry_call(lambda driver: driver.notify(channel, payload))

    async def add_listener(self, channel: str, callback: NotifyCallback) -> None:
        """Listens on every later connection too: the queue is read each second, which finds a cut one."""
        await self._retry_call(lambda driver: driver.add_listener(channel, callback))
        self._listeners.append((channel, callback))

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close(timeout=RECONNECT_SECONDS)

    async def __aenter__(self) -> "ReconnectingDriver":
        return self

    async def __aexit__(self, *_: object) -> None:
        """The connection stays open: PgQueuer still writes the last jobs' ends through it."""

    async def _retry_call(self, call: Callable[[AsyncpgDriver], Awaitable[Answer]]) -> Answer:
        while True:
            try:
                return await call(await self._connected_driver())
            except CONNECTION_AWAY as error:
                if isinstance(error, TimeoutError) and self._connection is not None:
                    self._connection.terminate()  # silent, but not closed: nothing else would open another
                if self.shutdown.is_set():
                    raise
                log.warning("queue.waiting", error=type(error).__name__, detail=str(error)[:200])
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _connected_driver(self) -> AsyncpgDriver:
        async with self._connecting:
            if self._driver is None or self._connection is None or self._connection.is_closed():
                if self._connection is not None:
                    log.warning("queue.interrupted")
                self._connection = await open_connection(self._url)
                self._driver = AsyncpgDriver(self._connection)
                for channel, callback in self._listeners:
                    await self._driver.add_listener(channel, callback)
            return self._driver
