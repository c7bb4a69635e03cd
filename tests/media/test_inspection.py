"""Foreign bytes are decoded in other processes: what kills or stops one of them harms nobody else."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.errors import ResultUnreadable, ServiceUnavailable
from app.media.analysis import probe_image, probe_video
from app.media.inspection import SPRITESHEET, THUMBNAIL, MediaInspector
from tests.media.clips import make_flat_picture, make_picture

pytestmark = pytest.mark.slow


@pytest.fixture
async def inspector() -> AsyncIterator[MediaInspector]:
    made = MediaInspector(workers=1)
    yield made
    await made.close()


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """A file whose reader waits for ever."""
    os.mkfifo(tmp_path / "endless")
    return tmp_path / "endless"


async def until_there(inspector: MediaInspector, count: int = 1) -> list[int]:
    while len(inspector.process_ids) < count:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    return inspector.process_ids


async def test_it_finds_what_a_look_here_finds(inspector: MediaInspector, clip: Path, tmp_path: Path) -> None:
    assert inspector.process_ids == []
    picture = tmp_path / "picture"
    picture.write_bytes(make_picture("PNG", (1000, 500)))
    assert await inspector.probe_video(clip) == probe_video(clip)
    assert await inspector.probe_image(picture) == probe_image(picture)
    assert len(inspector.process_ids) == 1


async def test_pictures_are_drawn_beside_other_work(
    inspector: MediaInspector, clip: Path, endless: Path, tmp_path: Path
) -> None:
    """In a process of their own, nicer than others, which writes two files or none."""
    stuck = asyncio.create_task(inspector.draw_previews(endless, tmp_path, kind="video"))
    [artist] = await until_there(inspector)
    assert (await inspector.probe_video(clip)).width == 320
    stuck.cancel()
    await asyncio.wait([stuck])
    await inspector.draw_previews(clip, tmp_path, kind="video")
    assert (tmp_path / THUMBNAIL).stat().st_size and (tmp_path / SPRITESHEET).stat().st_size
    [artist] = inspector._artists.process_ids
    nice = [os.getpriority(os.PRIO_PROCESS, pid) for pid in (artist, *inspector._children.process_ids)]
    assert nice == [10, 5]
    with pytest.raises(ServiceUnavailable):  # a full disk or a missing folder says nothing about the film
        await inspector.draw_previews(clip, tmp_path / "missing", kind="video")
    await inspector.close()
    with pytest.raises(ServiceUnavailable):
        await inspector.draw_previews(clip, tmp_path, kind="video")


async def test_what_is_unreadable_is_called_so_and_harms_no_process(
    inspector: MediaInspector, clip: Path, tmp_path: Path
) -> None:
    with pytest.raises(ResultUnreadable, match="broken"):
        await inspector.probe_video(tmp_path / "missing")
    process = inspector.process_ids
    with pytest.raises(ResultUnreadable, match="not a readable image"):
        await inspector.probe_image(clip)
    assert inspector.process_ids == process


async def test_a_process_killed_at_work_fails_its_file_only(
    inspector: MediaInspector, clip: Path, endless: Path
) -> None:
    stuck = asyncio.create_task(inspector.probe_video(endless))
    waiting = asyncio.create_task(inspector.probe_video(clip))
    # Opening it succeeds once the other process reads.
    with await asyncio.to_thread(endless.open, "wb"):
        os.kill(inspector.process_ids[0], signal.SIGKILL)
        await asyncio.wait([stuck])
    with pytest.raises(ResultUnreadable) as caught:
        await stuck
    assert caught.value.next_step == "retry_later"
    assert (await waiting).width == 320


async def test_a_process_killed_while_idle_harms_nobody(inspector: MediaInspector, clip: Path) -> None:
    await inspector.probe_video(clip)
    os.kill(inspector.process_ids[0], signal.SIGKILL)
    assert (await inspector.probe_video(clip)).width == 320


async def test_what_takes_too_long_is_given_up(clip: Path, endless: Path) -> None:
    inspector = MediaInspector(workers=1, timeout_seconds=0.2)
    with pytest.raises(ResultUnreadable) as caught:
        await inspector.probe_video(endless)
    assert caught.value.next_step == "retry_later"
    assert inspector.process_ids == []
    await inspector.close()


async def test_who_stops_waiting_ends_the_work(inspector: MediaInspector, clip: Path, endless: Path) -> None:
    looking = asyncio.create_task(inspector.probe_video(endless))
    [process] = await until_there(inspector)
    looking.cancel()
    await asyncio.wait([looking])
    assert looking.cancelled()
    assert not alive(process)
    assert (await inspector.probe_video(clip)).width == 320


@pytest.mark.skipif(sys.platform != "linux", reason="other systems set no such limit")
async def test_a_memory_bomb_bursts_alone(clip: Path, tmp_path: Path) -> None:
    """Fifty million pixels are allowed, but not within this little memory."""
    bomb, small = tmp_path / "bomb", tmp_path / "small"
    bomb.write_bytes(make_flat_picture(7000))
    small.write_bytes(make_picture("PNG"))
    inspector = MediaInspector(workers=1, memory_bytes=320 * 1024**2)
    with pytest.raises(ResultUnreadable):
        await inspector.draw_previews(bomb, tmp_path, kind="image")
    await inspector.draw_previews(small, tmp_path, kind="image")
    assert (tmp_path / THUMBNAIL).stat().st_size
    await inspector.close()


async def test_close_ends_all_and_fails_what_waits(endless: Path) -> None:
    inspector = MediaInspector(workers=2)
    looks = [asyncio.create_task(inspector.probe_video(endless)) for _ in range(4)]
    processes = await until_there(inspector, 2)
    await inspector.close()
    results = await asyncio.gather(*looks, return_exceptions=True)
    assert [type(result) for result in results] == [ResultUnreadable] * 4
    assert [pid for pid in processes if alive(pid)] == []


PARENT = """
import asyncio, sys
from pathlib import Path
from app.media.inspection import MediaInspector

async def main() -> None:
    inspector = MediaInspector(workers=1)
    looking = asyncio.create_task(inspector.probe_video(Path(sys.argv[1])))
    while not inspector.process_ids:
        await asyncio.sleep(0.01)
    print(inspector.process_ids[0], flush=True)
    await looking

asyncio.run(main())
"""


def test_no_process_outlives_a_killed_parent(endless: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(endless)], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = next(int(line) for line in parent.stdout if line.strip().isdigit())
        parent.kill()
    while alive(child):  # a process that stays makes the test hang, which fails it
        time.sleep(0.02)


def test_the_web_process_loads_nothing_that_only_some_need() -> None:
    code = "import app.main, app.cli.serving, sys; print(sorted({'app.admin.app', 'av', 'numpy', 'pgqueuer'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def alive(pid: int) -> bool:
    """True while a process runs; one that only waits to be collected has ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not (state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] == "Z")
