"""Advances batches: makes their lines as tasks, watches these, and writes the files of answers."""

import asyncio
import hashlib
import json
import time
from collections.abc import Mapping
from typing import Any

import structlog

from app import clock
from app.db.session import DATABASE_AWAY
from app.dialects.fields.words import HOOK
from app.dialects.http.body import Body
from app.dialects.http.body_parsing import parse_json
from app.dialects.http.gateway import Gateway
from app.dialects.openai_videos.answer import OpenAIVideosDialect, speaks_manual, video_object
from app.dialects.openai_videos.batch_lines import BatchLine, read_lines
from app.dialects.openai_videos.request import read_create
from app.errors import (
    FilmgateError,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    RateLimited,
    ServiceUnavailable,
)
from app.keys.key import ClientKey
from app.keys.spender import end_user_of
from app.media.fetch import LINK_OWNER
from app.ops.access import RequestNotes
from app.tasks.batches import BatchStatus, Row
from app.tasks.service import RequestContext
from app.tasks.task import Task, file_link, files_are_kept

log = structlog.get_logger()
LOOK_SECONDS = 1.0
TURN_SECONDS = 3.0
"""For so long lines of one batch are made before another one has its turn; less than a claim lasts."""
PAUSE_SECONDS = 60.0
"""Before a batch is advanced again that could not be."""
LATER = (RateLimited, ServiceUnavailable)
"""The line is tried again: the key has too many tasks in flight, or a store is away."""


class BatchRunner:
    """One per process that serves clients; a batch is claimed by one of them at a time."""

    def __init__(self, services: Gateway) -> None:
        self._services = services
        self._batches = services.batches

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                while (batch := await self._batches.claim_next()) is not None:
                    is_well = await self._advance_alone(batch)
                    await self._batches.leave(batch, seconds=LOOK_SECONDS if is_well else PAUSE_SECONDS)
            except (*DATABASE_AWAY, FilmgateError) as error:
                log.warning("batches.delayed", error=type(error).__name__)

    async def _advance_alone(self, batch: Row) -> bool:
        """False after a failure, which holds up no other batch."""
        job = asyncio.create_task(self._advance(batch))
        try:
            await asyncio.wait({job})
        finally:
            job.cancel()
        problem = job.exception()
        if problem is not None:
            log.error("batch.interrupted", batch=batch.id, exc_info=problem)
        return problem is None

    async def _advance(self, batch: Row) -> None:
        LINK_OWNER.set(batch.owner)
        known = await self._batches.known_lines(batch)
        if batch.status == "validating":
            lines, errors = read_lines(await self._content(batch))
            await self._validated(batch, len(lines), [each.as_document() for each in errors])
            return
        left: list[BatchLine] = []
        if batch.status == "in_progress" and len(known) < batch.total:
            lines, _ = read_lines(await self._content(batch))
            left = await self._make(batch, [line for line in lines if line.number not in known])
        if batch.status == "in_progress" and left and batch.expires_at <= clock.now():
            await self._expire(batch, left)
            left = []
        stopped = batch.status == "cancelling" or batch.expires_at <= clock.now()
        for task_id in await self._batches.open_task_ids(batch) if stopped else ():
            await self._cancel(batch, task_id)
        await self._batches.move(batch, batch.status, **await self._batches.counts(batch))
        if not left and not await self._batches.open_task_ids(batch):
            await self._finish(batch)

    async def _content(self, batch: Row) -> bytes:
        try:
            return await self._batches.file_content(batch.owner, batch.input_file_id)
        except NotFound:  # the store has lost it: what was made is told, and no more is
            log.error("batch.input_lost", batch=batch.id, file=batch.input_file_id)
            return b""

    async def _validated(self, batch: Row, total: int, errors: list[dict[str, Any]]) -> None:
        now = clock.now()
        if errors:
            await self._batches.move(batch, "failed", errors=json.dumps(errors), ended_at=now)
        else:
            await self._batches.move(batch, "in_progress", total=total, begun_at=now)

    async def _make(self, batch: Row, left: list[BatchLine]) -> list[BatchLine]:
        """Make lines that are not made yet, for one turn; those that are left."""
        until = time.monotonic() + TURN_SECONDS
        if batch.expires_at <= clock.now():
            return left
        key = await self._services.keys.find_by_id(batch.key_id)
        while left and time.monotonic() < until:
            if not await self._make_line(batch, key, left[0]):
                break
            left.pop(0)
        return left

    async def _make_line(self, batch: Row, key: ClientKey | None, line: BatchLine) -> bool:
        """False: not now."""
        task_id, error = None, None
        try:
            task_id = (await self._create(batch, key, line)).id
        except LATER:
            return False
        except FilmgateError as refusal:
            error = {"code": refusal.code, "message": refusal.message}
        await self._batches.add_line(
            batch, line.number, custom_id=line.custom_id, task_id=task_id, error=error
        )
        return True

    async def _create(self, batch: Row, key: ClientKey | None, line: BatchLine) -> Task:
        if key is None or not key.enabled or (key.team is not None and not key.team.enabled):
            raise PermissionDenied("The key of this batch is disabled or deleted.")
        hooks = [name for name in HOOK if name in line.body]
        if hooks:
            raise InvalidRequest(f"{hooks[0]} is not called for lines of a batch", param=hooks[0])
        limits = self._services.limits
        body = Body(parse_json(json.dumps(line.body), name="body", limits=limits), limits=limits)
        generation = await read_create(body, self._services, key)
        notes = RequestNotes(id=batch.id, end_user=end_user_of(line.body))
        context = RequestContext(
            OpenAIVideosDialect.name, idempotency_key=f"{batch.id}:{line.number}", notes=notes
        )
        return await self._services.tasks.create(generation, key=key, context=context)

    async def _expire(self, batch: Row, left: list[BatchLine]) -> None:
        error = {
            "code": "batch_expired",
            "message": "This request could not be made before the batch expired.",
        }
        for line in left:
            await self._batches.add_line(
                batch, line.number, custom_id=line.custom_id, task_id=None, error=error
            )

    async def _cancel(self, batch: Row, task_id: str) -> None:
        try:
            await self._services.tasks.ask_cancel(await self._services.tasks.by_link(task_id))
        except NotFound:
            return  # deleted by its client, which cancels it
        log.info("batch.cancelling", batch=batch.id, task=task_id)

    async def _finish(self, batch: Row) -> None:
        key = await self._services.keys.find_by_id(batch.key_id)
        made: list[Mapping[str, Any]] = []
        bad: list[Mapping[str, Any]] = []
        for row in await self._batches.line_rows(batch):
            answer, is_made = await self._answer(batch, row, key)
            (made if is_made else bad).append(answer)
        files = {
            "output_file_id": await self._batches.write_answers(batch, "output", made),
            "error_file_id": await self._batches.write_answers(batch, "error", bad),
        }
        status: BatchStatus = "cancelled" if batch.status == "cancelling" else "completed"
        if status == "completed" and batch.expires_at <= clock.now():
            status = "expired"
        counts = await self._batches.counts(batch)
        if not _keeps_prompts(key):  # before its end: after a crash in between, this is done again
            await self._batches.forget_input(batch)
        await self._batches.move(batch, status, **files, **counts, ended_at=clock.now())
        log.info("batch.ended", batch=batch.id, status=status, **counts)

    async def _answer(self, batch: Row, row: Row, key: ClientKey | None) -> tuple[Mapping[str, Any], bool]:
        """One line of an answer file, and whether its film was made."""
        digest = hashlib.sha256(f"{batch.id} {row.line}".encode()).hexdigest()[:32]
        answer: dict[str, Any] = {"id": f"batch_req_{digest}", "custom_id": row.custom_id}
        if row.task_id is None:
            return answer | {"response": None, "error": json.loads(row.error)}, False
        try:
            task = await self._services.tasks.by_link(row.task_id)
        except NotFound:
            gone = {"code": "not_found", "message": "Its video has been deleted."}
            return answer | {"response": None, "error": gone}, False
        url = None
        if task.result and files_are_kept(task):
            signer = self._services.signer
            url = file_link(task, task.result.files[0], base=batch.base_url, signer=signer)
        body = video_object(task, url=url, manual=speaks_manual(key))
        body |= {} if _keeps_prompts(key) else {"prompt": None}
        response = {"status_code": 200, "request_id": batch.id, "body": body}
        if task.state == "completed":
            return answer | {"response": response, "error": None}, True
        failure = {
            "code": task.error_code or "cancelled",
            "message": task.error_message or "The generation failed.",
        }
        return answer | {"response": response, "error": failure}, False


def _keeps_prompts(key: ClientKey | None) -> bool:
    return key is not None and key.keep_prompts
