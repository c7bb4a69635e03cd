"""Receipts that come late are adopted, and an operation belongs to one task alone."""

import asyncio
import json
import time
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from app.db.operator_tables import rollup
from app.db.tables import receipts, webhook_deliveries
from app.errors import InvalidRequest
from app.providers.base import Operation
from app.tasks.held_watch import HeldWatch
from app.tasks.receipts import adopt_late_receipts
from app.tasks.repository import StaleRun
from app.tasks.service import RequestContext
from app.tasks.task import Task
from app.webhooks.notice_options import NoticeOptions
from tests.tasks.conftest import KEY, Bench, until
from tests.tasks.test_billing import kinds, money, priced, rows
from tests.tasks.test_lifecycle import set_task

PRICE, NOTHING = Decimal("0.15"), Decimal(0)
HOOK = RequestContext("test", hook_url="https://example.com/hook", hook_base="https://example.com")


async def unknown(bench: Bench, **told: Any) -> Task:
    """A task whose job the vendor has, and whose answer was lost: failed, with its money held."""
    bench.upstream.fault("create", do="reset", accepts=True)
    await bench.account()
    await priced(bench)
    worker = await bench.work()
    task = await bench.ended(await bench.create(**told))
    assert (task.error_code, task.money) == ("submission_unknown", "held")
    await worker.stop()
    return task


async def thaw(bench: Bench, task: Task, operation: str = "video_00000001") -> None:
    """What a frozen worker does when it goes on: it records its answer, and learns that its run is over."""
    frozen = await bench.components.repository.get(task.id)
    assert frozen is not None
    with pytest.raises(StaleRun):
        await bench.components.repository.accept(
            frozen, Operation(id=operation), now=time.time(), deadline_at=time.time() + 3600
        )


async def test_a_late_receipt_brings_the_film(bench: Bench) -> None:
    task = await unknown(bench, context=HOOK)
    await thaw(bench, task)
    await bench.work()
    ended = await bench.reaches(task, "completed")
    assert (ended.money, ended.cost, ended.error_code, ended.purged) == ("settled", PRICE, None, False)
    assert await kinds(bench, task) == ["reserve", "settle"]
    assert await money(bench) == (NOTHING, PRICE)
    assert bench.upstream.counters().jobs == 1
    assert (await bench.timeline(task))[-4:] == ["failed", "running", "storing", "completed"]
    assert await bench.slots() == 0
    counted = {row.outcome: row.tasks for row in await rows(bench, rollup) if row.tasks}
    assert counted == {"completed": 1}
    events = [row.event for row in await rows(bench, webhook_deliveries)]
    assert sorted(events) == ["video.completed", "video.failed"]


async def test_it_runs_again_only_while_nobody_has_decided(bench: Bench) -> None:
    task = await unknown(bench)
    database, billing = bench.components.database, bench.components.money.billing
    await thaw(bench, task)
    done = await asyncio.gather(
        billing.settle_held(task.id, None),
        adopt_late_receipts(database, run_seconds=3600),
        return_exceptions=True,
    )
    seen = await bench.components.repository.get(task.id)
    assert seen is not None
    if isinstance(done[0], InvalidRequest):
        assert (seen.state, seen.money, done[1]) == ("running", None, [task.id])
    else:
        assert (seen.state, seen.money, done[1]) == ("failed", "released", [])
    assert await adopt_late_receipts(database, run_seconds=3600) == []


@pytest.mark.parametrize("values", [{"deleted": True}, {"money": "settled"}, {"state": "cancelled"}], ids=str)
async def test_what_was_given_up_is_not_run_again(bench: Bench, values: dict[str, Any]) -> None:
    task = await unknown(bench)
    await thaw(bench, task)
    await set_task(bench, task, **values)
    assert await adopt_late_receipts(bench.components.database, run_seconds=3600) == []


async def test_a_receipt_of_the_day_before_changes_nothing(bench: Bench) -> None:
    task = await unknown(bench)
    await thaw(bench, task)
    async with bench.components.database.write() as connection:
        await connection.execute(sa.update(receipts).values(at=time.time() - 25 * 3600, claim=None))
    assert await adopt_late_receipts(bench.components.database, run_seconds=3600) == []


async def test_an_operation_belongs_to_one_task(bench: Bench) -> None:
    """A vendor that mixes up its jobs must not give the second task the first one's film."""
    mixed = {"id": "video_00000001", "object": "video", "status": "queued", "model": "sora-2"}
    bench.upstream.script(job_seconds=1.0)
    bench.upstream.fault("create", status=200, body=mixed, prompt="second", accepts=True)
    await bench.account()
    await priced(bench)
    await bench.work()
    first = await bench.reaches(await bench.create("first"), "running")
    second = await bench.ended(await bench.create("second"))
    assert (second.state, second.error_code, second.money) == ("failed", "submission_unknown", "held")
    assert first.id in (second.error_message or "")
    assert (await bench.ended(first)).state == "completed"
    assert await money(bench) == (PRICE, PRICE)
    await until(lambda: _swept(bench))  # its receipt is no reason to run it again
    assert (await bench.ended(second)).state == "failed"


async def _swept(bench: Bench) -> bool:
    return await adopt_late_receipts(bench.components.database, run_seconds=3600) == []


async def test_the_same_answer_recorded_twice_is_one_operation(bench: Bench) -> None:
    bench.upstream.script(job_seconds=600)
    await bench.account()
    worker = await bench.work()
    task = await bench.reaches(await bench.create(key=KEY), "running")
    await worker.stop()
    await set_task(bench, task, state="submitting", operation=None)  # as if it were recovered
    await bench.work()
    found = await bench.reaches(task, "running")
    assert found.operation is not None
    claims = [row.claim for row in await rows(bench, receipts)]
    assert [claim is not None for claim in claims] == [True, False]
    assert json.loads(found.operation_text or "{}")["id"] == found.operation.id


async def test_the_operator_is_told_of_held_money_once(bench: Bench) -> None:
    receivers = [{"name": "pager", "url": "https://example.com/filmgate"}]
    await bench.components.options.write(NoticeOptions, {"receivers": receivers})
    task = await unknown(bench)
    watch = HeldWatch(bench.components.database, bench.components.options, bench.components.notices)
    for _ in range(3):
        await watch.check()
    [told] = [row for row in await rows(bench, webhook_deliveries) if row.event == "money_held"]
    data = json.loads(told.body)["data"]
    assert (data["tasks"], data["amount"], data["task"]) == (1, "0.15", task.id)
    assert data["code"] == "submission_unknown"
