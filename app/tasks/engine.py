"""The port to the dispatch engine (PgQueuer): it decides who runs what, when; the rows are the truth."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import Any, Protocol

import asyncpg
import sqlalchemy as sa
import structlog
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.adapters.inmemory import InMemoryDriver
from pgqueuer.core.qm import QueueManager
from pgqueuer.domain.errors import RetryRequested
from pgqueuer.domain.models import Job
from pgqueuer.queries import Queries
from sqlalchemy.ext.asyncio import AsyncConnection

from app.tasks.queue import ENTRYPOINT, MemoryQueue, PatientDriver, SharedQueue

log = structlog.get_logger()
HISTORY_SECONDS = 30.0
"""PgQueuer's own log of jobs is thrown away this often."""
Run = Callable[[str], Awaitable[None]]


class Engine(Protocol):
    """Runs each task that was put, on some worker, until its run returns."""

    async def put(self, task_ids: Iterable[str], connection: AsyncConnection) -> None:
        """Hand tasks over; inside ``connection``'s transaction where the queue lives in the same store."""

    async def lost(self, open_ids: list[str], connection: AsyncConnection) -> list[str]:
        """Those that the queue knows nothing of, and should."""

    async def run(self, work: Run) -> None:
        """Run tasks until ``stop``."""

    async def stop(self) -> None:
        """Hand back what runs here, and return when it has let go."""


class QueueEngine:
    """PgQueuer, in memory for one process or in PostgreSQL for many."""

    def __init__(self, *, postgres_url: str | None, heartbeat_seconds: float) -> None:
        self._dsn = postgres_url.replace("+asyncpg", "") if postgres_url else None
        self._heartbeat = timedelta(seconds=heartbeat_seconds)
        self._memory = None if postgres_url else MemoryQueue(driver=InMemoryDriver())
        # Counted: a task may be put again for another account before its last run has quite ended.
        self._here: Counter[str] = Counter()
        self._runs: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._manager: QueueManager | None = None
        self._driver: PatientDriver | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    async def put(self, task_ids: Iterable[str], connection: AsyncConnection) -> None:
        ids = list(task_ids)
        if not ids:
            return
        if self._memory is not None:
            self._here.update(ids)
            await _enqueue(self._memory, ids)
            return
        # The driver's own connection, in the transaction that SQLAlchemy began on it.
        raw = (await connection.get_raw_connection()).driver_connection
        assert raw is not None
        await _enqueue(Queries(AsyncpgDriver(raw)), ids)

    async def lost(self, open_ids: list[str], connection: AsyncConnection) -> list[str]:
        if self._memory is not None:
            return [task_id for task_id in open_ids if not self._here[task_id]]
        query = sa.text("SELECT convert_from(payload, 'UTF8') FROM pgqueuer")
        known = set((await connection.execute(query)).scalars())
        return [task_id for task_id in open_ids if task_id not in known]

    async def run(self, work: Run) -> None:
        self._idle.clear()
        try:
            if self._dsn is None:
                await self._manage(self._memory, work)
                return
            async with asyncpg.create_pool(self._dsn, min_size=1, max_size=3, command_timeout=30) as pool:
                self._driver = PatientDriver(pool, self._dsn)
                await self._manage(SharedQueue(self._driver), work)
        finally:
            self._idle.set()

    async def stop(self) -> None:
        self._stopping = True
        if self._manager is not None:
            self._manager.shutdown.set()
        if self._driver is not None:
            self._driver.stopping = True
        for run in list(self._runs):
            run.cancel()
        await self._idle.wait()

    async def _manage(self, queries: Any, work: Run) -> None:
        self._manager = manager = QueueManager(queries)

        @manager.entrypoint(ENTRYPOINT, accepts_context=False)
        async def dispatched(job: Job) -> None:
            assert job.payload is not None
            await self._one(job.payload.decode(), work)

        if self._stopping:
            return
        await manager.run(
            dequeue_timeout=timedelta(seconds=1),
            batch_size=50,
            heartbeat_timeout=self._heartbeat,
            log_aggregation_interval=timedelta(seconds=HISTORY_SECONDS),
        )

    async def _one(self, task_id: str, work: Run) -> None:
        if self._stopping:
            raise RetryRequested(delay=timedelta(0), reason="worker stops")
        run = asyncio.create_task(self._persist(task_id, work))
        self._runs.add(run)
        try:
            await run
        except asyncio.CancelledError:
            if not self._stopping:
                raise
            # Back into the queue: another worker goes on at once.
            raise RetryRequested(delay=timedelta(0), reason="worker stops") from None
        finally:
            self._runs.discard(run)
            self._left(task_id)

    def _left(self, task_id: str) -> None:
        self._here[task_id] -= 1
        if self._here[task_id] <= 0:
            del self._here[task_id]

    async def _persist(self, task_id: str, work: Run) -> None:
        """A run that falls over is begun again from the task's row: a bug must not lose a paid video."""
        delay = 1.0
        while True:
            try:
                await work(task_id)
                return
            except Exception:
                log.exception("run.failed", task=task_id, again_in=delay)
            await asyncio.sleep(delay)
            delay = min(delay * 2, 60.0)


async def _enqueue(queries: Any, ids: list[str]) -> None:
    await queries.enqueue([ENTRYPOINT] * len(ids), [task_id.encode() for task_id in ids], [0] * len(ids))
