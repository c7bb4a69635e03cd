"""Rows of batches, of their lines, and of the files that they read and write.

Crash points. A batch is advanced by whichever process claims it; what it does is repeatable at every point:

- a line becomes a task with an idempotency key made of the batch and the line, and only then a row of ``batch_lines``: a
  process that dies in between finds the task again, so each line is made and paid for once;
- the files of answers have ids made of the batch's: written again, they are the same files;
- each change of a batch's status names the one that it comes from, in one conditional update. A claim that has run out is
  taken by another process; an older one that wakes up late makes nothing twice.

``tests/faults/test_batches.py`` kills the process at these points.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from app import clock
from app.db.operator_tables import batch_lines, batches, client_files
from app.db.session import INSERTS, Database
from app.db.tables import tasks
from app.errors import InvalidRequest, NotFound
from app.media.store import MediaStore
from app.tasks.task import Task, new_id

FILE_ID, BATCH_ID = "file-", "batch_"
ENDPOINT = "/v1/videos"
"""What each line of a batch is sent to."""
MOST_BYTES = 20 * 1024 * 1024
"""Of one file."""
MOST_FILES = 200
"""Of one owner."""
CLAIM_SECONDS = 6.0
"""After a crash another process, or the next, goes on so soon. Two at once make nothing twice."""
DAY_SECONDS = 86_400.0
BatchStatus = Literal[
    "validating",
    "failed",
    "in_progress",
    "finalizing",
    "completed",
    "expired",
    "cancelling",
    "cancelled",
]
Row = Any


@dataclass(frozen=True, slots=True)
class LineResult:
    """``task``: None where none was made, and then ``error`` has a code and a message."""

    line: int
    custom_id: str
    task: Task | None
    error: Mapping[str, str] | None


class BatchRepository:
    """Files and batches of owners. Raises ``NotFound`` for those of others."""

    def __init__(self, database: Database, store: MediaStore) -> None:
        self._database = database
        self._store = store

    # ---- files ----------------------------------------------------------------------------------

    async def add_file(self, owner: str, name: str, content: bytes) -> Row:
        """Raises ``InvalidRequest`` when the owner has too many."""
        mine = client_files.c.owner == owner
        async with self._database.read() as connection:
            count = sa.select(sa.func.count()).select_from(client_files).where(mine)
            if (await connection.execute(count)).scalar_one() >= MOST_FILES:
                raise InvalidRequest(
                    f"There are {MOST_FILES} files already: delete some.", param="file", reason="too_many"
                )
        return await self._write_file(
            FILE_ID + new_id(clock.now()), owner=owner, name=name, purpose="batch", content=content
        )

    async def write_answers(self, batch: Row, kind: str, lines: Sequence[Mapping[str, Any]]) -> str | None:
        """The id of the file; None without lines. Writing it again changes nothing."""
        if not lines:
            return None
        digest = hashlib.sha256(f"{batch.id} {kind}".encode()).hexdigest()[:20]
        file_id = f"{FILE_ID}{batch.id.removeprefix(BATCH_ID)[:12]}{digest}"
        content = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines).encode()
        name = f"{batch.id}_{kind}.jsonl"
        await self._write_file(file_id, owner=batch.owner, name=name, purpose="batch_output", content=content)
        return file_id

    async def file(self, owner: str, file_id: str) -> Row:
        query = sa.select(client_files).where(client_files.c.id == file_id, client_files.c.owner == owner)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            raise NotFound(f"No such File object: {file_id[:100]}")
        return row

    async def file_content(self, owner: str, file_id: str) -> bytes:
        await self.file(owner, file_id)
        return await self._store.get(_place(file_id))

    async def delete_file(self, owner: str, file_id: str) -> None:
        """Raises ``InvalidRequest`` while an open batch reads it."""
        await self.file(owner, file_id)
        read = batches.c.input_file_id == file_id, batches.c.ended_at.is_(None)
        async with self._database.read() as connection:
            if (await connection.execute(sa.select(batches.c.id).where(*read).limit(1))).first():
                raise InvalidRequest(
                    "A batch reads this file: cancel it, or wait for its end.", param="file_id"
                )
        await self._remove_file(file_id)

    async def forget_input(self, batch: Row) -> None:
        """Delete the file that an ended batch has read: its key keeps no prompts."""
        await self._remove_file(batch.input_file_id)

    async def _remove_file(self, file_id: str) -> None:
        await self._store.delete(_place(file_id))
        async with self._database.write() as connection:
            await connection.execute(sa.delete(client_files).where(client_files.c.id == file_id))

    async def files(self, owner: str, *, after: str | None, limit: int) -> tuple[list[Row], bool]:
        """A page, newest first, and whether more follow."""
        return await self._page(client_files, owner, after=after, limit=limit)

    async def _write_file(self, file_id: str, *, owner: str, name: str, purpose: str, content: bytes) -> Row:
        await self._store.put(_place(file_id), content, content_type="application/jsonl")
        row = {
            "id": file_id,
            "owner": owner,
            "name": name[:255],
            "purpose": purpose,
            "bytes": len(content),
            "created_at": clock.now(),
        }
        async with self._database.write() as connection:
            new = INSERTS[connection.dialect.name](client_files).values(row).on_conflict_do_nothing()
            await connection.execute(new)
        return await self.file(owner, file_id)

    # ---- batches --------------------------------------------------------------------------------

    async def create(
        self, owner: str, key_id: str, *, input_file_id: str, labels: Mapping[str, str], base_url: str
    ) -> Row:
        await self.file(owner, input_file_id)
        batch_id, now = BATCH_ID + new_id(clock.now()), clock.now()
        row = {
            "id": batch_id,
            "owner": owner,
            "key_id": key_id,
            "input_file_id": input_file_id,
            "labels": json.dumps(labels),
            "base_url": base_url,
            "status": "validating",
            "created_at": now,
            "expires_at": now + DAY_SECONDS,
        }
        async with self._database.write() as connection:
            await connection.execute(sa.insert(batches).values(row))
        return await self.get(owner, batch_id)

    async def get(self, owner: str, batch_id: str) -> Row:
        query = sa.select(batches).where(batches.c.id == batch_id, batches.c.owner == owner)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            raise NotFound(f"No such batch: {batch_id[:100]}")
        return row

    async def page(self, owner: str, *, after: str | None, limit: int) -> tuple[list[Row], bool]:
        return await self._page(batches, owner, after=after, limit=limit)

    async def request_cancel(self, owner: str, batch_id: str) -> Row:
        """One that has ended stays as it is."""
        await self.get(owner, batch_id)
        open_ones = batches.c.id == batch_id, batches.c.status.in_(("validating", "in_progress"))
        async with self._database.write() as connection:
            cancelling = {"status": "cancelling", "cancelling_at": clock.now(), "claimed_until": 0.0}
            await connection.execute(sa.update(batches).where(*open_ones).values(cancelling))
        return await self.get(owner, batch_id)

    async def claim_next(self) -> Row | None:
        """An open batch that nobody advances at present; None without one."""
        now = clock.now()
        free = batches.c.ended_at.is_(None), batches.c.claimed_until <= now
        async with self._database.read() as connection:
            first = sa.select(batches.c.id).where(*free).order_by(batches.c.claimed_until).limit(1)
            batch_id = (await connection.execute(first)).scalar()
        if batch_id is None:
            return None
        claim = sa.update(batches).where(batches.c.id == batch_id, *free)
        async with self._database.write() as connection:
            claimed = claim.values(claimed_until=now + CLAIM_SECONDS).returning(batches)
            return (await connection.execute(claimed)).first()

    async def has_open(self) -> bool:
        query = sa.select(batches.c.id).where(batches.c.ended_at.is_(None)).limit(1)
        async with self._database.read_few() as connection:
            return (await connection.execute(query)).first() is not None

    async def move(self, batch: Row, status: BatchStatus, **values: Any) -> bool:
        """From the status that it has to another one, or to the same with other values. False: it has moved meanwhile."""
        same = batches.c.id == batch.id, batches.c.status == batch.status
        async with self._database.write() as connection:
            moved = sa.update(batches).where(*same).values(status=status, **values)
            return (await connection.execute(moved)).rowcount > 0

    async def leave(self, batch: Row, *, seconds: float) -> None:
        """Let it be claimed again after so long."""
        async with self._database.write() as connection:
            mine = batches.c.id == batch.id, batches.c.claimed_until == batch.claimed_until
            until = sa.update(batches).where(*mine).values(claimed_until=clock.now() + seconds)
            await connection.execute(until)

    # ---- lines ----------------------------------------------------------------------------------

    async def add_line(
        self, batch: Row, line: int, *, custom_id: str, task_id: str | None, error: Mapping[str, str] | None
    ) -> None:
        row = {
            "batch_id": batch.id,
            "line": line,
            "custom_id": custom_id,
            "task_id": task_id,
            "error": json.dumps(error) if error else None,
        }
        async with self._database.write() as connection:
            new = INSERTS[connection.dialect.name](batch_lines).values(row)
            await connection.execute(new.on_conflict_do_nothing())

    async def known_lines(self, batch: Row) -> set[int]:
        query = sa.select(batch_lines.c.line).where(batch_lines.c.batch_id == batch.id)
        async with self._database.read() as connection:
            return set((await connection.execute(query)).scalars())

    async def open_task_ids(self, batch: Row) -> list[str]:
        """Of tasks that have not ended."""
        mine = batch_lines.c.batch_id == batch.id, batch_lines.c.task_id == tasks.c.id
        query = sa.select(tasks.c.id).where(*mine, tasks.c.finished_at.is_(None))
        async with self._database.read() as connection:
            return list((await connection.execute(query)).scalars())

    async def counts(self, batch: Row) -> dict[str, int]:
        """``completed`` and ``failed`` lines so far."""
        joined = batch_lines.outerjoin(tasks, tasks.c.id == batch_lines.c.task_id)
        made = sa.func.count(sa.case((tasks.c.state == "completed", 1)))
        bad = sa.or_(batch_lines.c.error.is_not(None), tasks.c.state.in_(("failed", "cancelled")))
        query = sa.select(made, sa.func.count(sa.case((bad, 1)))).select_from(joined)
        async with self._database.read() as connection:
            found = await connection.execute(query.where(batch_lines.c.batch_id == batch.id))
            completed, failed = found.one()
        return {"completed": int(completed), "failed": int(failed)}

    async def line_rows(self, batch: Row) -> list[Row]:
        query = sa.select(batch_lines).where(batch_lines.c.batch_id == batch.id).order_by(batch_lines.c.line)
        async with self._database.read() as connection:
            return list((await connection.execute(query)).all())

    async def _page(
        self, table: sa.Table, owner: str, *, after: str | None, limit: int
    ) -> tuple[list[Row], bool]:
        query = sa.select(table).where(table.c.owner == owner)
        if after:
            query = query.where(table.c.id < after)
        async with self._database.read() as connection:
            found = (await connection.execute(query.order_by(table.c.id.desc()).limit(limit + 1))).all()
        return list(found[:limit]), len(found) > limit


async def forget_owner(database: Database, store: MediaStore, owner: str) -> None:
    """Delete all batches and files of an owner."""
    async with database.read() as connection:
        mine = sa.select(client_files.c.id).where(client_files.c.owner == owner)
        files = (await connection.execute(mine)).scalars().all()
    for file_id in files:
        await store.delete(_place(file_id))
    async with database.write_many() as connection:
        own = sa.select(batches.c.id).where(batches.c.owner == owner)
        await connection.execute(sa.delete(batch_lines).where(batch_lines.c.batch_id.in_(own)))
        for table in (batches, client_files):
            await connection.execute(sa.delete(table).where(table.c.owner == owner))


async def prune_batches(database: Database, store: MediaStore, *, now: float, days: float) -> None:
    """Delete what ended more than ``days`` ago, and files of that age that no open batch reads."""
    before = now - days * DAY_SECONDS
    read = sa.select(batches.c.input_file_id).where(batches.c.ended_at.is_(None))
    old = client_files.c.created_at < before, client_files.c.id.not_in(read)
    async with database.read() as connection:
        files = (
            (await connection.execute(sa.select(client_files.c.id).where(*old).limit(1000))).scalars().all()
        )
    for file_id in files:
        await store.delete(_place(file_id))
    async with database.write_many() as connection:
        await connection.execute(sa.delete(client_files).where(client_files.c.id.in_(files)))
        over = sa.select(batches.c.id).where(batches.c.ended_at < before)
        await connection.execute(sa.delete(batch_lines).where(batch_lines.c.batch_id.in_(over)))
        await connection.execute(sa.delete(batches).where(batches.c.ended_at < before))


def _place(file_id: str) -> str:
    return f"batches/{file_id}"
