"""Makes failed tasks again, all that match a filter, each once for a batch.

The new task has the old one's request, key, webhook, end user and tags, and an idempotency key made of the batch and the old
task: whoever asks again, or asks at the same time, finds it. What holds money is left alone, because its vendor may have made
it; so is what a batch itself has made.

Crash points: each new task is one transaction, with its own reservation of money (``creation.py``). A process that dies in a
batch leaves those that it has made, and the same call goes on with the others.
"""

import re
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
import structlog

from app.db.session import Database
from app.db.tables import tasks
from app.errors import FilmgateError, InvalidRequest, NotFound
from app.generation import GenerationRequest, MediaInput
from app.keys.key import ClientKey
from app.keys.service import KeyRing
from app.media.store import MediaStore
from app.ops.access import RequestNotes
from app.tasks.service import RequestContext, TaskService
from app.tasks.task import Task

log = structlog.get_logger()
PREFIX = "replay:"
BATCH_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class ReplayParts:
    database: Database
    tasks: TaskService
    keys: KeyRing
    store: MediaStore


@dataclass(slots=True)
class ReplayOutcome:
    """``made``: the new task's id by the old one's; ``repeated``: how many this batch had made before; ``held``: ids of tasks
    that hold money; ``refused``: why, by the id of the old task; ``left``: whether others match, for another call."""

    made: dict[str, str] = field(default_factory=dict)
    repeated: int = 0
    held: list[str] = field(default_factory=list)
    refused: dict[str, FilmgateError] = field(default_factory=dict)
    left: bool = False


async def replay_failed(
    parts: ReplayParts, found: AsyncIterator[list[Task]], *, batch: str, most: int
) -> ReplayOutcome:
    """Make at most ``most`` of these tasks again; those that have not failed are left out."""
    outcome = ReplayOutcome()
    async for some in found:
        failed = [task for task in some if task.state == "failed" and not task.is_segment]
        before, own = await _made_before(parts.database, failed, batch)
        outcome.repeated += len(before)
        for task in failed:
            if task.id in before or task.id in own:
                continue
            if len(outcome.made) + len(outcome.refused) >= most:
                outcome.left = True
                return outcome
            await _replay_into(outcome, parts, task, batch=batch)
    return outcome


async def _replay_into(outcome: ReplayOutcome, parts: ReplayParts, task: Task, *, batch: str) -> None:
    if task.money == "held":
        outcome.held.append(task.id)
        return
    try:
        outcome.made[task.id] = (await _replay(parts, task, batch)).id
    except FilmgateError as error:
        outcome.refused[task.id] = error


async def _replay(parts: ReplayParts, task: Task, batch: str) -> Task:
    request = await repeated_request(parts.store, task)
    key = await parts.keys.find_by_id(task.key_id)
    if key is None:  # deleted since
        key = ClientKey(id=task.key_id, name=task.key_id, owner=task.owner)
    kept = await _kept_of(parts.database, task.id)
    context = RequestContext(
        task.dialect,
        idempotency_key=f"{PREFIX}{batch}:{task.id}",
        hook_url=kept.hook_url,
        hook_base=kept.hook_base,
        only_account=task.only_account,
        notes=RequestNotes(id=f"{PREFIX}{batch}", end_user=kept.end_user, tags=kept.tags),
    )
    made = await parts.tasks.create(request, key=key, context=context)
    log.info("task.replayed", task=task.id, new=made.id, batch=batch)
    return made


async def _made_before(
    database: Database, failed: Sequence[Task], batch: str
) -> tuple[Collection[str], Collection[str]]:
    """The ids of those of ``failed`` that this batch has made again, and of those that it has made."""
    owners, prefix = {task.owner for task in failed}, f"{PREFIX}{batch}:"
    mine = tasks.c.owner.in_(owners), tasks.c.idempotency_key.startswith(prefix, autoescape=True)
    async with database.read() as connection:
        rows = (await connection.execute(sa.select(tasks.c.id, tasks.c.idempotency_key).where(*mine))).all()
    ids = {task.id for task in failed}
    before = {row.idempotency_key.removeprefix(prefix) for row in rows}
    return before & ids, {row.id for row in rows}


async def _kept_of(database: Database, task_id: str) -> Any:
    columns = tasks.c.hook_url, tasks.c.hook_base, tasks.c.end_user, tasks.c.tags
    async with database.read() as connection:
        return (await connection.execute(sa.select(*columns).where(tasks.c.id == task_id))).one()


async def repeated_request(store: MediaStore, task: Task) -> GenerationRequest:
    """Raises ``InvalidRequest`` when its prompt or its inputs are gone."""
    if task.prompt_removed:
        raise InvalidRequest(
            "Its key does not keep prompts, so this task can't be sent again.",
            param="task",
            reason="prompts_not_kept",
        )
    media = tuple([await _with_content(store, task, item) for item in task.request.media])
    return task.request.model_copy(update={"media": media})


async def _with_content(store: MediaStore, task: Task, item: MediaInput) -> MediaInput:
    """Inputs that were stored for ``task`` are deleted with it, so the new task gets copies."""
    if not item.key.startswith(f"inputs/{task.id}/"):
        return item
    try:
        content = await store.get(item.key)
    except NotFound as error:
        raise InvalidRequest(
            "The inputs of this task have been removed.", param="media", reason="inputs_removed"
        ) from error
    return item.model_copy(update={"content": content, "key": ""})
