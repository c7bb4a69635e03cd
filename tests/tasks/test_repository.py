"""Rows of tasks: fenced moves, receipts that are kept, one task for one idempotency key."""

import asyncio

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError

from app.db.tables import receipts, slots, tasks
from app.providers.base import Operation
from app.tasks.creation import NewTask
from app.tasks.repository import StaleRun
from app.tasks.service import RequestContext
from app.tasks.states import MOVES, OPEN, TERMINAL
from app.tasks.task import Task, new_id
from tests.tasks.conftest import KEY, Bench


async def dispatched(bench: Bench) -> Task:
    """A task with an account and a slot, taken by a run."""
    task = await bench.create()
    async with bench.components.database.write() as connection:
        await connection.execute(sa.update(tasks).where(tasks.c.id == task.id).values(account_id="a"))
        await connection.execute(sa.insert(slots), {"task_id": task.id, "account_id": "a", "at": 1.0})
    taken = await bench.components.repository.take(task.id)
    assert taken is not None
    return taken


async def test_taking_raises_the_epoch_and_fences_the_earlier_run(bench: Bench) -> None:
    await bench.account()
    repository = bench.components.repository
    first = await dispatched(bench)
    second = await repository.take(first.id)
    assert second is not None
    assert second.epoch == first.epoch + 1

    with pytest.raises(StaleRun):
        await repository.move(first, "queued", "submitting")
    await repository.write_progress(
        [{"id_": first.id, "epoch_": first.epoch, "progress_": 50.0, "generating_": True}]
    )
    seen = await repository.get(first.id)
    assert seen is not None
    assert (seen.state, seen.progress, seen.epoch) == ("queued", 0.0, second.epoch)
    assert await bench.timeline(first) == ["received"]


async def test_a_move_is_one_statement_with_its_timeline_row(bench: Bench) -> None:
    """On PostgreSQL, where each is a round trip. A run that was overtaken writes neither."""
    await bench.account()
    task = await dispatched(bench)
    seen: list[str] = []
    database = bench.components.database
    event.listen(database.writing_engine, "before_cursor_execute", lambda *given: seen.append(given[2]))
    await bench.components.repository.move(task, "queued", "submitting", detail={"account": "a"}, fitted=None)
    moves = [
        each for each in seen if "tasks" in each or "timeline" in each
    ]  # not what the news of an account reads
    assert len(moves) == (1 if database.is_postgres else 2)
    with pytest.raises(StaleRun):
        await bench.components.repository.move(task, "queued", "submitting")
    rows = await bench.components.repository.read_timeline(task.id)
    assert [(row["event"], row["epoch"], row["detail"]) for row in rows[1:]] == [
        ("submitting", task.epoch, {"account": "a"})
    ]


async def test_a_receipt_is_kept_also_when_the_run_is_fenced(bench: Bench) -> None:
    await bench.account()
    repository = bench.components.repository
    first = await dispatched(bench)
    await repository.move(first, "queued", "submitting")
    await repository.take(first.id)

    with pytest.raises(StaleRun):
        await repository.accept(first, Operation(id="vendor-1"), now=1.0, deadline_at=9.0)
    assert await repository.latest_receipt(first.id) == Operation(id="vendor-1")
    seen = await repository.get(first.id)
    assert seen is not None
    assert (seen.state, seen.operation) == ("submitting", None)


async def test_what_has_ended_is_never_taken_or_moved(bench: Bench) -> None:
    await bench.account()
    repository = bench.components.repository
    task = await dispatched(bench)
    await repository.move(task, "queued", "failed", error_code="x")
    assert await repository.take(task.id) is None
    with pytest.raises(StaleRun):
        await repository.move(task, "queued", "submitting")
    assert await bench.slots() == 0


async def test_every_end_and_every_return_to_the_queue_frees_the_slot(bench: Bench) -> None:
    await bench.account()
    repository = bench.components.repository
    task = await dispatched(bench)
    assert await bench.slots() == 1
    await repository.move(task, "queued", "submitting")
    assert await bench.slots() == 1
    await repository.move(task, "submitting", "queued", account_id=None)
    assert await bench.slots() == 0


async def test_progress_never_goes_back(bench: Bench) -> None:
    await bench.account()
    repository = bench.components.repository
    task = await dispatched(bench)
    await repository.move(task, "queued", "submitting")
    await repository.accept(task, Operation(id="v"), now=1.0, deadline_at=9.0)
    for value in (40.0, 20.0):
        await repository.write_progress(
            [{"id_": task.id, "epoch_": task.epoch, "progress_": value, "generating_": True}]
        )
    seen = await repository.get(task.id)
    assert seen is not None
    assert (seen.progress, seen.public_state) == (40.0, "running")


async def test_one_task_per_idempotency_key(bench: Bench) -> None:
    await bench.account()
    made = await asyncio.gather(*(bench.create(context=RequestContext("test", "same-key")) for _ in range(8)))
    assert len({task.id for task in made}) == 1
    rows, _ = await bench.components.tasks.page(KEY)
    assert len(rows) == 1


async def test_a_taken_idempotency_key_is_an_error_of_the_store(bench: Bench) -> None:
    await bench.account()
    task = await bench.create(context=RequestContext("test", "same-key"))
    async with bench.components.database.read() as connection:
        row = (await connection.execute(sa.select(tasks).where(tasks.c.id == task.id))).one()
    with pytest.raises(IntegrityError):
        await bench.components.repository.insert(NewTask({**row._mapping, "id": new_id(row.created_at)}, {}))


async def test_a_dispatch_that_meets_a_cancellation_gives_no_slot(bench: Bench) -> None:
    """What was cancelled after admission looked keeps no slot: nobody would ever free it."""
    await bench.account()
    task = await bench.create()
    await bench.components.repository.request_cancel(task.id, delete=False)
    await bench.work()
    seen = await bench.reaches(task, "cancelled")
    assert seen.error_code == "cancelled"
    assert await bench.slots() == 0


async def test_receipts_are_only_ever_added(bench: Bench) -> None:
    await bench.account()
    repository = bench.components.repository
    task = await dispatched(bench)
    await repository.move(task, "queued", "submitting")
    await repository.accept(task, Operation(id="v1"), now=1.0, deadline_at=9.0)
    with pytest.raises(StaleRun):
        await repository.accept(
            task, Operation(id="v1"), now=2.0, deadline_at=9.0
        )  # the same answer, written again
    async with bench.components.database.read() as connection:
        count = (await connection.execute(sa.select(sa.func.count()).select_from(receipts))).scalar_one()
    assert count == 2
    seen = await repository.get(task.id)
    assert seen is not None
    assert seen.state == "running"


def test_nothing_leaves_an_end_but_a_late_receipt() -> None:
    assert {state: set(MOVES[state]) for state in TERMINAL} == {
        "completed": set(), "failed": {"running"}, "cancelled": set(),
    }  # fmt: skip
    assert all(MOVES[state] >= {"failed", "cancelled"} for state in OPEN)
