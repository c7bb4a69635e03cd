"""Nothing that is paid for is given up after one look: polls that fail, results that are away, deadlines."""

import asyncio
import time
from decimal import Decimal
from typing import Any

import pytest

from app.tasks.task import Task
from tests.tasks.conftest import Bench, until
from tests.tasks.test_billing import money, priced
from tests.tasks.test_lifecycle import set_task

FAST: dict[str, Any] = {"options": {"poll_cap_seconds": 0.05}}
PRICE, NOTHING = Decimal("0.15"), Decimal(0)


async def begin(bench: Bench, **told: Any) -> Task:
    """A priced task of an account that is polled quickly."""
    await bench.account(**FAST)
    await priced(bench)
    await bench.work()
    return await bench.create(**told)


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.tasks.patience.FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr("app.tasks.patience.LONGEST_PAUSE_SECONDS", 0.05)


async def test_reads_that_lag_behind_lose_nothing(bench: Bench) -> None:
    bench.upstream.fault("poll", status=404, times=12)
    assert (await bench.ended(await begin(bench))).state == "completed"


async def test_a_front_that_answers_for_the_vendor_loses_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its 404 is a page, not the vendor's own error: it does not even count."""
    monkeypatch.setattr("app.tasks.lifecycle.LOST_SECONDS", 0.0)
    bench.upstream.fault("poll", status=404, text="<h1>not here</h1>", times=12)
    assert (await bench.ended(await begin(bench))).state == "completed"


async def test_what_the_vendor_has_not_known_for_long_is_lost_and_held(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.tasks.lifecycle.LOST_SECONDS", 0.5)
    bench.upstream.fault("poll", status=404, times=None)
    task = await bench.ended(await begin(bench))
    assert (task.error_code, task.money) == ("upstream_lost", "held")
    assert max(bench.upstream.counters().polls.values(), default=5) >= 5
    assert await money(bench) == (PRICE, NOTHING)
    assert await bench.slots() == 0


@pytest.mark.usefixtures("short_pauses")
async def test_a_download_that_is_away_for_long_is_waited_for_without_a_slot(bench: Bench) -> None:
    bench.upstream.fault("content", do="status", status=503, times=None)
    task = await bench.reaches(await begin(bench), "storing")
    await until(lambda: _tried(bench, 12))
    await until(lambda: _no_slots(bench))
    found = await bench.reaches(task, "storing")
    assert found.made_at is not None
    bench.upstream.script()
    assert (await bench.ended(task)).state == "completed"
    copies = [name for name in await bench.timeline(task) if name == "delivery.copy"]
    assert 4 <= len(copies) < 12


async def _tried(bench: Bench, times: int) -> bool:
    return bench.upstream.counters().requests.get("content", 0) >= times


async def _no_slots(bench: Bench) -> bool:
    return await bench.slots() == 0


@pytest.mark.usefixtures("short_pauses")
async def test_a_result_that_stays_away_is_given_up_late_and_held(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.tasks.patience.RESULT_SECONDS", 1.0)
    bench.upstream.fault("content", do="status", status=503, times=None)
    task = await bench.reaches(await begin(bench), "storing")
    await set_task(bench, task, deadline_at=1.0)
    await bench.workers[0].stop()  # the next run reads the deadline, and knows since when it is made
    await bench.work()
    ended = await bench.ended(task)
    assert (ended.error_code, ended.money) == ("result_unavailable", "held")


@pytest.mark.usefixtures("short_pauses")
async def test_what_is_no_film_at_all_is_given_up_after_some_copies(bench: Bench) -> None:
    bench.upstream.script(video_bytes=0)
    ended = await bench.ended(await begin(bench))
    assert (ended.error_code, ended.money) == ("result_unavailable", "held")
    assert sum(bench.upstream.counters().downloads.values()) == 8


@pytest.mark.usefixtures("short_pauses")
@pytest.mark.parametrize("later", ["failed", "404"])
async def test_made_once_is_made_whatever_the_vendor_says_later(bench: Bench, later: str) -> None:
    bench.upstream.fault("content", do="status", status=503, times=None)
    task = await bench.reaches(await begin(bench), "storing")
    await bench.workers[0].stop()
    bench.upstream.script(**({} if later == "404" else {"statuses": [later]}))
    if later == "404":
        bench.upstream.fault("poll", status=404, times=None)
    await set_task(bench, task, deadline_at=1.0)
    polled = bench.upstream.counters().requests["poll"]
    await bench.work()
    await bench.upstream.until(lambda counters: counters.requests["poll"] >= polled + 5)
    bench.upstream.script()
    assert (await bench.ended(task)).state == "completed"


async def test_a_task_past_its_deadline_waits_for_an_answer(bench: Bench) -> None:
    """Down past the deadline, and the first polls after the start fail: the film is there all the same."""
    bench.upstream.script(job_seconds=1.0)
    task = await bench.reaches(await begin(bench), "running")
    await bench.workers[0].stop()
    await set_task(bench, task, deadline_at=time.time() - 10)
    await asyncio.sleep(1.0)
    bench.upstream.fault("poll", status=503, times=5)
    await bench.work()
    assert (await bench.ended(task)).state == "completed"


async def test_a_vendor_that_never_answers_again_has_a_second_deadline(bench: Bench) -> None:
    bench.upstream.script(job_seconds=600)
    task = await bench.reaches(await begin(bench), "running")
    await bench.workers[0].stop()
    bench.upstream.fault("poll", status=503, times=None)
    await set_task(bench, task, deadline_at=time.time() - 25 * 3600)
    await bench.work()
    assert (await bench.ended(task)).error_code == "deadline_exceeded"


async def test_the_time_in_the_queue_is_not_taken_from_the_run(bench: Bench) -> None:
    """Submitted shortly before its deadline of waiting: it has the whole time of a run before it."""
    await bench.account(**FAST)
    await priced(bench)
    task = await bench.create()
    await set_task(bench, task, deadline_at=time.time() + 300)
    await bench.work()
    ended = await bench.ended(task)
    assert ended.state == "completed"
    assert ended.started_at is not None
    assert ended.deadline_at - ended.started_at > 3590


async def test_a_refused_copy_says_little_about_the_first_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.upstream.script(honour_idempotency=True)
    bench.upstream.fault("create", do="reset", accepts=True)
    bench.upstream.fault("create", status=400, times=2)
    await bench.account(options={"idempotency": True})
    await bench.work()
    assert (await bench.ended(await bench.create())).state == "completed"
    monkeypatch.setattr("app.tasks.submission.LOST_SECONDS", 0.0)
    await priced(bench)
    bench.upstream.fault("create", do="reset", accepts=True)
    bench.upstream.fault("create", status=400, times=None)
    ended = await bench.ended(await bench.create("other"))
    assert (ended.state, ended.error_code, ended.money) == ("failed", "invalid_request", "held")
