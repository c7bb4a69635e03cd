"""Lives of tasks: their ends, cancellation in every state, files, deadlines, and many at once."""

import asyncio
import base64
import os
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.db.tables import accounts, tasks
from app.generation import MediaInput
from app.media.store import task_folders
from app.tasks.task import Task
from tests.tasks.conftest import KEY, Bench, replica, settings_for, until
from tests.upstream import FakeUpstream

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)


def picture() -> MediaInput:
    return MediaInput(role="first_frame", content_type="image/png", sha256="x", content=PIXEL)


async def set_task(bench: Bench, task: Task, **values: Any) -> None:
    async with bench.components.database.write() as connection:
        await connection.execute(sa.update(tasks).where(tasks.c.id == task.id).values(**values))


def files(bench: Bench, task: Task) -> list[str]:
    """Also while they are being deleted."""
    root = bench.components.settings.data_dir / "files"
    return [
        name for folder in task_folders(task.id) for *_, names in os.walk(root / folder) for name in names
    ]


async def test_completed_with_its_files_and_its_timeline(bench: Bench) -> None:
    account = await bench.account()
    await bench.work()
    task = await bench.ended(await bench.create(media=(picture(),)))
    assert task.state == "completed"
    assert task.result is not None
    assert (task.shown_progress, task.account_id, task.result.files[0].width) == (100.0, account.id, 64)
    assert await bench.timeline(task) == [
        "received", "dispatched", "submitting", "running", "storing", "completed",
    ]  # fmt: skip
    assert {"video.mp4", "0.png"} <= set(files(bench, task))
    assert await bench.slots() == 0
    assert set(bench.upstream.counters().accepted.values()) == {1}


async def test_failed_by_the_upstreams_word(bench: Bench) -> None:
    bench.upstream.script(final="failed", error={"code": "moderation_blocked", "message": "no"})
    await bench.account()
    await bench.work()
    task = await bench.ended(await bench.create())
    assert (task.state, task.error_code) == ("failed", "content_policy_violation")
    assert await bench.slots() == 0


async def test_its_progress_is_heard_and_never_goes_back(bench: Bench) -> None:
    bench.upstream.script(job_seconds=2.5)
    await bench.account()
    await bench.work()
    task = await bench.create()
    seen = [one async for one in bench.components.tasks.watch(task)]
    shown = [one.shown_progress for one in seen]
    assert shown == sorted(shown)
    assert seen[-1].state == "completed"
    assert any(0 < value < 99 for value in shown)
    worker = bench.workers[0]
    assert worker._progress._seen == {}


@pytest.mark.parametrize("delete", [False, True], ids=["cancel", "delete"])
class TestCancelInEveryState:
    async def end(self, bench: Bench, task: Task, *, delete: bool, state: str = "cancelled") -> None:
        if delete:
            await bench.components.tasks.delete(task)
        else:
            await bench.components.tasks.cancel(task)
        ended = await bench.reaches(task, state)
        assert await bench.slots() == 0
        if delete:
            await until(lambda: self.purged(bench, task))
            assert files(bench, task) == []
            assert ended.deleted
        elif state == "cancelled":
            assert (ended.error_code, ended.deleted) == ("cancelled", False)

    async def purged(self, bench: Bench, task: Task) -> bool:
        found = await bench.components.repository.get(task.id)
        return found is not None and found.purged

    async def test_waiting(self, bench: Bench, *, delete: bool) -> None:
        account = await bench.account()
        await bench.components.pool.start_cooldown(account.id, seconds=60, reason="busy")
        await bench.work()
        await self.end(bench, await bench.create(media=(picture(),)), delete=delete)
        assert bench.upstream.counters().jobs == 0

    async def test_dispatched(self, bench: Bench, *, delete: bool) -> None:
        account = await bench.account()
        task = await bench.create(media=(picture(),))
        async with bench.components.database.write() as connection:
            await connection.execute(sa.update(tasks).values(account_id=account.id))
        await bench.components.repository.request_cancel(task.id, delete=delete)
        await bench.work()
        await self.end(bench, task, delete=delete)
        assert bench.upstream.counters().jobs == 0

    async def test_submitting(self, bench: Bench, *, delete: bool) -> None:
        bench.upstream.script(latency=0.5, job_seconds=60)
        await bench.account()
        await bench.work()
        task = await bench.create(media=(picture(),))
        await bench.is_on_its_way(task)
        await self.end(bench, task, delete=delete)
        assert len(bench.upstream.counters().deletes) == 1

    async def test_running(self, bench: Bench, *, delete: bool) -> None:
        bench.upstream.script(job_seconds=60)
        await bench.account()
        await bench.work()
        task = await bench.create(media=(picture(),))
        await bench.reaches(task, "running")
        await self.end(bench, task, delete=delete)
        assert len(bench.upstream.counters().deletes) == 1

    async def test_storing(self, bench: Bench, *, delete: bool) -> None:
        bench.upstream.fault("content", do="status", status=500, delay=0.5, times=None)
        await bench.account()
        await bench.work()
        task = await bench.create(media=(picture(),))
        await bench.reaches(task, "storing")
        await self.end(bench, task, delete=delete)

    async def test_completed(self, bench: Bench, *, delete: bool) -> None:
        await bench.account()
        await bench.work()
        task = await bench.ended(await bench.create(media=(picture(),)))
        await self.end(bench, task, delete=delete, state="completed")

    async def test_failed(self, bench: Bench, *, delete: bool) -> None:
        bench.upstream.script(final="failed")
        await bench.account()
        await bench.work()
        task = await bench.ended(await bench.create(media=(picture(),)))
        await self.end(bench, task, delete=delete, state="failed")


async def test_a_refused_task_that_was_cancelled_is_not_left_waiting(bench: Bench) -> None:
    account = await bench.account()
    await bench.components.pool.start_cooldown(account.id, seconds=600, reason="busy")
    task = await bench.create()
    await set_task(bench, task, cancel_requested=True)  # as its run went back to the queue
    await bench.work()
    await bench.reaches(task, "cancelled")


async def test_deleted_while_running_and_killed_before_its_end(bench: Bench) -> None:
    bench.upstream.script(job_seconds=60)
    await bench.account()
    worker = await bench.work()
    task = await bench.create(media=(picture(),))
    await bench.reaches(task, "running")
    await worker.stop()
    await bench.components.repository.request_cancel(task.id, delete=True)
    assert len(files(bench, task)) == 1
    await bench.work()
    await bench.reaches(task, "cancelled")
    await until(lambda: _gone(bench, task))


async def _gone(bench: Bench, task: Task) -> bool:
    return files(bench, task) == []


async def test_its_files_go_when_their_time_is_over(bench: Bench) -> None:
    await bench.account()
    await bench.work()
    kept = await bench.ended(await bench.create(media=(picture(),)))
    due = await bench.ended(await bench.create("other", media=(picture(),)))
    await set_task(bench, due, expires_at=time.time() - 1)
    await until(lambda: _gone(bench, due))
    assert {"video.mp4", "0.png"} <= set(files(bench, kept))
    assert (await bench.components.tasks.get(due.id, KEY)).state == "completed"


async def test_waiting_past_its_deadline(bench: Bench) -> None:
    account = await bench.account()
    await bench.components.pool.start_cooldown(account.id, seconds=60, reason="busy")
    task = await bench.create()
    await set_task(bench, task, deadline_at=time.time() - 1)
    await bench.work()
    ended = await bench.reaches(task, "failed")
    assert ended.error_code == "deadline_exceeded"


async def test_running_past_its_deadline(bench: Bench) -> None:
    bench.upstream.script(job_seconds=60)
    await bench.account()
    worker = await bench.work()
    task = await bench.reaches(await bench.create(), "running")
    await worker.stop()
    await set_task(bench, task, deadline_at=time.time() - 1)
    await bench.work()
    ended = await bench.ended(task)
    assert (ended.state, ended.error_code) == ("failed", "deadline_exceeded")
    assert len(bench.upstream.counters().deletes) == 1
    assert await bench.slots() == 0


async def test_a_video_that_was_finished_while_we_were_away_is_not_thrown_away(bench: Bench) -> None:
    bench.upstream.script(job_seconds=3.0)
    await bench.account()
    worker = await bench.work()
    task = await bench.create()
    await bench.reaches(task, "running")
    await worker.stop()
    await asyncio.sleep(3.0)
    await set_task(bench, task, deadline_at=time.time() - 10)
    await bench.work()
    assert (await bench.ended(task)).state == "completed"


async def test_an_input_that_was_deleted_meanwhile(bench: Bench) -> None:
    account = await bench.account()
    await bench.components.pool.start_cooldown(account.id, seconds=60, reason="busy")
    task = await bench.create(media=(picture(),))
    await bench.components.store.delete(f"inputs/{task.id}")
    await bench.components.accounts.enable("upstream")
    await bench.work()
    ended = await bench.ended(task)
    assert (ended.state, ended.error_code) == ("failed", "input_missing")
    assert bench.upstream.counters().submissions == {}
    assert await bench.slots() == 0


async def test_a_look_that_is_refused_keeps_the_task_on_its_account(bench: Bench) -> None:
    bench.upstream.script(job_seconds=0.5)
    bench.upstream.fault("poll", do="status", status=401, times=2)
    account = await bench.account()
    await bench.account("other")
    await bench.work()
    task = await bench.ended(await bench.create())
    assert task.state == "completed"
    assert set(bench.upstream.counters().accepted.values()) == {1}
    standings = {standing.account.id: standing for standing in await bench.components.pool.current_statuses()}
    assert standings[account.id].enabled
    # The operator reads that it was in trouble, once for both times, and how often it was looked at.
    rows = await bench.components.repository.read_timeline(task.id)
    story = [(row["event"], row["detail"]) for row in rows if row["event"] in ("poll.failed", "storing")]
    assert [event for event, _ in story] == ["poll.failed", "storing"]
    assert "401" in story[0][1]["error"]
    assert story[1][1]["polls"] >= 3


async def test_an_account_taken_away_ends_its_tasks(bench: Bench) -> None:
    bench.upstream.script(job_seconds=60)
    await bench.account()
    worker = await bench.work()
    task = await bench.create()
    await bench.reaches(task, "running")
    await worker.stop()
    await bench.components.accounts.remove("upstream", force=True)
    await bench.work()
    ended = await bench.reaches(task, "failed")
    assert ended.error_code == "account_removed"
    assert ended.expires_at is not None
    assert await bench.slots() == 0


async def test_an_account_set_up_badly_keeps_its_task_until_it_is_put_right(bench: Bench) -> None:
    bench.upstream.script(job_seconds=3.0)
    account = await bench.account()
    worker = await bench.work()
    task = await bench.create()
    await bench.reaches(task, "running")
    await worker.stop()
    await set_account(bench, account.id, options='{"capabilities": {"seconds": "long"}}')
    await bench.work()
    await asyncio.sleep(0.5)
    seen = await bench.components.repository.get(task.id)
    assert seen is not None
    assert seen.state == "running"
    await set_account(bench, account.id, options="{}")
    assert (await bench.ended(task)).state == "completed"


async def set_account(bench: Bench, account_id: str, **values: Any) -> None:
    async with bench.components.database.write() as connection:
        await connection.execute(sa.update(accounts).where(accounts.c.id == account_id).values(**values))
    await bench.components.pool.refresh()


async def test_a_stop_waits_for_what_is_on_its_way(bench: Bench) -> None:
    bench.upstream.script(latency=0.6, job_seconds=0)
    await bench.account()
    worker = await bench.work()
    task = await bench.create()
    await bench.is_on_its_way(task)
    await worker.stop()
    seen = await bench.components.repository.get(task.id)
    assert seen is not None
    assert (seen.state, seen.operation is not None) == ("running", True)
    await bench.work()
    assert (await bench.ended(task)).state == "completed"
    assert set(bench.upstream.counters().submissions.values()) == {1}


async def test_a_remix_goes_to_the_upstreams_own_remix(bench: Bench) -> None:
    await bench.account("first")
    await bench.account("second")
    await bench.work()
    for number in range(3):
        source = await bench.ended(await bench.create(f"source {number}"))
        remix = await bench.ended(await bench.create(f"remix {number}", action="remix", remix_of=source.id))
        assert (remix.state, remix.account_id) == ("completed", source.account_id)
    assert bench.upstream.counters().requests["remix"] == 3


async def test_a_part_of_the_worker_that_fell_over_is_begun_again(bench: Bench) -> None:
    await bench.account()
    worker = await bench.work()
    for name in ("admission", "sweep", "progress"):
        worker._jobs[name].cancel()
    assert (await bench.ended(await bench.create())).state == "completed"


async def test_only_one_worker_per_sqlite_store(tmp_path: Path, upstream: FakeUpstream) -> None:
    settings = settings_for(tmp_path, f"sqlite+aiosqlite:///{tmp_path / 'one.db'}")
    elsewhere = settings_for(tmp_path / "other", settings.database_url)
    async with replica(settings, upstream) as one, replica(elsewhere, upstream) as other:
        await one.work()
        with pytest.raises(Exception, match="Another worker already serves this SQLite store"):
            await other.work()


async def test_a_hundred_tasks_are_polled_side_by_side(bench: Bench) -> None:
    bench.upstream.script(job_seconds=600, latency=1.0)
    await bench.account(slots=100)
    made = [await bench.create(f"film {number}") for number in range(100)]
    await bench.work()
    seen = await bench.upstream.until(lambda counters: len(counters.polls) == len(made), timeout=90)
    assert seen.jobs == len(made)
    assert seen.concurrent_max > 50
