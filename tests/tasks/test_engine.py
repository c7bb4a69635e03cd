"""The dispatch engine behind its port: one transaction with the rows, handed back at once, no history kept."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import asyncpg
import pytest
import sqlalchemy as sa

from app.db.session import Database
from app.tasks.engine import QueueEngine, Run
from tests.tasks.conftest import until


class Given(Exception):
    """Ends a transaction."""


def engine_for(database: Database, *, heartbeat: float = 10.0) -> QueueEngine:
    url = database.url if database.is_postgres else None
    return QueueEngine(postgres_url=url, heartbeat_seconds=heartbeat)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
async def shared(postgres_url: str) -> AsyncIterator[Database]:
    """Only PostgreSQL, where several engines share one queue."""
    opened = Database(postgres_url.replace("postgresql://", "postgresql+asyncpg://"))
    yield opened
    await opened.close()


async def put(engine: QueueEngine, database: Database, *ids: str) -> None:
    async with database.write() as connection:
        await connection.execute(sa.text("SELECT 1"))
        await engine.put(ids, connection)


@asynccontextmanager
async def running(engine: QueueEngine, work: Run) -> AsyncIterator[asyncio.Task[None]]:
    job = asyncio.create_task(engine.run(work))
    try:
        yield job
    finally:
        await engine.stop()
        await job


async def queued(database: Database) -> list[str]:
    async with database.read() as connection:
        rows = await connection.execute(sa.text("SELECT convert_from(payload, 'UTF8') FROM pgqueuer"))
        return list(rows.scalars())


async def test_each_task_that_was_put_is_run_once(database: Database) -> None:
    engine, seen = engine_for(database), Counter[str]()

    async def work(task_id: str) -> None:
        seen[task_id] += 1

    await put(engine, database, "before")
    async with running(engine, work):
        await put(engine, database, *(str(number) for number in range(120)))
        await until(lambda: _holds(len(seen) == 121))
    assert set(seen.values()) == {1}


async def test_a_run_that_falls_over_is_begun_again(database: Database) -> None:
    engine, tries = engine_for(database), Counter[str]()

    async def work(task_id: str) -> None:
        tries[task_id] += 1
        if tries[task_id] == 1:
            raise ValueError("a bug")

    async with running(engine, work):
        await put(engine, database, "one")
        await until(lambda: _holds(tries["one"] == 2))


async def test_what_runs_or_waits_is_not_lost_and_what_has_ended_is(database: Database) -> None:
    engine, gate = engine_for(database), asyncio.Event()

    async def work(task_id: str) -> None:
        if task_id == "long":
            await gate.wait()

    async def lost() -> list[str]:
        async with database.read() as connection:
            return await engine.lost(["long", "short", "never"], connection)

    async with running(engine, work):
        await put(engine, database, "long", "short")
        await until(lambda: _is(lost, ["short", "never"]))
        gate.set()
        await until(lambda: _is(lost, ["long", "short", "never"]))


async def test_put_again_while_the_first_run_is_still_ending(database: Database) -> None:
    """A refused task is dispatched elsewhere before its first run has quite returned."""
    engine, gates, starts = engine_for(database), [asyncio.Event(), asyncio.Event()], Counter[str]()

    async def work(task_id: str) -> None:
        starts[task_id] += 1
        await gates[starts[task_id] - 1].wait()

    async def lost() -> list[str]:
        async with database.read() as connection:
            return await engine.lost(["one"], connection)

    async with running(engine, work):
        await put(engine, database, "one")
        await until(lambda: _holds(starts["one"] == 1))
        await put(engine, database, "one")
        await until(lambda: _holds(starts["one"] == 2))
        gates[0].set()
        await asyncio.sleep(0.3)
        assert await lost() == []
        gates[1].set()
        await until(lambda: _is(lost, ["one"]))


async def test_stop_hands_back_what_runs_and_what_was_just_fetched(database: Database) -> None:
    engine, started = engine_for(database), asyncio.Event()

    async def work(_: str) -> None:
        started.set()
        await asyncio.Event().wait()

    async with asyncio.timeout(10):
        async with running(engine, work):
            await put(engine, database, *(str(number) for number in range(60)))
            await started.wait()
    if database.is_postgres:
        assert sorted(await queued(database)) == sorted(str(number) for number in range(60))


async def test_stop_right_after_the_start(database: Database) -> None:
    async def work(_: str) -> None:
        raise AssertionError

    async with asyncio.timeout(10):
        engine = engine_for(database)
        job = asyncio.create_task(engine.run(work))
        await asyncio.sleep(0)
        await engine.stop()
        await job


async def test_the_history_of_jobs_is_thrown_away() -> None:
    engine = QueueEngine(postgres_url=None, heartbeat_seconds=10)
    queue = engine._memory
    assert queue is not None
    from_queue = [queue._log, queue._statistics]
    await queue.enqueue(["task"] * 1000, [b"x"] * 1000, [0] * 1000)
    assert len(queue._log) == 1000
    await queue.aggregate_logs()
    assert [len(rows) for rows in from_queue] == [0, 0]


async def test_the_queue_row_is_in_the_transaction_of_the_task(shared: Database) -> None:
    engine = engine_for(shared)
    with pytest.raises(Given):
        async with shared.write() as connection:
            await connection.execute(sa.text("SELECT 1"))
            await engine.put(["rolled-back"], connection)
            raise Given
    assert await queued(shared) == []
    await put(engine, shared, "kept")
    assert await queued(shared) == ["kept"]


async def test_another_worker_goes_on_at_once_after_a_stop(shared: Database) -> None:
    first, second, ran = engine_for(shared, heartbeat=60), engine_for(shared, heartbeat=60), []

    async def hold(task_id: str) -> None:
        ran.append(f"first {task_id}")
        await asyncio.Event().wait()

    async def finish(task_id: str) -> None:
        ran.append(f"second {task_id}")

    async with running(first, hold):
        await put(first, shared, "one")
        await until(lambda: _holds(ran == ["first one"]))
    async with running(second, finish):
        # Far sooner than a heartbeat of a minute.
        await until(lambda: _holds(ran == ["first one", "second one"]), timeout=10)
        await until(lambda: _is(lambda: queued(shared), []))


async def test_a_worker_that_lost_its_job_leaves_it_to_the_new_owner(shared: Database) -> None:
    first, gate, started = engine_for(shared), asyncio.Event(), asyncio.Event()

    async def work(_: str) -> None:
        started.set()
        await gate.wait()

    async with running(first, work):
        await put(first, shared, "one")
        await started.wait()
        async with shared.write() as connection:  # as a worker that takes over does
            await connection.execute(sa.text("UPDATE pgqueuer SET queue_manager_id = gen_random_uuid()"))
        gate.set()
        await asyncio.sleep(0.5)
        assert await queued(shared) == ["one"]


async def test_the_queue_goes_on_after_its_connections_were_cut(shared: Database, postgres_url: str) -> None:
    engine, seen = engine_for(shared), Counter[str]()

    async def work(task_id: str) -> None:
        seen[task_id] += 1

    async with running(engine, work) as job:
        await put(engine, shared, "before")
        await until(lambda: _holds(seen["before"] == 1))
        await cut_connections(postgres_url)
        await until(lambda: put_again(engine, shared, "after"))
        await until(lambda: _holds(seen["after"] == 1))
        assert not job.done()


async def put_again(engine: QueueEngine, database: Database, task_id: str) -> bool:
    await put(engine, database, task_id)
    return True


async def cut_connections(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    finally:
        await connection.close()


async def _holds(value: bool) -> bool:
    return value


async def _is(look: Callable[[], object], wanted: list[str]) -> bool:
    return (await look()) == wanted  # type: ignore[misc]
