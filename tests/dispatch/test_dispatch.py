"""Both dispatchers: jobs are put in the transaction of their rows, run once, and handed back on stop."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import asyncpg
import pytest
import sqlalchemy as sa

from app.db.session import Database
from app.dispatch.dispatcher import Dispatcher, Work, put_back_lost
from app.dispatch.postgres import PostgresDispatcher
from tests.tasks.conftest import dispatcher_for, until


class Given(Exception):
    """Ends a transaction."""


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
async def shared(postgres_url: str) -> AsyncIterator[Database]:
    """Only PostgreSQL, where several dispatchers share one queue."""
    opened = Database(postgres_url.replace("postgresql://", "postgresql+asyncpg://"))
    yield opened
    await opened.close()


async def put(dispatcher: Dispatcher, database: Database, *ids: str) -> None:
    async with database.write() as connection:
        await connection.execute(sa.text("SELECT 1"))
        await dispatcher.put("task", ids, connection)


@asynccontextmanager
async def running(dispatcher: Dispatcher, work: Work) -> AsyncIterator[asyncio.Task[None]]:
    job = asyncio.create_task(dispatcher.run({"task": work}))
    try:
        yield job
    finally:
        await dispatcher.stop()
        await job


async def queued(database: Database) -> list[str]:
    async with database.read() as connection:
        rows = await connection.execute(sa.text("SELECT convert_from(payload, 'UTF8') FROM pgqueuer"))
        return list(rows.scalars())


async def test_each_task_that_was_put_is_run_once(database: Database) -> None:
    dispatcher, seen = dispatcher_for(database), Counter[str]()

    async def work(task_id: str) -> None:
        seen[task_id] += 1

    await put(dispatcher, database, "before")
    async with running(dispatcher, work):
        await put(dispatcher, database, *(str(number) for number in range(120)))
        await until(lambda: _holds(len(seen) == 121))
    assert set(seen.values()) == {1}


async def test_a_run_that_falls_over_is_begun_again(database: Database) -> None:
    dispatcher, tries = dispatcher_for(database), Counter[str]()

    async def work(task_id: str) -> None:
        tries[task_id] += 1
        if tries[task_id] == 1:
            raise ValueError("a bug")

    async with running(dispatcher, work):
        await put(dispatcher, database, "one")
        await until(lambda: _holds(tries["one"] == 2))


async def test_what_runs_or_waits_is_not_lost_and_what_has_ended_is(database: Database) -> None:
    dispatcher, gate = dispatcher_for(database), asyncio.Event()

    async def work(task_id: str) -> None:
        if task_id == "long":
            await gate.wait()

    async def lost() -> list[str]:
        async with database.read() as connection:
            return await dispatcher.find_lost("task", ["long", "short", "never"], connection)

    async with running(dispatcher, work):
        await put(dispatcher, database, "long", "short")
        await until(lambda: _is(lost, ["short", "never"]))
        gate.set()
        await until(lambda: _is(lost, ["long", "short", "never"]))


async def test_put_again_while_the_first_run_is_still_ending(database: Database) -> None:
    """A refused task is dispatched elsewhere before its first run has quite returned."""
    dispatcher, gates, starts = dispatcher_for(database), [asyncio.Event(), asyncio.Event()], Counter[str]()

    async def work(task_id: str) -> None:
        starts[task_id] += 1
        await gates[starts[task_id] - 1].wait()

    async def lost() -> list[str]:
        async with database.read() as connection:
            return await dispatcher.find_lost("task", ["one"], connection)

    async with running(dispatcher, work):
        await put(dispatcher, database, "one")
        await until(lambda: _holds(starts["one"] == 1))
        await put(dispatcher, database, "one")
        await until(lambda: _holds(starts["one"] == 2))
        gates[0].set()
        await asyncio.sleep(0.3)
        assert await lost() == []
        gates[1].set()
        await until(lambda: _is(lost, ["one"]))


async def test_stop_hands_back_what_runs_and_what_was_just_fetched(database: Database) -> None:
    dispatcher, started = dispatcher_for(database), asyncio.Event()

    async def work(_: str) -> None:
        started.set()
        await asyncio.Event().wait()

    async with asyncio.timeout(60):
        async with running(dispatcher, work):
            await put(dispatcher, database, *(str(number) for number in range(60)))
            await started.wait()
    if database.is_postgres:
        assert sorted(await queued(database)) == sorted(str(number) for number in range(60))


async def test_stop_right_after_the_start(database: Database) -> None:
    async def work(_: str) -> None:
        raise AssertionError

    async with asyncio.timeout(60):
        dispatcher = dispatcher_for(database)
        job = asyncio.create_task(dispatcher.run({"task": work}))
        await asyncio.sleep(0)
        await dispatcher.stop()
        await job


async def test_the_history_of_jobs_is_thrown_away(shared: Database) -> None:
    dispatcher, seen = (
        PostgresDispatcher(shared.url, heartbeat_seconds=10, history_seconds=0.1),
        Counter[str](),
    )

    async def work(task_id: str) -> None:
        seen[task_id] += 1

    async def history() -> int:
        async with shared.read() as connection:
            rows = await connection.execute(sa.text("SELECT count(*) FROM pgqueuer_log"))
            return int(rows.scalar_one())

    async def is_empty() -> bool:
        return await history() == 0

    await put(dispatcher, shared, *(str(number) for number in range(100)))
    assert await history() == 100
    async with running(dispatcher, work):
        await until(lambda: _holds(len(seen) == 100))
        await until(is_empty)


async def test_what_the_queue_lost_is_put_again(database: Database) -> None:
    dispatcher, seen = dispatcher_for(database), Counter[str]()

    async def work(task_id: str) -> None:
        seen[task_id] += 1
        await asyncio.Event().wait()

    async def open_ids(_: object) -> list[str]:
        return ["known", "lost"]

    async with running(dispatcher, work):
        await put(dispatcher, database, "known")
        assert await put_back_lost(dispatcher, database, "task", open_ids=open_ids) == 1
        assert await put_back_lost(dispatcher, database, "task", open_ids=open_ids) == 0
        await until(lambda: _holds(seen == {"known": 1, "lost": 1}))


async def test_the_queue_row_is_in_the_transaction_of_the_task(shared: Database) -> None:
    dispatcher = dispatcher_for(shared)
    with pytest.raises(Given):
        async with shared.write() as connection:
            await connection.execute(sa.text("SELECT 1"))
            await dispatcher.put("task", ["rolled-back"], connection)
            raise Given
    assert await queued(shared) == []
    await put(dispatcher, shared, "kept")
    assert await queued(shared) == ["kept"]


async def test_another_worker_goes_on_at_once_after_a_stop(shared: Database) -> None:
    first, second, ran = dispatcher_for(shared, heartbeat=60), dispatcher_for(shared, heartbeat=60), []

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
        await until(lambda: _holds(ran == ["first one", "second one"]), timeout=45)
        await until(lambda: _is(lambda: queued(shared), []))


async def test_a_worker_that_lost_its_job_leaves_it_to_the_new_owner(shared: Database) -> None:
    first, gate, started = dispatcher_for(shared), asyncio.Event(), asyncio.Event()

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
    dispatcher, seen = dispatcher_for(shared), Counter[str]()

    async def work(task_id: str) -> None:
        seen[task_id] += 1

    async with running(dispatcher, work) as job:
        await put(dispatcher, shared, "before")
        await until(lambda: _holds(seen["before"] == 1))
        await cut_connections(postgres_url)
        await until(lambda: put_again(dispatcher, shared, "after"))
        await until(lambda: _holds(seen["after"] == 1))
        assert not job.done()


async def put_again(dispatcher: Dispatcher, database: Database, task_id: str) -> bool:
    await put(dispatcher, database, task_id)
    return True


async def cut_connections(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    finally:
        await connection.close()


async def _holds(value: bool) -> bool:
    return value


async def _is(look: Callable[[], object], wanted: list[str]) -> bool:
    return (await look()) == wanted  # type: ignore[misc]
