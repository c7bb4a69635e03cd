"""Copies of results: a share per account, cut off by a cancel and by the deadline, and never lost for being slow."""

from pathlib import Path

import pytest

from app.tasks.results import COPIES_AT_ONCE, COPIES_PER_ACCOUNT
from tests.tasks.conftest import Bench, replica, settings_for, until
from tests.upstream import FakeUpstream

DRIP_SECONDS = 0.5


async def test_dripping_results_of_one_account_delay_nobody_else(bench: Bench) -> None:
    bench.upstream.fault("content", do="drip", delay=DRIP_SECONDS, times=None, key="secret-of-dripping")
    await bench.account("dripping", models={"slow": "sora-2"}, slots=COPIES_AT_ONCE)
    await bench.account("quick", models={"fast": "sora-2"})
    await bench.work()
    slow = [await bench.create(f"drip {n}", model="slow") for n in range(COPIES_PER_ACCOUNT + 2)]
    for task in slow:
        await bench.reaches(task, "storing")

    async def downloads() -> bool:
        return bench.upstream.counters().requests.get("content", 0) >= COPIES_PER_ACCOUNT

    await until(downloads)
    ended = await bench.ended(await bench.create("quick", model="fast"))
    assert ended.state == "completed", ended.error_message
    assert bench.upstream.counters().requests["content"] == COPIES_PER_ACCOUNT + 1
    for task in slow:
        await bench.components.tasks.cancel(task)


@pytest.mark.parametrize("delete", [False, True], ids=["cancel", "delete"])
async def test_a_cancel_cuts_a_download_off(bench: Bench, *, delete: bool) -> None:
    bench.upstream.fault("content", do="drip", delay=DRIP_SECONDS, times=None)
    await bench.account()
    await bench.work()
    task = await bench.create()

    async def began() -> bool:
        return bench.upstream.counters().requests.get("content", 0) > 0

    await until(began)
    tasks = bench.components.tasks
    await (tasks.delete(task) if delete else tasks.cancel(task))
    found = await bench.reaches(task, "cancelled")
    assert found.finished_at is not None
    assert bench.upstream.counters().requests["content"] == 1
    assert not list((bench.components.settings.data_dir / "work").glob("**/result"))


async def test_the_deadline_cuts_a_download_off_and_the_next_one_brings_the_film(
    tmp_path: Path, database_url: str, upstream: FakeUpstream
) -> None:
    settings = settings_for(tmp_path, database_url, task_deadline_seconds=3, queue_deadline_seconds=600)
    async with replica(settings, upstream) as bench:
        upstream.fault("content", do="drip", delay=DRIP_SECONDS, times=1)
        await bench.account()
        await bench.work()
        ended = await bench.ended(await bench.create())
        assert ended.state == "completed", ended.error_message
        assert upstream.counters().requests["content"] == 2
