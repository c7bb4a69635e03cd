"""PgQueuer made to fit: it outlives a database that restarts, keeps no history, and ends only its own jobs."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

import asyncpg
import structlog
from pgqueuer.adapters.drivers.asyncpg import AsyncpgPoolDriver, Relay
from pgqueuer.adapters.inmemory import InMemoryQueries
from pgqueuer.domain.models import Job, TracebackRecord
from pgqueuer.domain.types import JOB_STATUS
from pgqueuer.ports.driver import NotifyCallback
from pgqueuer.queries import Queries

from app.db.session import CONNECTION_AWAY

log = structlog.get_logger()
ENTRYPOINT = "task"
Answer = TypeVar("Answer")


class PatientDriver(AsyncpgPoolDriver):
    """PgQueuer's driver, but a database that restarts delays the queue instead of ending it."""

    def __init__(self, pool: asyncpg.Pool, dsn: str) -> None:
        super().__init__(pool)
        self.stopping = False
        self._dsn = dsn
        self._ears: list[asyncio.Task[None]] = []

    async def add_listener(self, channel: str, callback: NotifyCallback) -> None:
        """Listens on a connection of its own, and again on another when that one is cut."""
        self._ears.append(asyncio.create_task(self._hear(channel, callback)))

    async def __aexit__(self, *_: object) -> None:
        for ear in self._ears:
            ear.cancel()
        await asyncio.gather(*self._ears, return_exceptions=True)

    async def _hear(self, channel: str, callback: NotifyCallback) -> None:
        while True:
            try:
                await self._hear_until_cut(channel, callback)
            except CONNECTION_AWAY as error:
                log.warning("queue.interrupted", error=type(error).__name__)
            await asyncio.sleep(1)

    async def _hear_until_cut(self, channel: str, callback: NotifyCallback) -> None:
        connection = await asyncpg.connect(self._dsn)
        cut = asyncio.Event()
        connection.add_termination_listener(lambda _: cut.set())
        try:
            await connection.add_listener(channel, Relay(callback))
            await cut.wait()
        finally:
            connection.terminate()

    async def fetch(self, query: str, *args: object) -> list[dict[str, object]]:
        return await self._patiently(lambda: super(PatientDriver, self).fetch(query, *args))

    async def execute(self, query: str, *args: object) -> str:
        return await self._patiently(lambda: super(PatientDriver, self).execute(query, *args))

    async def _patiently(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        while True:
            try:
                return await call()
            except CONNECTION_AWAY as error:
                if self.stopping:
                    raise
                log.warning("queue.waiting", error=type(error).__name__, detail=str(error)[:200])
            await asyncio.sleep(1)


class SharedQueue(Queries):
    """The queue in PostgreSQL. A worker that was frozen and has lost its jobs leaves them to their new owner."""

    async def log_jobs(self, job_status: list[tuple[Job, JOB_STATUS, TracebackRecord | None]]) -> None:
        ours = await self._ours([job for job, _, _ in job_status])
        await super().log_jobs([entry for entry in job_status if entry[0].id in ours])

    async def retry_job(self, job: Job, delay: timedelta, traceback_record: TracebackRecord | None) -> None:
        if await self._ours([job]):
            await super().retry_job(job, delay, traceback_record)

    async def aggregate_logs(self) -> None:
        # Our own timeline says more; PgQueuer would keep three rows of every job for ever.
        await self.clear_queue_log(ENTRYPOINT)

    async def _ours(self, jobs: list[Job]) -> set[object]:
        rows = await self.driver.fetch(
            "SELECT id FROM pgqueuer WHERE id = ANY($1::bigint[]) AND queue_manager_id = $2",
            [job.id for job in jobs],
            jobs[0].queue_manager_id if jobs else None,
        )
        return {row["id"] for row in rows}


class MemoryQueue(InMemoryQueries):
    """The queue of one process."""

    async def aggregate_logs(self) -> None:
        await self.clear_queue_log()
