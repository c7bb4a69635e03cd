"""Writes new tasks: their rows, what they take from their keys, and the first rows of their timelines."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from app.generation import GenerationRequest
from app.keys.key import ClientKey
from app.tasks.budget_hold import BudgetHold, TaskHold, check_and_reserve
from app.tasks.moves import INSERT_TASK
from app.tasks.pending_files import confirm_files
from app.tasks.task import insert_rows, timeline_row


@dataclass(frozen=True, slots=True)
class NewTask:
    """``row`` of ``tasks``; ``files``: the folder of its inputs, as it was announced."""

    row: Mapping[str, Any]
    detail: Mapping[str, Any]
    hold: BudgetHold | None = None
    files: str | None = None


def request_columns(request: GenerationRequest, key: ClientKey) -> dict[str, Any]:
    """What a new row has of the request and of the key that sent it."""
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
    """Equal requests have equal fingerprints. Inputs are compared by content, not by storage key."""
    plain = request.model_copy(
        update={"media": tuple(m.model_copy(update={"key": "", "content": None}) for m in request.media)}
    )
    text = plain.model_dump_json() + "".join(f"\n{more}" for more in (hook_url, part) if more)
    return hashlib.sha256(text.encode()).hexdigest()


async def insert_tasks(connection: AsyncConnection, new: Sequence[NewTask]) -> None:
    """All of them or none. Raises ``IntegrityError`` when an idempotency key is taken, and what ``check_and_reserve``
    and ``confirm_files`` raise."""
    await connection.execute(INSERT_TASK, [each.row for each in new])
    for each in new:
        if each.files is not None:
            await confirm_files(connection, each.files)
    holds = [
        TaskHold(each.row["id"], each.row["created_at"], each.hold) for each in new if each.hold is not None
    ]
    await check_and_reserve(connection, holds)
    rows = [timeline_row(each.row["id"], epoch=0, event="received", detail=each.detail) for each in new]
    await insert_rows(connection, rows)
