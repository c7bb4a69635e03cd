"""The studio keeps a provider's promises: once per key, progress, cancel, restart, crash."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.errors import OperationNotFound, PollFailed, UpstreamBusy, UpstreamModerated, UpstreamRejected
from app.providers.base import Failed, Operation, Queued, Running, Submission, Succeeded
from app.providers.studio.provider import StudioProvider
from tests.providers.studio.clips import finish, frames_of, make_request, media, picture
from tests.providers.studio.conftest import MakeStudio

pytestmark = pytest.mark.slow


async def content(studio: StudioProvider, operation: Operation, done: Succeeded) -> bytes:
    return b"".join([chunk async for chunk in studio.fetch(operation, done.files[0])])


def written_at(done: Succeeded) -> int:
    return Path(done.files[0].data["path"]).stat().st_mtime_ns


def parts_in(folder: Path) -> list[Path]:
    return list(folder.rglob("*.part"))


async def until_running(studio: StudioProvider, operation: Operation) -> None:
    while True:
        answer = await studio.poll(operation)
        if isinstance(answer, Running) and answer.progress:
            return
        assert isinstance(answer, (Queued, Running)), answer
        await asyncio.sleep(0.02)


async def test_a_clip_is_made_and_handed_over(studio: StudioProvider, tmp_path: Path) -> None:
    request = make_request("海边的灯塔", media=(media("first_frame", picture()),), seconds=2.0)
    operation = await studio.start(request, Submission("key-1"))
    operation = Operation.model_validate_json(operation.model_dump_json())
    done, seen = await finish(studio, operation)
    assert isinstance(done, Succeeded)
    shares = [answer.progress for answer in seen if isinstance(answer, Running)]
    assert shares == sorted(shares, key=lambda share: share or 0)
    assert done.files[0].content_type == "video/mp4"
    clip = tmp_path / "fetched.mp4"
    clip.write_bytes(await content(studio, operation, done))
    assert len(frames_of(clip)) == 48


async def test_after_the_hand_over_it_can_be_made_again(studio: StudioProvider) -> None:
    operation = await studio.start(make_request("[studio:fast] again"), Submission("key-2"))
    done, _ = await finish(studio, operation)
    assert isinstance(done, Succeeded)
    first = await content(studio, operation, done)
    with pytest.raises(PollFailed):
        await content(studio, operation, done)
    once_more, _ = await finish(studio, operation)
    assert isinstance(once_more, Succeeded)
    assert await content(studio, operation, once_more) == first


async def test_one_key_is_one_rendering(studio: StudioProvider) -> None:
    request = make_request("[studio:fast] once")
    one = await studio.start(request, Submission("key-3"))
    assert await studio.start(request, Submission("key-3")) == one
    done, _ = await finish(studio, one)
    assert isinstance(done, Succeeded)
    changed = written_at(done)
    assert await studio.recover(request, Submission("key-3")) == one
    again, seen = await finish(studio, one)
    assert (again, seen) == (done, [])
    assert written_at(done) == changed


async def test_an_image_is_made(studio: StudioProvider) -> None:
    operation = await studio.start(make_request(kind="image"), Submission("key-4"))
    done, _ = await finish(studio, operation)
    assert isinstance(done, Succeeded)
    assert done.files[0].content_type == "image/png"
    assert (await content(studio, operation, done)).startswith(b"\x89PNG")


async def test_jobs_wait_for_a_process(studio: StudioProvider) -> None:
    first = await studio.start(make_request("[studio:slow=10]"), Submission("first"))
    second = await studio.start(make_request("[studio:fast] second"), Submission("second"))
    await until_running(studio, first)
    assert isinstance(await studio.poll(second), Queued)
    assert await studio.cancel(first)
    stopped, _ = await finish(studio, first)
    assert isinstance(stopped, Failed)
    assert stopped.code == "cancelled"
    done, _ = await finish(studio, second)
    assert isinstance(done, Succeeded)


async def test_a_cancelled_rendering_leaves_no_half_file(studio: StudioProvider, tmp_path: Path) -> None:
    operation = await studio.start(make_request("[studio:slow=10]", seconds=10.0), Submission("key"))
    while not parts_in(tmp_path):
        assert isinstance(await studio.poll(operation), (Queued, Running))
        await asyncio.sleep(0.02)
    await studio.cancel(operation)
    follower = await studio.start(make_request("[studio:fast]"), Submission("next"))
    await finish(studio, follower)
    assert parts_in(tmp_path) == []


async def test_a_killed_process_fails_its_job_only(studio: StudioProvider) -> None:
    operation = await studio.start(make_request("[studio:slow=10]"), Submission("key"))
    waiting = await studio.start(make_request("[studio:fast]"), Submission("waiting"))
    await until_running(studio, operation)
    os.kill(studio.process_ids[0], signal.SIGKILL)
    answer, _ = await finish(studio, operation)
    assert isinstance(answer, Failed)
    assert answer.code == "upstream_error"
    done, _ = await finish(studio, waiting)
    assert isinstance(done, Succeeded)


async def test_a_process_killed_while_idle_harms_nobody(studio: StudioProvider) -> None:
    operation = await studio.start(make_request("[studio:fast]"), Submission("one"))
    await finish(studio, operation)
    os.kill(studio.process_ids[0], signal.SIGKILL)
    following = await studio.start(make_request("[studio:fast] two"), Submission("two"))
    done, _ = await finish(studio, following)
    assert isinstance(done, Succeeded)


async def test_another_server_takes_over(make_studio: MakeStudio) -> None:
    before = make_studio()
    slow = await before.start(
        make_request("[studio:slow=10]", media=(media("first_frame", picture()),)), Submission("key")
    )
    await until_running(before, slow)
    await before.close()
    after = make_studio(test_directives=False)
    assert await after.poll(slow) == Running(progress=0.0)
    done, _ = await finish(after, slow)
    assert isinstance(done, Succeeded)
    assert await make_studio().poll(slow) == done


async def test_directives(studio: StudioProvider) -> None:
    for word, error in (
        ("reject", UpstreamRejected),
        ("moderate", UpstreamModerated),
        ("busy", UpstreamBusy),
    ):
        with pytest.raises(error):
            await studio.start(make_request(f"[studio:{word}] x"), Submission(word))
    for word, code in (("fail", "upstream_error"), ("moderate-late", "content_policy_violation")):
        operation = await studio.start(make_request(f"[studio:{word}] x"), Submission(word))
        answer, _ = await finish(studio, operation)
        assert isinstance(answer, Failed)
        assert answer.code == code


async def test_directives_are_words_like_others_unless_allowed(make_studio: MakeStudio) -> None:
    studio = make_studio(test_directives=False)
    operation = await studio.start(make_request("[studio:reject]", seconds=0.2), Submission("key"))
    answer, _ = await finish(studio, operation)
    assert isinstance(answer, Succeeded)


async def test_a_damaged_picture_fails_the_job_and_not_the_process(studio: StudioProvider) -> None:
    request = make_request(media=(media("first_frame", b"no picture"),))
    operation = await studio.start(request, Submission("key"))
    answer, _ = await finish(studio, operation)
    assert isinstance(answer, Failed)
    assert answer.code == "upstream_error"
    assert len(studio.process_ids) == 1


async def test_what_it_cannot_do_is_refused(studio: StudioProvider) -> None:
    with pytest.raises(UpstreamRejected):
        await studio.start(make_request(kind="audio"), Submission("key"))
    with pytest.raises(UpstreamRejected):
        await studio.start(make_request(size="9000x9000"), Submission("key"))
    with pytest.raises(OperationNotFound):
        await studio.poll(Operation(id="studio-unknown"))


async def test_close_ends_every_process(make_studio: MakeStudio) -> None:
    studio = make_studio(workers=2)
    for number in range(3):
        await studio.start(make_request("[studio:slow=10]"), Submission(str(number)))
    await until_running(studio, await studio.start(make_request("[studio:slow=10]"), Submission("0")))
    processes = studio.process_ids
    await studio.close()
    assert processes
    assert [pid for pid in processes if alive(pid)] == []


PARENT = """
import asyncio, sys
from app.providers.studio.plan import RenderPlan
from app.providers.studio.pool import RenderJob, RenderPool
from pathlib import Path

async def main() -> None:
    pool = RenderPool(1)
    plan = RenderPlan("video", "generate", "x", 64, 64, 1.0, (), (), "", 1, 1, True, True, slow=60.0)
    pool.submit(RenderJob(id="x", plan=plan, folder=Path(sys.argv[1])))
    while not pool.process_ids:
        await asyncio.sleep(0.01)
    print(pool.process_ids[0], flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_no_process_outlives_a_killed_server(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = next(int(line) for line in parent.stdout if line.strip().isdigit())
        parent.kill()
    while alive(child):  # a process that stays makes the test hang, which fails it
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """True while a process runs; one that only waits to be collected has ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not (state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] == "Z")
