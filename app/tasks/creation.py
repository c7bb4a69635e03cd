"""Writes new tasks: their rows, what they take from their keys, and the first rows of their timelines."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from app.db.connection import AsyncConnection
from app.generation import GenerationRequest
from app.keys.key import ClientKey
from app.tasks.budget_hold import BudgetHold, TaskHold, check_and_reserve
from app.tasks.moves import INSERT_TASK
from app.tasks.pending_files import confirm_files
from app.tasks.task import insert_rows, timeline_row

if TYPE_CHECKING:
    from app.catalog.segments import FilmPlan


@dataclass(frozen=True, slots=True)
class NewTask:
    """``row`` of ``tasks``; ``files``: the folder of its inputs, as it was announced; ``segments``: of a film that is
    joined, each with its part of the hold."""

    row: Mapping[str, Any]
    detail: Mapping[str, Any]
    hold: BudgetHold | None = None
    files: str | None = None
    segments: tuple["NewTask", ...] = ()


def planned_task(new: NewTask, plan: "FilmPlan | None", request: GenerationRequest) -> NewTask:
    """The task with its segments, where it is a film that is joined."""
    if plan is None:
        return new
    joined: NewTask = import_module("app.tasks.segments.rows").with_segments(new, plan, request)
    return joined


def request_columns(request: GenerationRequest, key: ClientKey) -> dict[str, Any]:
    """What a new row has of the request and of the key that sent it."""
    if "labels" in key.options:
        request = request.model_copy(update={"labels": key.options["labels"]})
    return {
        "owner": key.owner,
        "key_id": key.id,
        "kind": request.kind,
        "model": request.model,
        "request": request.model_dump_json(exclude_defaults=True),
        "state": "queued",
        "prompt_removed": None if key.keep_prompts else False,
    }


def request_fingerprint(request: GenerationRequest, hook_url: str | None, part: str) -> str:
    """Equal requests have equal fingerprints, also those of versions before. Inputs are compared by content, not by storage
    key."""
    plain = request.model_copy(
        update={"media": tuple(m.model_copy(update={"key": "", "content": None}) for m in request.media)}
    )
    newer = {"max_cost"} if request.max_cost is None else None
    text = plain.model_dump_json(exclude=newer) + "".join(f"\n{more}" for more in (hook_url, part) if more)
    return hashlib.sha256(text.encode()).hexdigest()


async def insert_tasks(connection: AsyncConnection, new: Sequence[NewTask]) -> None:
    """All of them or none. Raises ``IntegrityError`` when an idempotency key is taken, and what ``check_and_reserve``
    and ``confirm_files`` raise."""
    parts = [part for each in new for part in each.segments]
    plain = [each for each in new if not each.segments]
    for alike in (plain, [each for each in new if each.segments], parts):
        if alike:
            await connection.execute(INSERT_TASK, [each.row for each in alike])
    for each in new:
        if each.files is not None:
            await confirm_files(connection, each.files)
    holds = [hold for each in (*new, *parts) if (hold := _hold_of(each)) is not None]
    await check_and_reserve(connection, holds)
    rows = [
        timeline_row(each.row["id"], epoch=0, event="received", detail=each.detail) for each in (*new, *parts)
    ]
    await insert_rows(connection, rows)


def _hold_of(new: NewTask) -> TaskHold | None:
    """A film that is joined is one task in flight; its money is reserved by its segments."""
    hold = replace(new.hold, price=None) if new.hold and new.segments else new.hold
    return TaskHold(new.row["id"], new.row["created_at"], hold) if hold is not None else None
