"""What a joined film's run polls in place of a vendor: its segments. It lets the next one go, has a failed one made again,
and joins them in the end.

A film's run is that of any task (``lifecycle.py``): polled, cancelled, stored and completed alike, so it survives a crash
alike. Each step here is one conditional write that a second run can't repeat (``rows.py``).
"""

import hashlib
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from pathlib import Path

import structlog

from app.db.session import DATABASE_AWAY
from app.errors import (
    FilmgateError,
    InsufficientQuota,
    OutcomeUnknown,
    PollFailed,
    ResultUndecodable,
    ResultUnreadable,
    UpstreamError,
)
from app.generation import GenerationRequest, MediaInput
from app.keys.key import ClientKey
from app.keys.service import KeyRing
from app.media.inspection import MediaInspector
from app.media.scratch import ScratchFolder
from app.media.store import MediaStore, read_file
from app.providers.base import (
    Account,
    Capabilities,
    Failed,
    Operation,
    PollAnswer,
    PollInterval,
    Provider,
    ResultFile,
    Running,
    Submission,
    Succeeded,
)
from app.tasks.notifications import Notification, NotificationHub
from app.tasks.repository import TaskRepository
from app.tasks.segments.rows import FilmSegment, let_go, make_again, read_segments, record_cost
from app.tasks.states import JOINED
from app.tasks.task import files_are_kept
from app.usage.budgets import BudgetTracker

log = structlog.get_logger()
MOST_AGAIN = 2
"""So often one segment is made again."""
MADE_AGAIN = frozenset({"upstream_error"})
"""Failures that may be chance. A prompt that was refused once is refused again."""


class SegmentsProvider(Provider):
    """One for all joined films of a process; ``Operation.id`` is the film's. It has no vendor, and so no ``http``."""

    name = JOINED
    title = "Segments"
    embedded = True
    needs_secret = False
    poll_interval = PollInterval(first=0.3, factor=1.5, cap=3.0)

    def __init__(
        self,
        *,
        repository: TaskRepository,
        store: MediaStore,
        inspector: MediaInspector,
        scratch: ScratchFolder,
        events: NotificationHub,
        keys: KeyRing,
        budgets: BudgetTracker,
    ) -> None:
        self.account = Account(id=JOINED, provider=JOINED, name=JOINED)
        self._tasks = repository
        self._store = store
        self._inspector = inspector
        self._scratch = scratch
        self._events = events
        self._keys = keys
        self._budgets = budgets

    def capabilities(self, model: str) -> Capabilities:
        return Capabilities(kinds=frozenset({"video"}), cancel=True)

    def check(self, request: GenerationRequest) -> None:
        """Its segments have been checked when they were planned."""

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        raise OutcomeUnknown("The segments of a film are written with it.")

    async def poll(self, operation: Operation) -> PollAnswer:
        try:
            return await self._make_step(operation)
        except DATABASE_AWAY as error:
            raise PollFailed("The database is away.") from error
        except UpstreamError:
            raise
        except (FilmgateError, OSError) as error:  # the store or the disk
            text = error.message if isinstance(error, FilmgateError) else str(error)
            raise PollFailed(text) from error

    async def cancel(self, operation: Operation) -> bool:
        """Each segment's run asks its vendor; those that wait end at once."""
        await self._cancel_open(await self._segments(operation))
        return True

    async def fetch(self, operation: Operation, file: ResultFile) -> AsyncIterator[bytes]:
        """Joins the segments, which lie in our store."""
        segments = await self._segments(operation)
        with self._scratch.files("film") as files:
            paths = [await self._local_copy(each, files.path(f"{each.place}")) for each in segments]
            target = files.path("film")
            await self._inspector.join_clips(paths, target, seconds=operation.data["kept"])
            log.info("film.joined", task=operation.id, segments=len(segments))
            async for piece in read_file(target, start=0, end=None):
                yield piece

    async def _segments(self, operation: Operation) -> list[FilmSegment]:
        return await read_segments(self._tasks.database, operation.id)

    async def _make_step(self, operation: Operation) -> PollAnswer:
        segments = await self._segments(operation)
        ended = [each for each in segments if each.task.has_ended and not each.is_made]
        lost = [each for each in segments if each.is_made and not files_are_kept(each.task)]
        final = next((each for each in ended if not may_be_made_again(each)), None)
        if final is not None or lost:
            return await self._fail(operation, segments, _failure(final or lost[0], len(segments)))
        try:
            for each in ended:
                await self._make_again(operation, each)
            for before, each in pairwise(segments):
                if before.is_made and each.waits_its_turn and not each.task.has_ended:
                    await self._let_go(operation, before, each)
        except (InsufficientQuota, ResultUnreadable, ResultUndecodable) as error:
            return await self._fail(operation, segments, Failed(error.code, error.message))
        if not all(each.is_made for each in segments):
            return Running(_progress(segments, operation.data["kept"]))
        await record_cost(self._tasks.database, operation.id)
        return Succeeded((ResultFile("video", "video/mp4"),))

    async def _fail(
        self, operation: Operation, segments: Sequence[FilmSegment], failure: Failed
    ) -> PollAnswer:
        """Once the other segments have ended too: each has asked its vendor what it costs."""
        still = [each for each in segments if not each.task.has_ended]
        if still:
            await self._cancel_open(still)
            return Running(None)
        await record_cost(self._tasks.database, operation.id)
        return failure

    async def _make_again(self, operation: Operation, failed: FilmSegment) -> None:
        task = failed.task
        key = await self._keys.find_by_id(task.key_id) or ClientKey(
            id=task.key_id, name=task.key_id, owner=task.owner
        )
        wait = operation.data["wait"]
        if await make_again(
            self._tasks.database, operation.id, failed, wait=wait, key=key, budgets=self._budgets
        ):
            log.info("segment.again", task=operation.id, segment=failed.place + 1, failed=task.id)
            self._events.publish([Notification("wake")])

    async def _let_go(self, operation: Operation, before: FilmSegment, segment: FilmSegment) -> None:
        """With the last picture of the one before as its first: what is seen goes on."""
        kept = operation.data["kept"][before.place]
        with self._scratch.files("picture") as files:
            clip, picture = await self._local_copy(before, files.path("clip")), files.path("picture")
            await self._inspector.save_last_picture(clip, picture, seconds=kept)
            content = picture.read_bytes()
        key = f"inputs/{segment.task.id}/first.jpg"
        await self._store.put(key, content)
        digest = hashlib.sha256(content).hexdigest()
        first = MediaInput(role="first_frame", content_type="image/jpeg", key=key, sha256=digest)
        asked = segment.task.request
        request = asked.model_copy(update={"media": (first, *asked.media)})
        wait = operation.data["wait"]
        if await let_go(self._tasks.database, operation.id, segment, request=request, wait=wait):
            log.info("segment.begun", task=operation.id, segment=segment.place + 1)
            self._events.publish([Notification("wake")])

    async def _cancel_open(self, segments: Sequence[FilmSegment]) -> None:
        for task_id in [each.task.id for each in segments if not each.task.has_ended]:
            await self._tasks.request_cancel(task_id, delete=False)
            names = Notification("cancel", task_id), Notification("state", task_id), Notification("wake")
            self._events.publish(list(names))

    async def _local_copy(self, segment: FilmSegment, path: Path) -> Path:
        assert segment.task.result is not None
        with path.open("wb") as target:
            async for piece in self._store.stream(segment.task.result.files[0].key):
                target.write(piece)
        return path


def may_be_made_again(failed: FilmSegment) -> bool:
    """Only what the vendor itself says to have failed, and to cost nothing: an unknown outcome may have been bought."""
    task = failed.task
    is_told = task.money == "released" or (task.money is None and task.started_at is not None)
    return (
        task.state == "failed"
        and task.error_code in MADE_AGAIN
        and is_told
        and not task.cost
        and failed.attempt < MOST_AGAIN
    )


def _failure(segment: FilmSegment, count: int) -> Failed:
    where, task = f"Segment {segment.place + 1} of {count}", segment.task
    if segment.is_made:
        return Failed("result_unavailable", f"{where} was made, and its film has been deleted.")
    return Failed(task.error_code or "cancelled", f"{where}: {task.error_message or 'Cancelled.'}")


def _progress(segments: Sequence[FilmSegment], kept: Sequence[float]) -> float:
    done = sum(each.task.shown_progress * share for each, share in zip(segments, kept, strict=True))
    return done / sum(kept)
