"""Removes prompts and inputs of tasks whose key does not keep them, once the task has ended.

While a task (or the film that it is a segment of) is open, or its money is held and it may run again, its request is
needed. After that the row keeps what it was (kind, model, size, length) and loses what was asked: the prompt, the inputs
with their files, and every text that quotes them, in the timeline, receipts, results and webhook bodies. Files go first
and the mark comes with the rows, so a sweep after a crash begins that task again.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from app.db.connection import AsyncConnection
from app.db.operator_tables import attempts, film_receipts
from app.db.session import Database
from app.db.tables import keys, receipts, tasks, timeline, webhook_deliveries
from app.generation import GenerationRequest
from app.media.store import MediaStore, task_folders
from app.tasks.states import SEGMENT_OWNER, TERMINAL
from app.usage.ledger import has_open_reservation

BATCH_TASKS = 50
MARKED_TASKS = 500
RUN_LENGTH = 16
"""So many characters of a prompt in a row are a quotation."""
SHORTEST = 3
NOT_KEPT = "What its upstream said quoted the prompt, which is not kept."
JSON_COLUMNS = (
    (receipts, receipts.c.operation, receipts.c.task_id),
    (webhook_deliveries, webhook_deliveries.c.body, webhook_deliveries.c.task_id),
)


_FILM = tasks.alias("film")
_FILM_GOES_ON = sa.and_(
    tasks.c.owner.startswith(SEGMENT_OWNER, autoescape=True),
    sa.exists().where(
        _FILM.c.id == sa.func.substr(tasks.c.owner, len(SEGMENT_OWNER) + 1), _FILM.c.finished_at.is_(None)
    ),
)
"""A segment may be made again until its film has ended, and needs its request for that."""


async def mark_unmarked(database: Database) -> None:
    """Mark tasks that were made before their key stopped to keep prompts, or by a process that knows no marks."""
    forgetful = sa.select(keys.c.id).where(keys.c.keep_prompts.is_(False))
    async with database.read() as connection:
        ids = list((await connection.execute(forgetful)).scalars())
    for key_id in ids:
        some = sa.select(tasks.c.id).where(tasks.c.key_id == key_id, tasks.c.prompt_removed.is_(None))
        mark = sa.update(tasks).where(tasks.c.id.in_(some.limit(MARKED_TASKS))).values(prompt_removed=False)
        marked = MARKED_TASKS
        while marked == MARKED_TASKS:
            async with database.write_many() as connection:
                marked = (await connection.execute(mark)).rowcount


async def remove_prompts(database: Database, store: MediaStore) -> int:
    """Of the tasks that are marked and over; how many. Raises ``ServiceUnavailable`` while the file store is away."""
    over = tasks.c.state.in_(TERMINAL), ~has_open_reservation(tasks.c.id), ~_FILM_GOES_ON
    query = (
        sa.select(tasks).where(sa.text("NOT prompt_removed"), *over).order_by(tasks.c.id).limit(BATCH_TASKS)
    )
    async with database.read_few() as connection:
        rows = (await connection.execute(query)).all()
    count = 0
    for row in rows:
        await store.delete(task_folders(row.id)[1])
        async with database.write() as connection:
            if not await _is_being_told(connection, row.id):
                await _empty_rows(connection, row)
                count += 1
    return count


async def _is_being_told(connection: AsyncConnection, task_id: str) -> bool:
    """Whether an attempt is under way, which will write the body that it sends. Until this transaction ends none
    begins."""
    mine = webhook_deliveries.c.task_id == task_id, webhook_deliveries.c.state == "pending"
    query = sa.select(webhook_deliveries.c.claimed_at).where(*mine).with_for_update()
    return any(at is not None for at in (await connection.execute(query)).scalars())


async def _empty_rows(connection: AsyncConnection, row: Any) -> None:
    request = GenerationRequest.model_validate_json(row.request)
    said = Quotations(_asked_texts(request))
    for table, column, owner in JSON_COLUMNS:
        query = sa.select(table.c.id, column).where(owner == row.id, column.is_not(None))
        for found in (await connection.execute(query)).all():
            await _replace(connection, table, column, found=found, text=said.without_text(found[1]))
    query = sa.select(timeline.c.id, timeline.c.detail).where(timeline.c.task_id == row.id)
    for found in (await connection.execute(query)).all():
        text = said.without_text(found.detail, words=True)
        await _replace(connection, timeline, timeline.c.detail, found=found, text=text)
    if row.attempt > 1:
        await _empty_attempts(connection, row.id, said)
    values = {
        "request": without_wish(request).model_dump_json(exclude_defaults=True),
        "operation": row.operation and said.without_text(row.operation),
        "result": row.result and _result_without(row.result, said),
        "prompt_removed": True,
    }
    if row.error_message and said.are_in(row.error_message, words=True):
        values["error_message"] = NOT_KEPT
    await connection.execute(sa.update(tasks).where(tasks.c.id == row.id).values(values))
    # One that was given before the key stopped to keep prompts holds the prompt's hash with its salt.
    await connection.execute(sa.delete(film_receipts).where(film_receipts.c.task_id == row.id))


async def _empty_attempts(connection: AsyncConnection, task_id: str, said: "Quotations") -> None:
    mine = sa.select(attempts.c.number, attempts.c.word).where(attempts.c.task_id == task_id)
    for found in (await connection.execute(mine)).all():
        if said.are_in(found.word, words=True):
            which = attempts.c.task_id == task_id, attempts.c.number == found.number
            await connection.execute(sa.update(attempts).where(*which).values(word=NOT_KEPT))


async def _replace(
    connection: AsyncConnection, table: sa.Table, column: sa.Column[Any], *, found: Any, text: str
) -> None:
    if text != found[1]:
        await connection.execute(sa.update(table).where(table.c.id == found.id).values({column.name: text}))


def _result_without(text: str, said: "Quotations") -> str:
    """Only what the vendor stated may quote: the rest are names and places of files."""
    result = json.loads(text)
    if "usage" in result:
        result["usage"] = said.without(result["usage"])
    return json.dumps(result)


def without_wish(request: GenerationRequest) -> GenerationRequest:
    """What is left of a request whose prompt is not kept: what it made, not what was asked for."""
    shots = tuple(shot.model_copy(update={"prompt": ""}) for shot in request.shots)
    return request.model_copy(
        update={
            "prompt": "",
            "prompt_asked": None,
            "negative_prompt": None,
            "shots": shots,
            "media": (),
            "characters": (),
            "style": None,
            "extra": {},
        }
    )


def _asked_texts(request: GenerationRequest) -> Iterable[str]:
    yield request.prompt
    yield request.prompt_asked or ""
    yield request.negative_prompt or ""
    yield from (shot.prompt for shot in request.shots)
    yield from (item.url or "" for item in request.media)
    yield from (value for value in request.extra.values() if isinstance(value, str))


class Quotations:
    """Finds texts that quote what a client has asked for."""

    def __init__(self, texts: Iterable[str]) -> None:
        plain = [_plain(text) for text in texts]
        self._short = {text for text in plain if SHORTEST <= len(text) < RUN_LENGTH}
        self._runs = {
            text[start : start + RUN_LENGTH] for text in plain for start in range(len(text) - RUN_LENGTH + 1)
        }

    def are_in(self, text: str, *, words: bool = False) -> bool:
        """``words``: a short prompt counts also where it is a part of the text; else only as the whole of it."""
        plain = _plain(text)
        if any(
            plain[start : start + RUN_LENGTH] in self._runs for start in range(len(plain) - RUN_LENGTH + 1)
        ):
            return True
        if not words:
            return plain in self._short
        return any(re.search(rf"(?<![a-z0-9]){re.escape(short)}(?![a-z0-9])", plain) for short in self._short)

    def without(self, document: Any, *, words: bool = False) -> Any:
        """The document with empty texts in place of those that quote."""
        if isinstance(document, str):
            return "" if self.are_in(document, words=words) else document
        if isinstance(document, dict):
            return {name: self.without(value, words=words) for name, value in document.items()}
        if isinstance(document, list):
            return [self.without(value, words=words) for value in document]
        return document

    def without_text(self, text: str, *, words: bool = False) -> str:
        """The same for a JSON text; one that is none is a text."""
        try:
            document = json.loads(text)
        except ValueError:
            return str(self.without(text, words=words))
        kept = self.without(document, words=words)
        return text if kept == document else json.dumps(kept, ensure_ascii=False)


def _plain(text: str) -> str:
    return " ".join(text.lower().split())
