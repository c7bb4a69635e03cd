"""A worker that was told to end buys nothing more, at whatever point a task is caught; another one goes on."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from app.ops.edge import DrainState
from app.worker import Worker
from tests.tasks.conftest import Bench, replica, settings_for, until
from tests.upstream import FakeUpstream


def begin_drain_at(bench: Bench, state: str, drain: DrainState) -> None:
    """The signal arrives in the transaction that assigns the task, or in the one that makes it ``submitting``."""
    words = "INSERT INTO slots" if state == "assigned" else "UPDATE tasks SET state"

    def executing(_connection: object, _cursor: object, statement: str, values: Any, *_more: object) -> None:
        if words in statement and (state == "assigned" or state in str(values)):
            drain.begun = True

    event.listen(bench.components.database.writing_engine, "before_cursor_execute", executing)


@pytest.mark.parametrize("caught_at", ["assigned", "submitting"])
async def test_nothing_is_sent_after_the_signal(
    tmp_path: Path, database_url: str, upstream: FakeUpstream, *, caught_at: str
) -> None:
    settings, drain = settings_for(tmp_path, database_url), DrainState()
    async with replica(settings, upstream) as bench:
        await bench.account()
        begin_drain_at(bench, caught_at, drain)
        worker = Worker(bench.components, drain=drain)
        await worker.start()
        task = await bench.create()

        async def left() -> bool:
            return drain.begun and (await bench.timeline(task))[-1] in {"dispatched", "queued"}

        await until(left)
        await worker.stop()
        await bench.reaches(task, "queued")
        assert upstream.counters().jobs == 0
    async with replica(settings, upstream) as bench:
        await bench.work()
        ended = await bench.ended(task)
        assert (ended.state, upstream.counters().jobs, await bench.slots()) == ("completed", 1, 0)


async def test_a_task_that_waits_is_not_admitted_after_the_signal(
    tmp_path: Path, database_url: str, upstream: FakeUpstream
) -> None:
    drain = DrainState(begun=True)
    async with replica(settings_for(tmp_path, database_url), upstream) as bench:
        await bench.account()
        task = await bench.create()
        worker = Worker(bench.components, drain=drain)
        assert await worker._admission.admit() == 0
        assert await bench.timeline(task) == ["received"]
