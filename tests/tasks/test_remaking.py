"""What an upstream on the operator's own hardware forgets is made again; anywhere else it never is."""

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from app.db.tables import receipts
from app.tasks.task import Task
from tests.tasks.conftest import Bench, until
from tests.tasks.test_billing import money, priced
from tests.upstream import FakeUpstream

OWN: dict[str, Any] = {"own_hardware": True, "remake_after_seconds": 0, "poll_cap_seconds": 0.05}
PRICE, NOTHING = Decimal("0.15"), Decimal(0)


@pytest.fixture
def pod() -> Iterator[FakeUpstream]:
    """A process of its own: what it has accepted dies with it."""
    with FakeUpstream(process=True) as upstream:
        yield upstream


async def remakes(bench: Bench, task: Task) -> list[int]:
    rows = await bench.components.repository.read_timeline(task.id)
    return [row["detail"]["remake"] for row in rows if "remake" in row["detail"]]


async def begin(bench: Bench, url: str, **options: Any) -> Task:
    await bench.account(url=f"{url}/v1", options=options)
    await priced(bench)
    await bench.work()
    return await bench.create()


async def kill_and_restart(pod: FakeUpstream) -> None:
    assert pod._process is not None
    pod._process.kill()
    await asyncio.to_thread(pod.stop)
    await asyncio.to_thread(pod.start)


async def test_a_killed_pod_makes_it_again(bench: Bench, pod: FakeUpstream) -> None:
    pod.script(statuses=["in_progress"])
    task = await begin(bench, pod.url, **OWN)
    await pod.until(lambda counters: counters.requests.get("poll", 0) >= 2)
    await kill_and_restart(pod)
    ended = await bench.ended(task)
    assert ended.state == "completed"
    assert (await remakes(bench, task), pod.counters().jobs) == ([1], 1)
    assert await money(bench) == (NOTHING, PRICE)
    assert await bench.slots() == 0


async def test_a_killed_pod_of_somebody_else_is_never_paid_twice(
    bench: Bench, pod: FakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.tasks.lifecycle.LOST_SECONDS", 0.0)
    pod.script(statuses=["in_progress"])
    task = await begin(bench, pod.url, poll_cap_seconds=0.05, remake_after_seconds=0)
    await pod.until(lambda counters: counters.requests.get("poll", 0) >= 2)
    await kill_and_restart(pod)
    ended = await bench.ended(task)
    assert (ended.error_code, ended.money) == ("upstream_lost", "held")
    assert (await remakes(bench, task), pod.counters().jobs) == ([], 0)
    assert await money(bench) == (PRICE, NOTHING)


async def test_it_is_made_again_a_stated_number_of_times(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.tasks.lifecycle.LOST_SECONDS", 0.0)
    bench.upstream.fault("poll", status=404, body={"detail": "Video not found"}, times=None)
    task = await begin(bench, bench.upstream.url, **OWN, remakes=3)
    ended = await bench.ended(task)
    assert (ended.error_code, ended.money) == ("upstream_lost", "held")
    assert (await remakes(bench, task), bench.upstream.counters().jobs) == ([1, 2, 3], 4)
    assert await money(bench) == (PRICE, NOTHING)
    assert await bench.slots() == 0


async def test_one_answer_in_between_is_no_loss(bench: Bench) -> None:
    """Reads that lag behind, and a load balancer before two pods."""
    bench.upstream.script(statuses=["in_progress"] * 20 + ["completed"])
    for skip in (2, 5, 8):
        bench.upstream.fault("poll", status=404, body={"detail": "Video not found"}, times=3, skip=skip)
    task = await begin(bench, bench.upstream.url, **OWN)
    assert (await bench.ended(task)).state == "completed"
    assert await remakes(bench, task) == []


async def test_nothing_leads_back_to_the_lost_operation(bench: Bench) -> None:
    """Another account may make it now: it is never asked about an operation of the first."""
    task = await begin(bench, bench.upstream.url, **OWN, remakes=1)
    bench.upstream.script(statuses=["in_progress"])
    bench.upstream.fault("poll", status=404, body={"detail": "Video not found"}, times=None)

    async def is_queued_again() -> bool:
        return await remakes(bench, task) == [1]

    bench.upstream.fault("create", status=503, skip=1, times=None)
    await until(is_queued_again)
    found = await bench.components.repository.get(task.id)
    assert found is not None and found.operation is None
    async with bench.components.database.read() as connection:
        of_task = sa.select(receipts.c.id).where(receipts.c.task_id == task.id)
        assert (await connection.execute(of_task)).all() == []
    cancelled = await bench.components.tasks.cancel(found)
    assert (cancelled.state, await money(bench)) == ("cancelled", (NOTHING, NOTHING))
