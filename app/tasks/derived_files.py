"""What is made of finished films: pictures, drawn when one is first asked for or when nothing else is done, and forms that
every player plays, written when they are asked for.

No row knows of them: a derived file exists when it lies beside its film, and goes with the film. What can't be made is a
file too, as ``no-pictures.txt``, which holds the reason.

Crash points. One caller at a time has the folder in which they are made; who dies there leaves nothing in the store, and
frees the folder. Each file is stored whole or not at all, and who finds one of a work missing makes all of it again. Files of
a task that ended meanwhile (deleted, expired) are taken away again by who stored them: the row is marked before its files
are deleted, so one of the two sees the other.
"""

import asyncio
import time
from collections import deque
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import structlog

from app import clock
from app.db.session import DATABASE_AWAY
from app.errors import FilmgateError, NotFound, ResultUnreadable
from app.media.inspection import MediaInspector, kind_of
from app.media.scratch import ScratchFolder
from app.media.store import MediaStore, StoreEntry, task_folders
from app.tasks.repository import TaskRepository
from app.tasks.task import DerivedFile, DerivedWork, StoredFile, Task, TaskResult, files_are_kept

log = structlog.get_logger()
REFUSALS: dict[DerivedWork, str] = {
    "pictures": "This video has no pictures.",
    "compatible": "This video can't be written for every player.",
    "stream": "This video can't be written as a stream.",
}
REFUSAL_SECONDS = 86_400.0
"""After so long what could not be made is tried once more: a newer version may be able to."""
QUIET_SECONDS = 5.0
"""When no film has been finished for so long, there is time for pictures that nobody has asked for."""
REMEMBERED = 1_000
"""Finished films whose pictures are still to be drawn. Those beyond it wait until somebody asks."""
EXPIRY_MARGIN_SECONDS = 60.0
"""By so much the clocks of two machines may differ."""


class DerivedFileMaker:
    """Makes the derived files of finished films, each once."""

    def __init__(
        self,
        repository: TaskRepository,
        store: MediaStore,
        inspector: MediaInspector,
        *,
        scratch: ScratchFolder,
    ) -> None:
        self._tasks = repository
        self._store = store
        self._inspector = inspector
        self._scratch = scratch
        self._finished: deque[str] = deque(maxlen=REMEMBERED)
        self._arrived = asyncio.Event()
        self._last_arrival = 0.0

    async def find(self, task: Task, file: DerivedFile) -> StoreEntry:
        """The stored file, made now if nobody has asked before. Raises ``NotFound`` with the reason when it can't be made,
        and ``ServiceUnavailable``."""
        found = await self._stored(file.key)
        if found is None:
            await self._make_once(task, file)
            found = await self._store.head(file.key)
        return found

    def plan(self, task_id: str) -> None:
        """Call when a film is finished: its pictures are drawn when there is time."""
        self._finished.append(task_id)
        self._last_arrival = time.monotonic()
        self._arrived.set()

    async def run(self) -> None:
        """Draw what is planned, newest first and one film at a time, while nothing else is finished. Until cancelled."""
        while True:
            if not self._finished:
                self._arrived.clear()
                await self._arrived.wait()
            quiet = time.monotonic() - self._last_arrival
            if quiet < QUIET_SECONDS:
                await asyncio.sleep(QUIET_SECONDS - quiet)
                continue
            await self._draw_planned(self._finished.pop())

    async def _draw_planned(self, task_id: str) -> None:
        try:
            task = await self._tasks.get(task_id)
            if task is not None and task.result and files_are_kept(task) and not task.deleted:
                for picture in task.result.made_by("pictures"):
                    await self.find(task, picture)
        except (FilmgateError, OSError, *DATABASE_AWAY) as error:
            log.info("previews.missing", task=task_id, error=str(error))

    async def _make_once(self, task: Task, file: DerivedFile) -> None:
        assert task.result is not None
        film = task.result.files[0]
        async with self._scratch.exclusive(f"{file.work}-{task.id}") as folder:
            if await self._stored(file.key) is not None:
                return  # by who had the folder before
            await self._raise_known_refusal(task, file.work)
            await self._store.head(film.key)
            try:
                await self._make_files(task.result, film, folder, work=file.work)
            except ResultUnreadable as error:
                log.warning("derived_file.refused", task=task.id, work=file.work, error=error.message)
                await self._store.put(_refusal_key(task, file.work), error.message.encode())
                raise _refusal(file.work, error.message) from error
            finally:
                await self._remove_if_gone(task, file.work)

    async def _make_files(
        self, result: TaskResult, film: StoredFile, folder: Path, *, work: DerivedWork
    ) -> None:
        path = self._store.local_path(film.key) or await self._fetch(film.key, folder / "film")
        if work == "pictures":
            kind: Literal["image", "video"] = "image" if kind_of(film.content_type) == "image" else "video"
            await self._inspector.draw_previews(path, folder, kind=kind)
        else:
            await self._inspector.rewrite_film(path, folder, form=work)
        for made in result.made_by(work):
            await self._store.put_file(made.key, folder / made.name, content_type=made.content_type)

    async def _fetch(self, key: str, target: Path) -> Path:
        with target.open("wb") as file:
            async with aclosing(self._store.stream(key)) as pieces:
                async for piece in pieces:
                    await asyncio.to_thread(file.write, piece)
        return target

    async def _raise_known_refusal(self, task: Task, work: DerivedWork) -> None:
        known = await self._stored(_refusal_key(task, work))
        if known is None:
            return
        age = (datetime.now(UTC) - known.modified).total_seconds()
        if age < REFUSAL_SECONDS:
            raise _refusal(work, (await self._store.get(known.key)).decode(errors="replace"))

    async def _remove_if_gone(self, task: Task, work: DerivedWork) -> None:
        current = await self._tasks.get(task.id)
        ends = (current.expires_at or 0.0) - EXPIRY_MARGIN_SECONDS if current else 0.0
        if current is None or current.deleted or current.purged or ends < clock.now():
            assert task.result is not None
            for key in (*(made.key for made in task.result.made_by(work)), _refusal_key(task, work)):
                await self._store.delete(key)

    async def _stored(self, key: str) -> StoreEntry | None:
        try:
            return await self._store.head(key)
        except NotFound:
            return None


def _refusal_key(task: Task, work: DerivedWork) -> str:
    return f"{task_folders(task.id)[0]}/no-{work}.txt"


def _refusal(work: DerivedWork, reason: str) -> NotFound:
    return NotFound(f"{REFUSALS[work]} {reason}")
