"""Slots: each running task holds one, and however a task ends or its client, its run or its process goes, one
is given back, once."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import sqlalchemy as sa

from app.db.tables import slots, tasks
from app.tasks.repository import StaleRun
from app.tasks.task import Task
from tests.accounts.waiting import account_status, accounts_by_task, admission, create_tasks
from tests.tasks.conftest import Bench, until

REFUSED = {"error": {"code": "moderation_blocked", "message": "no"}}


async def running(bench: Bench, *, job_seconds: float = 60) -> Task:
    """A task of the only account, which has two slots, and another beside it."""
    bench.upstream.script(job_seconds=job_seconds)
    await bench.account(slots=2)
    await bench.work()
    beside, task = await bench.create("beside"), await bench.create("watched")
    await bench.reaches(beside, "running")
    await bench.reaches(task, "running")
    assert await bench.slots() == 2
    return task


async def overdue(bench: Bench, task: Task) -> None:
    await bench.workers.pop().stop()
    async with bench.components.database.write() as connection:
        await connection.execute(sa.update(tasks).where(tasks.c.id == task.id).values(deadline_at=1.0))
    await bench.work()


async def by_vendor(bench: Bench, _: Task) -> None:
    bench.upstream.fault("poll", status=200, body={"id": "x", "status": "failed", "error": REFUSED["error"]})


ENDS: dict[str, Callable[[Bench, Task], Awaitable[object]]] = {
    "cancel": lambda bench, task: bench.components.tasks.cancel(task),
    "delete": lambda bench, task: bench.components.tasks.delete(task),
    "deadline": overdue,
    "vendor": by_vendor,
}


@pytest.mark.parametrize("end", ENDS)
async def test_the_end_of_a_task_frees_its_slot_only(bench: Bench, end: str) -> None:
    task = await running(bench)
    await ENDS[end](bench, task)

    async def ended() -> bool:
        async with bench.components.database.read() as connection:
            query = sa.select(sa.func.count()).where(tasks.c.finished_at.is_not(None))
            return bool((await connection.execute(query)).scalar_one())

    await until(ended)
    assert await bench.slots() == 1


async def test_a_disconnect_neither_frees_nor_keeps_a_slot(bench: Bench) -> None:
    task = await running(bench, job_seconds=4)
    waiting = asyncio.create_task(bench.components.tasks.wait_until_ended(task, within=60))
    await asyncio.sleep(0.1)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert await bench.slots() == 2
    assert (await bench.ended(task)).state == "completed"

    async def free() -> bool:
        return await bench.slots() == 0

    await until(free)


async def test_a_content_refusal_fails_the_task_and_frees_its_slot_once(bench: Bench) -> None:
    bench.upstream.script(job_seconds=60)
    bench.upstream.fault("create", status=400, body=REFUSED, prompt="refused")
    await bench.account(slots=2)
    await bench.work()
    beside = await bench.create("beside")
    await bench.reaches(beside, "running")
    ended = await bench.ended(await bench.create("refused"))
    assert (ended.state, ended.error_code) == ("failed", "content_policy_violation")
    assert list(await accounts_by_task(bench)) == [beside.id]
    found = (await account_status(bench, "upstream")).statistics
    assert (found.successes, found.failures, found.outcomes) == (0, 1, ("content_policy_violation",))
    assert (await account_status(bench, "upstream")).cooldowns == {}  # it is not the account's doing


async def test_two_runs_free_a_slot_once(bench: Bench) -> None:
    await bench.account(slots=2)
    [first, second] = await create_tasks(bench, 2)
    assert await admission(bench).admit() == 2
    repository = bench.components.repository
    old, new = await repository.take(first.id), await repository.take(first.id)
    assert old is not None
    assert new is not None
    await repository.move(new, "queued", "failed", error_code="x")
    for late in (old, new):
        with pytest.raises(StaleRun):
            await repository.move(late, "queued", "failed", error_code="x")
    assert list(await accounts_by_task(bench)) == [second.id]
    await create_tasks(bench, 3)
    assert await admission(bench).admit() == 1


async def test_tasks_of_a_dead_process_are_finished_by_the_next(bench: Bench) -> None:
    """Dispatched, and its process gone before the run: the slot belongs to the task, not to the process."""
    await bench.account(slots=1)
    first, second = await create_tasks(bench, 2)
    assert await admission(bench).admit() == 1
    await bench.work()
    assert [(await bench.ended(task)).state for task in (first, second)] == ["completed", "completed"]
    assert await bench.slots() == 0
    assert set(bench.upstream.counters().prompts.values()) == {1}


async def test_a_refused_task_gives_its_slot_to_the_next(bench: Bench) -> None:
    bench.upstream.fault("create", status=429, headers={"Retry-After": "1"}, prompt="tester 0")
    await bench.account(slots=1)
    made = await create_tasks(bench, 3)
    await bench.work()
    assert {(await bench.ended(task)).state for task in made} == {"completed"}
    assert await bench.slots() == 0


async def test_a_task_cancelled_in_the_moment_of_its_dispatch_holds_no_slot(bench: Bench) -> None:
    await bench.account(slots=1)
    made = await create_tasks(bench, 4)
    by = admission(bench)
    await asyncio.gather(
        by.admit(), *(bench.components.repository.request_cancel(t.id, delete=False) for t in made)
    )
    async with bench.components.database.read() as connection:
        orphans = sa.select(slots.c.task_id).join(tasks, tasks.c.id == slots.c.task_id)
        ended = orphans.where(tasks.c.finished_at.is_not(None))
        assert (await connection.execute(ended)).all() == []
