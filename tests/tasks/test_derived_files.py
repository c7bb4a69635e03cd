"""Thumbnail and sprite sheet: made when somebody asks, once, and gone with their film."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from app import clock
from app.db.tables import tasks
from app.errors import NotFound, ServiceUnavailable
from app.media import scratch
from app.media.inspection import MediaInspector
from app.media.scratch import ScratchFolder
from app.media.store import MediaStore, delete_task_files
from app.tasks import derived_files
from app.tasks.derived_files import DerivedFileMaker
from app.tasks.task import DerivedFile, Task, TaskResult
from tests.media.bucket import Bucket
from tests.media.conftest import Serve, serve
from tests.tasks.conftest import Bench, until

__all__ = ["serve"]


class Artist(MediaInspector):
    """The real one, which counts what it draws."""

    def __init__(self) -> None:
        super().__init__(workers=1)
        self.drawn = 0

    async def draw_previews(self, path: Path, folder: Path, **kind: object) -> None:
        self.drawn += 1
        await super().draw_previews(path, folder, **kind)  # type: ignore[arg-type]


class Studio:
    """A finished film, and several processes' makers over it."""

    def __init__(self, bench: Bench, task: Task, artist: Artist) -> None:
        assert task.result is not None and task.result.thumbnail and task.result.spritesheet
        self.bench, self.task, self.artist = bench, task, artist
        self.thumbnail: DerivedFile = task.result.thumbnail
        self.sheet: DerivedFile = task.result.spritesheet
        self.folder = f"tasks/{task.id}"
        self.film = task.result.files[0].key

    def maker(self, store: MediaStore | None = None) -> DerivedFileMaker:
        """As another process has one: with its own scratch folder below the same root."""
        components = self.bench.components
        scratch = ScratchFolder(components.settings.data_dir / "work")
        return DerivedFileMaker(
            components.repository, store or components.store, self.artist, scratch=scratch
        )

    async def files(self) -> set[str]:
        folder = self.bench.components.store.local_path(self.folder)
        assert folder is not None
        return {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()

    async def spoil(self) -> None:
        await self.bench.components.store.put(self.film, b"\0\0\0\x20ftypisom" + b"\0" * 500)


@pytest.fixture
def artist() -> Iterator[Artist]:
    return Artist()


@pytest.fixture
async def studio(bench: Bench, artist: Artist, monkeypatch: pytest.MonkeyPatch) -> Studio:
    """Its worker is never idle."""
    monkeypatch.setattr(derived_files, "QUIET_SECONDS", 1e6)
    await bench.account()
    await bench.work()
    ended = await bench.ended(await bench.create())
    assert ended.state == "completed", ended.error_message
    return Studio(bench, ended, artist)


async def test_nothing_is_drawn_until_somebody_asks_and_then_once(studio: Studio) -> None:
    """However many ask at the same time, in however many processes."""
    assert await studio.files() == {"video.mp4"}
    makers = [studio.maker(), studio.maker()]
    asked = [
        maker.find(studio.task, item) for maker in makers for item in (studio.thumbnail, studio.sheet) * 3
    ]
    found = await asyncio.gather(*asked)
    assert all(entry.size for entry in found)
    assert studio.artist.drawn == 1
    assert await studio.files() == {"video.mp4", "thumbnail.webp", "spritesheet.jpg"}
    work = studio.bench.components.settings.data_dir / "work"
    assert not list(work.glob("pictures-*"))
    await studio.artist.close()


async def test_what_can_not_be_drawn_says_why_and_is_not_tried_at_each_ask(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    await studio.spoil()
    for item in (studio.thumbnail, studio.sheet, studio.thumbnail):
        with pytest.raises(NotFound, match=r"no pictures\. The result is broken"):
            await studio.maker().find(studio.task, item)
    assert studio.artist.drawn == 1
    monkeypatch.setattr(derived_files, "REFUSAL_SECONDS", 0.0)  # a day later
    with pytest.raises(NotFound, match="no pictures"):
        await studio.maker().find(studio.task, studio.thumbnail)
    assert studio.artist.drawn == 2
    await studio.artist.close()


@pytest.mark.parametrize("spoilt", [False, True])
async def test_pictures_of_a_film_that_is_deleted_meanwhile_do_not_stay(studio: Studio, spoilt: bool) -> None:
    service, files = studio.bench.components.tasks, studio.bench.components.store
    if spoilt:
        await studio.spoil()

    class Late(MediaStore):
        """Between the drawing and the first file its task is deleted."""

        async def put_file(self, key: str, path: Path, *, content_type: str = "") -> int:
            await service.delete(studio.task)
            return await super().put_file(key, path, content_type=content_type)

        async def put(self, key: str, content: object, *, content_type: str = "") -> int:
            await service.delete(studio.task)
            return await super().put(key, content, content_type=content_type)  # type: ignore[arg-type]

    late = Late(folder=files._folder)
    with pytest.raises(NotFound):
        await studio.maker(late).find(studio.task, studio.thumbnail)
    assert studio.artist.drawn == 1
    assert await studio.files() == set()
    await studio.artist.close()


async def test_they_are_drawn_when_nothing_else_is_done(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker does that by itself; a film that failed or is gone stops it as little as one of another kind."""
    monkeypatch.setattr(derived_files, "QUIET_SECONDS", 0.0)
    maker = studio.maker()
    maker.plan(studio.task.id)
    maker.plan("0" * 32)
    running = asyncio.create_task(maker.run())

    async def both() -> bool:
        return await studio.files() >= {"thumbnail.webp", "spritesheet.jpg"}

    await until(both)
    running.cancel()
    await asyncio.wait([running])
    assert studio.artist.drawn == 1
    await studio.artist.close()


DOOMED = """
import asyncio, os, signal, sys
from app.assembly import assemble_components
from app.settings import Settings

async def main() -> None:
    components = await assemble_components(Settings())
    task = await components.repository.get(sys.argv[1])
    drawing = asyncio.create_task(components.derived_files.find(task, task.result.thumbnail))
    while not components.inspector.process_ids:
        assert not drawing.done(), drawing.exception()
        await asyncio.sleep(0.01)
    [artist] = components.inspector.process_ids
    os.kill(artist, signal.SIGSTOP)
    print("drawing", artist, flush=True)
    await drawing

asyncio.run(main())
"""


async def test_a_kill_while_they_are_drawn_leaves_nothing_half(studio: Studio) -> None:
    """What draws is stopped before it has begun, so the drawing surely lasts until the kill."""
    settings = studio.bench.components.settings
    environment = os.environ | {
        "FILMGATE_DATA_DIR": str(settings.data_dir),
        "FILMGATE_DATABASE_URL": settings.resolved_database_url,
        "FILMGATE_SECRET_KEY": "0123456789abcdef0123456789abcdef",
        "FILMGATE_STUDIO": "off",
    }
    doomed = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DOOMED, studio.task.id, stdout=subprocess.PIPE, env=environment
    )
    assert doomed.stdout is not None
    while not (line := await doomed.stdout.readline()).startswith(b"drawing"):
        assert line, "it ended"
    work = settings.data_dir / "work"
    assert list(work.glob("pictures-*"))
    waiting = asyncio.create_task(studio.maker().find(studio.task, studio.thumbnail))
    await asyncio.wait([waiting], timeout=3 * scratch.TURN_SECONDS)
    assert not waiting.done()
    doomed.kill()
    os.kill(int(line.split()[1]), signal.SIGKILL)
    await doomed.wait()
    assert (await waiting).size
    assert await studio.files() == {"video.mp4", "thumbnail.webp", "spritesheet.jpg"}
    assert studio.artist.drawn == 1
    assert not list(work.glob("pictures-*"))
    await studio.artist.close()


async def test_what_says_nothing_about_the_film_condemns_it_not(studio: Studio) -> None:
    """An expiry that is near (the clock of who deletes may be ahead), a film that is gone, a gateway that stops."""
    components = studio.bench.components
    near = clock.now() + derived_files.EXPIRY_MARGIN_SECONDS / 2
    async with components.database.write() as connection:
        mine = tasks.c.id == studio.task.id
        await connection.execute(sa.update(tasks).where(mine).values(expires_at=near))
    with pytest.raises(NotFound, match="No such file"):
        await studio.maker().find(studio.task, studio.thumbnail)
    assert (studio.artist.drawn, await studio.files()) == (1, {"video.mp4"})
    await studio.artist.close()
    with pytest.raises(ServiceUnavailable):
        await studio.maker().find(studio.task, studio.thumbnail)
    assert await studio.files() == {"video.mp4"}
    await delete_task_files(components.store, studio.task.id)
    with pytest.raises(NotFound, match="No such file"):
        await studio.maker().find(studio.task, studio.thumbnail)
    assert (studio.artist.drawn, await studio.files()) == (2, set())


async def test_films_in_an_object_store(studio: Studio, serve: Serve, tmp_path: Path) -> None:
    """The film is fetched to be drawn, and nothing of that stays on the disk."""
    os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test-secret", AWS_REGION="us-east-1")
    bucket = Bucket()
    away = MediaStore.open("s3://bucket", folder=tmp_path, endpoint=await serve(bucket.answer))
    await away.put(studio.film, await studio.bench.components.store.get(studio.film))
    for item in (studio.sheet, studio.thumbnail):
        assert (await studio.maker(away).find(studio.task, item)).size
    assert studio.artist.drawn == 1
    assert {name.rpartition("/")[2] for name in bucket.objects} == {
        "video.mp4",
        "thumbnail.webp",
        "spritesheet.jpg",
    }
    assert not list((studio.bench.components.settings.data_dir / "work").glob("pictures-*"))
    await studio.artist.close()


def test_results_of_earlier_versions_name_the_same_pictures() -> None:
    """They stood in the row, with their sizes; the files are where they are made today."""
    film = {"name": "video.mp4", "key": "tasks/1/video.mp4", "content_type": "video/mp4", "bytes": 9}
    still = {
        "name": "thumbnail.webp",
        "key": "tasks/1/thumbnail.webp",
        "content_type": "image/webp",
        "bytes": 3,
    }
    old = TaskResult.model_validate({"files": [film | {"width": 320, "height": 180}], "thumbnail": still})
    assert [item.key for item in old.made_by("pictures")] == [
        "tasks/1/thumbnail.webp",
        "tasks/1/spritesheet.jpg",
    ]
    assert "thumbnail" not in old.model_dump()
    assert TaskResult.model_validate({"files": [film]}).made_by("pictures") == ()  # nothing here decodes it
    picture = film | {"name": "image.png", "content_type": "image/png", "width": 9, "height": 9}
    alone = TaskResult.model_validate({"files": [picture]})
    assert [item.name for item in alone.made_by("pictures")] == ["thumbnail.webp"]
    assert (alone.compatible, alone.playlist, alone.storyboard) == (None, None, None)


async def test_a_form_for_every_player_is_written_once_and_goes_with_its_film(studio: Studio) -> None:
    result = studio.task.result
    assert result is not None
    old = result.files[0].model_copy(update={"compatible": None})
    result = result.model_copy(update={"files": (old,)})
    form = result.compatible
    assert isinstance(form, DerivedFile)
    assert result.playlist is not None
    task = replace(studio.task, result_text=result.model_dump_json())
    made = await asyncio.gather(*(studio.maker().find(task, form) for _ in range(3)))
    assert len({entry.modified for entry in made}) == 1
    assert (await studio.maker().find(task, result.playlist)).size
    assert await studio.files() == {"video.mp4", "compatible.mp4", "stream.m3u8", "stream.m4s"}
    await studio.bench.components.tasks.delete(studio.task)
    await until(lambda: _is_empty(studio))
    await studio.artist.close()


async def test_what_can_not_be_written_says_so(studio: Studio) -> None:
    await studio.spoil()
    result = studio.task.result
    assert result is not None
    assert result.playlist is not None
    with pytest.raises(NotFound, match=r"can't be written as a stream\. The result is broken"):
        await studio.maker().find(studio.task, result.playlist)
    assert "no-stream.txt" in await studio.files()
    await studio.artist.close()


async def _is_empty(studio: Studio) -> bool:
    return not await studio.files()
