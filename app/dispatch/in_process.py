"""Dispatch inside one process, for SQLite: a job is an asyncio task."""

import asyncio
from collections.abc import Iterable, Mapping

from sqlalchemy.ext.asyncio import AsyncConnection

from app.dispatch.port import Queue, Work, run_until_done


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

    async def lost(self, queue: Queue, open_ids: list[str], connection: AsyncConnection) -> list[str]:
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
