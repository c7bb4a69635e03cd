"""``python -m bench.dispatch``: what it costs to hand 5,000 jobs to workers, and how soon a dead one is replaced.

One process puts jobs in transactions of 25, ten a second, as admission does, and runs them; each lasts half a
second. The takeover is measured on PostgreSQL with two processes, one of which is killed.
"""

import argparse
import asyncio
import os
import resource
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa
import uvloop
from rich.console import Console
from rich.table import Table

from app.db.session import Database
from app.dispatch.dispatcher import Dispatcher, InProcessDispatcher
from app.dispatch.postgres import PostgresDispatcher
from bench.processes import ROOT
from tests import stores

JOBS = 5_000
BATCH = 25
BATCH_SECONDS = 0.1
JOB_SECONDS = 0.5
IDLE_SECONDS = 10.0
HELD = 100
HEARTBEAT_SECONDS = 10.0
COLUMNS = ("store", "jobs", "CPU s", "idle CPU %", "RSS MB", "pick-up p50 ms", "p99 ms", "takeover s")


def dispatcher_for(database: Database) -> Dispatcher:
    if database.is_postgres:
        return PostgresDispatcher(database.url, heartbeat_seconds=HEARTBEAT_SECONDS)
    return InProcessDispatcher()


class Measured:
    """Puts jobs into a dispatcher and notes when each begins."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.dispatcher = dispatcher_for(database)
        self.put_at: dict[str, float] = {}
        self.waited: list[float] = []
        self.ended = 0

    async def work(self, job_id: str) -> None:
        self.waited.append(time.perf_counter() - self.put_at[job_id])
        await asyncio.sleep(JOB_SECONDS)
        self.ended += 1

    async def put(self, ids: list[str]) -> None:
        async with self.database.write() as connection:
            await connection.execute(sa.text("SELECT 1"))
            await self.dispatcher.put("task", ids, connection)
            now = time.perf_counter()
            self.put_at |= dict.fromkeys(ids, now)

    async def flow(self) -> None:
        began = time.perf_counter()
        for first in range(0, JOBS, BATCH):
            await self.put([f"{number:032x}" for number in range(first, first + BATCH)])
            due = began + (first // BATCH + 1) * BATCH_SECONDS
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
        await _until(lambda: self.ended == JOBS)


async def measure(url: str) -> None:
    measured = Measured(Database(url))
    running = asyncio.create_task(measured.dispatcher.run({"task": measured.work}))
    await asyncio.sleep(1)
    before = time.process_time()
    await asyncio.sleep(IDLE_SECONDS)
    idle = time.process_time() - before
    before = time.process_time()
    await measured.flow()
    cpu = time.process_time() - before
    await measured.dispatcher.stop()
    await running
    await measured.database.close()
    cuts = statistics.quantiles(measured.waited, n=100)
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(len(measured.waited), f"{cpu:.2f}", f"{idle / IDLE_SECONDS * 100:.1f}", f"{rss:.0f}", end=" ")
    print(f"{cuts[49] * 1000:.1f}", f"{cuts[98] * 1000:.1f}", flush=True)


async def hold(url: str) -> None:
    """A worker of the takeover: says which jobs it has begun, and never ends one."""
    dispatcher = dispatcher_for(Database(url))

    async def work(job_id: str) -> None:
        print(job_id, flush=True)
        await asyncio.Event().wait()

    await dispatcher.run({"task": work})


async def takeover(url: str) -> float:
    """Seconds from the kill of one of two workers until the other has begun all that it held."""
    workers = [await _spawn("hold", url) for _ in range(2)]
    begun: list[set[str]] = [set(), set()]
    listeners = [asyncio.create_task(_listen(w, s)) for w, s in zip(workers, begun, strict=True)]
    await asyncio.sleep(3)
    measured = Measured(Database(url))
    for number in range(HELD):
        await measured.put([f"{number:032x}"])
    await _until(lambda: len(begun[0] | begun[1]) == HELD)
    await asyncio.sleep(HEARTBEAT_SECONDS / 2)
    busier = 0 if len(begun[0]) > len(begun[1]) else 1  # a slow start may leave all jobs to one of them
    os.kill(workers[busier].pid, signal.SIGKILL)
    killed = time.perf_counter()
    await _until(lambda: len(begun[1 - busier]) == HELD)
    seconds = time.perf_counter() - killed
    workers[1 - busier].kill()
    for worker, listener in zip(workers, listeners, strict=True):
        await worker.wait()
        await listener
    await measured.database.close()
    return seconds


async def _until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - other processes make it true
        await asyncio.sleep(0.02)


async def _listen(worker: asyncio.subprocess.Process, begun: set[str]) -> None:
    assert worker.stdout
    async for line in worker.stdout:
        begun.add(line.decode().strip())


async def _spawn(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.dispatch", *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )


async def _flow(store: str, url: str) -> list[str]:
    worker = await _spawn("measure", url)
    assert worker.stdout
    cells = (await worker.stdout.read()).decode().split()
    await worker.wait()
    return [store, *cells]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("role", nargs="?", choices=("measure", "hold"))
    parser.add_argument("url", nargs="?")
    chosen = parser.parse_args()
    if chosen.role:
        uvloop.run((measure if chosen.role == "measure" else hold)(chosen.url))
        return
    table = Table(*COLUMNS, title="dispatch")
    with tempfile.TemporaryDirectory(prefix="filmgate-bench-") as folder:
        url = stores.sqlite_store(Path(folder) / "bench.db")
        table.add_row(*uvloop.run(_flow("SQLite", url)), "-")
    urls = [stores.postgres_store() for _ in range(2)]
    found = [url.replace("postgresql://", "postgresql+asyncpg://") for url in urls]
    try:
        cells = uvloop.run(_flow("PostgreSQL", found[0]))
        table.add_row(*cells, f"{uvloop.run(takeover(found[1])):.1f}")
    finally:
        for url in urls:
            stores.drop(url)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
