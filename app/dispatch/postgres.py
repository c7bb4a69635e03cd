"""Dispatch over many workers, for PostgreSQL: PgQueuer through its public API (https://pgqueuer.readthedocs.io).

It brings SKIP LOCKED, LISTEN/NOTIFY, heartbeats and jobs that are enqueued inside the caller's transaction.
"""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import timedelta

import sqlalchemy as sa
import structlog
from pgqueuer import AsyncpgDriver, Job, Queries, QueueManager, RetryRequested
from pgqueuer.models import TracebackRecord
from pgqueuer.types import JOB_STATUS

from app.db.connection import AsyncConnection
from app.dispatch.dispatcher import Queue, Work, run_until_done
from app.dispatch.driver import ReconnectingDriver

log = structlog.get_logger()
BATCH_SIZE = 50
DEQUEUE_SECONDS = 1.0
"""The queue is read this often also when no notification came."""
HISTORY_SECONDS = 30.0
"""PgQueuer's own log of jobs is deleted this often: a task's timeline says more."""


class OwnJobs(Queries):
    """PgQueuer ends and requeues a job by its id alone, even when another worker has taken it over
    (``build_log_job_query`` in https://github.com/janbjorge/pgqueuer/blob/main/pgqueuer/adapters/persistence/qb.py).
    A worker that was frozen must leave such a job to its new owner."""

    async def log_jobs(self, job_status: list[tuple[Job, JOB_STATUS, TracebackRecord | None]]) -> None:
        owned = await self._owned_ids([job for job, _, _ in job_status])
        await super().log_jobs([entry for entry in job_status if entry[0].id in owned])

    async def retry_job(self, job: Job, delay: timedelta, traceback_record: TracebackRecord | None) -> None:
        if await self._owned_ids([job]):
            await super().retry_job(job, delay, traceback_record)

    async def _owned_ids(self, jobs: list[Job]) -> set[object]:
        rows = await self.driver.fetch(
            "SELECT id FROM pgqueuer WHERE id = ANY($1::bigint[]) AND queue_manager_id = $2",
            [job.id for job in jobs],
            jobs[0].queue_manager_id if jobs else None,
        )
        return {row["id"] for row in rows}


class PostgresDispatcher:
    """One connection for the queue; jobs are put on the caller's."""

    def __init__(
        self, url: str, *, heartbeat_seconds: float, history_seconds: float = HISTORY_SECONDS
    ) -> None:
        """``heartbeat_seconds``: a job whose worker was silent for so long is run by another one."""
        self._driver = ReconnectingDriver(url)
        self._queries = OwnJobs(self._driver)
        self._manager: QueueManager | None = None
        self._heartbeat = timedelta(seconds=heartbeat_seconds)
        self._history_seconds = history_seconds
        self._jobs: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._idle = asyncio.Event()
        self._idle.set()

    async def put(self, queue: Queue, ids: Iterable[str], connection: AsyncConnection) -> None:
        payloads: list[bytes | None] = [job_id.encode() for job_id in ids]
        if payloads:
            # The driver's own connection, in the transaction that SQLAlchemy began on it.
            raw = (await connection.get_raw_connection()).driver_connection
            assert raw is not None
            count = len(payloads)
            await Queries(AsyncpgDriver(raw)).enqueue([queue] * count, payloads, [0] * count)

    async def find_lost(self, queue: Queue, open_ids: list[str], connection: AsyncConnection) -> list[str]:
        query = sa.text("SELECT convert_from(payload, 'UTF8') FROM pgqueuer WHERE entrypoint = :queue")
        known = set((await connection.execute(query, {"queue": queue})).scalars())
        return [job_id for job_id in open_ids if job_id not in known]

    async def run(self, work: Mapping[Queue, Work]) -> None:
        if self._stopping:
            return
        self._idle.clear()
        self._manager = manager = QueueManager(self._queries)
        for queue, each in work.items():
            self._register_queue(manager, queue, each)
        cleaning = asyncio.create_task(self._delete_history(list(work)))
        try:
            await manager.run(
                dequeue_timeout=timedelta(seconds=DEQUEUE_SECONDS),
                batch_size=BATCH_SIZE,
                heartbeat_timeout=self._heartbeat,
                log_aggregation_interval=timedelta(0),
            )
        finally:
            cleaning.cancel()
            await asyncio.gather(cleaning, return_exceptions=True)
            await self._driver.close()
            self._idle.set()

    async def stop(self) -> None:
        self._stopping = True
        if self._manager is not None:
            self._manager.shutdown.set()
        self._driver.shutdown.set()
        for job in list(self._jobs):
            job.cancel()
        await self._idle.wait()

    def _register_queue(self, manager: QueueManager, queue: Queue, work: Work) -> None:
        @manager.entrypoint(queue, accepts_context=False)
        async def run_job(job: Job) -> None:
            assert job.payload is not None
            await self._run_job(queue, job.payload.decode(), work)

    async def _run_job(self, queue: Queue, job_id: str, work: Work) -> None:
        """Raises ``RetryRequested`` when the worker stops: another one goes on at once."""
        if self._stopping:
            raise RetryRequested(delay=timedelta(0), reason="worker stops")
        job = asyncio.create_task(run_until_done(queue, job_id, work))
        self._jobs.add(job)
        try:
            await job
        except asyncio.CancelledError:
            if not self._stopping:
                raise
            raise RetryRequested(delay=timedelta(0), reason="worker stops") from None
        finally:
            self._jobs.discard(job)

    async def _delete_history(self, queues: list[Queue]) -> None:
        while True:
            await asyncio.sleep(self._history_seconds)
            await self._queries.clear_queue_log(list(queues))
