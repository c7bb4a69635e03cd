"""The dispatch port, and dispatch inside one process.

A job is the id of a row. The rows are the truth; a dispatcher only decides who runs what, when.

Crash points:

- before the transaction that puts a job is committed, neither its row nor the queue has changed;
- after that commit and before the job has begun, PostgreSQL's queue still holds it; the queue of one process is
  gone, and the next process puts every open row again (``put_back_lost``);
- while a job runs, its heartbeat stops and another worker runs it again. Work begins with a write that takes the
  row, and every later write names what that write set, so the older run changes nothing any more;
- after the last write of a job and before the queue forgets it, it is run again and finds its row ended.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Literal, Protocol

import sqlalchemy as sa
import structlog

from app.db.connection import AsyncConnection
from app.db.session import Database

log = structlog.get_logger()
Queue = Literal["task", "delivery"]
Work = Callable[[str], Awaitable[None]]
MAX_RETRY_SECONDS = 60.0
# One writer of a queue at a time over all replicas; the numbers are ours to choose.
LOCKS: Mapping[Queue, int] = {"task": 727_002, "delivery": 727_004}
_FAILED_EVENTS: Mapping[Queue, str] = {"task": "run.failed", "delivery": "delivery.interrupted"}


class Dispatcher(Protocol):
    """Runs each job that was put, on some worker, until its work returns."""

    async def put(self, queue: Queue, ids: Iterable[str], connection: AsyncConnection) -> None:
        """Hand jobs over in the transaction of ``connection``, which marks their rows as dispatched.

        A job may start before that transaction is committed; the write that it begins with waits for it.
        """

    async def find_lost(self, queue: Queue, open_ids: list[str], connection: AsyncConnection) -> list[str]:
        """Those of ``open_ids`` that neither wait nor run."""

    async def run(self, work: Mapping[Queue, Work]) -> None:
        """Run jobs until ``stop`` is called."""

    async def stop(self) -> None:
        """Cancel the jobs that run here, hand them back, and return when all have ended."""


async def lock_queue(connection: AsyncConnection, queue: Queue) -> None:
    """Until the end of the transaction. SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCKS[queue])))


async def put_back_lost(
    dispatcher: Dispatcher,
    database: Database,
    queue: Queue,
    *,
    open_ids: Callable[[AsyncConnection], Awaitable[list[str]]],
) -> int:
    """Put rows again that are dispatched and that the queue knows nothing of; how many these were."""
    async with database.read() as connection:
        if not await dispatcher.find_lost(queue, await open_ids(connection), connection):
            return 0
    async with database.write_many() as connection:
        await lock_queue(connection, queue)
        lost = await dispatcher.find_lost(queue, await open_ids(connection), connection)
        await dispatcher.put(queue, lost, connection)
    return len(lost)


async def run_until_done(queue: Queue, job_id: str, work: Work) -> None:
    """Repeat work that raises, with a growing pause: a bug must not lose a paid video."""
    delay = 1.0
    while True:
        try:
            await work(job_id)
            return
        except Exception:
            log.exception(_FAILED_EVENTS[queue], **{queue: job_id}, again_in=delay)
        await asyncio.sleep(delay)
        delay = min(delay * 2, MAX_RETRY_SECONDS)


class InProcessDispatcher:
    """Keeps nothing on disk. After a crash the next process finds every open row ``lost`` and puts it again."""

    def __init__(self) -> None:
        self._jobs: dict[asyncio.Task[None], tuple[Queue, str]] = {}
        self._work: Mapping[Queue, Work] = {}
        self._started = asyncio.Event()
        self._stopped = asyncio.Event()

    async def put(self, queue: Queue, ids: Iterable[str], connection: AsyncConnection) -> None:
        for job_id in ids:
            job = asyncio.create_task(self._run_job(queue, job_id))
            self._jobs[job] = (queue, job_id)
            job.add_done_callback(self._jobs.pop)

    async def find_lost(self, queue: Queue, open_ids: list[str], connection: AsyncConnection) -> list[str]:
        known = set(self._jobs.values())
        return [job_id for job_id in open_ids if (queue, job_id) not in known]

    async def run(self, work: Mapping[Queue, Work]) -> None:
        self._work = work
        self._started.set()
        await self._stopped.wait()

    async def stop(self) -> None:
        self._stopped.set()
        jobs = list(self._jobs)
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)

    async def _run_job(self, queue: Queue, job_id: str) -> None:
        await self._started.wait()  # what is put before ``run`` waits for it
        if not self._stopped.is_set():
            await run_until_done(queue, job_id, self._work[queue])
