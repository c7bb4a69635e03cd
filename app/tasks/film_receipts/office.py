"""Makes receipts of films, and gives the same bytes again for as long as the facts are the same.

A receipt is written down with its signature when it is first asked for: the salt, the version and the key of that day
stay in it, and the hash of a film outlives the film. When the facts change (held money is decided about, a late film
arrives), the next one that is asked for says so.

Crash points: none matters. Before its row is committed nobody has seen the receipt; after it everybody gets that one.
"""

import asyncio
import hashlib
import json
import secrets
from contextlib import aclosing
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from app import clock
from app.accounts.pool import AccountPool
from app.db.operator_tables import film_receipts
from app.db.session import Database, dialect_insert
from app.db.tables import tasks, usage
from app.errors import NotFound, TaskStillOpen
from app.media.store import MediaStore
from app.receipt_keys import ReceiptKeyRing
from app.signed_documents import CONTENT, sign_document
from app.tasks.film_receipts.attempts import Attempt, attempts_at_segments, attempts_of, labels_of
from app.tasks.film_receipts.content import (
    GatewayFacts,
    MadeBy,
    Reader,
    ReceiptFacts,
    keeps_prompt,
    receipt_content,
)
from app.tasks.repository import TaskRepository
from app.tasks.segments.rows import read_all_segments
from app.tasks.states import JOINED
from app.tasks.task import Task

SALT_BYTES = 16
MOST_HASHING = 2
"""Films that are hashed at the same time."""


class ReceiptOffice:
    """What dialects and the panel ask for receipts."""

    def __init__(
        self,
        database: Database,
        *,
        repository: TaskRepository,
        store: MediaStore,
        pool: AccountPool,
        keys: ReceiptKeyRing,
        gateway: GatewayFacts,
    ) -> None:
        self.keys = keys
        self._database = database
        self._tasks = repository
        self._store = store
        self._pool = pool
        self._gateway = gateway
        self._hashing = asyncio.Semaphore(MOST_HASHING)

    async def receipt(self, task: Task, reader: Reader) -> bytes:
        """The signed file. Raises ``TaskStillOpen`` while the task has not ended, ``ServiceUnavailable`` while the store of
        its film is away, ``SettingsInvalid`` when the key is sealed with a root key that is lost."""
        if not task.has_ended:
            raise TaskStillOpen("This task has not ended yet: there is a receipt once it has.")
        facts = _facts_of(task)
        kept = await self._kept(task.id)
        if reader in kept and kept[reader].facts == facts:
            return str(kept[reader].document).encode()
        key = await self.keys.current()
        known = _known_hashes(kept)
        content = receipt_content(task, await self._read_facts(task, known), reader)
        return await self._keep(task, reader, facts=facts, document=sign_document(content, key.private))

    async def _kept(self, task_id: str) -> dict[str, Any]:
        query = sa.select(film_receipts).where(film_receipts.c.task_id == task_id)
        async with self._database.read() as connection:
            return {row.reader: row for row in (await connection.execute(query)).all()}

    async def _keep(self, task: Task, reader: Reader, *, facts: str, document: bytes) -> bytes:
        """The first one that is written for these facts is the one that all get."""
        row = {
            "task_id": task.id,
            "reader": reader,
            "facts": facts,
            "document": document.decode(),
            "made_at": clock.now(),
        }
        mine = sa.and_(film_receipts.c.task_id == task.id, film_receipts.c.reader == reader)
        async with self._database.write() as connection:
            there = sa.select(tasks.c.id).where(tasks.c.id == task.id).with_for_update(read=True)
            if (await connection.execute(there)).first() is None:
                raise NotFound(f"No such task: {task.id}")
            new = dialect_insert(connection, film_receipts).values(row)
            changed = {name: new.excluded[name] for name in ("facts", "document", "made_at")}
            upsert = new.on_conflict_do_update(
                index_elements=[film_receipts.c.task_id, film_receipts.c.reader],
                set_=changed,
                where=film_receipts.c.facts != new.excluded.facts,
            )
            await connection.execute(upsert)
            query = sa.select(film_receipts.c.document).where(mine)
            return str((await connection.execute(query)).scalar_one()).encode()

    async def _read_facts(self, task: Task, known: dict[str, str]) -> ReceiptFacts:
        timeline = await self._tasks.read_timeline(task.id)
        segments = await read_all_segments(self._database, task.id) if task.account_id == JOINED else []
        timelines = [(each.place, await self._tasks.read_timeline(each.task.id)) for each in segments]
        attempts = attempts_at_segments(timelines) if segments else attempts_of(timeline)
        return ReceiptFacts(
            gateway=self._gateway,
            salt=secrets.token_bytes(SALT_BYTES),
            attempts=attempts,
            accounts=await self._makers(task, attempts),
            film_hashes=known or await self._hash_films(task),
            labels=labels_of(timeline),
            cost=await self._vendor_cost(task, [each.task.id for each in segments] or [task.id]),
        )

    async def _makers(self, task: Task, attempts: list[Attempt]) -> dict[str, MadeBy]:
        wanted = {each.account_id for each in attempts} | ({task.account_id} if task.account_id else set())
        statuses = await self._pool.current_statuses()
        return {
            status.account.id: MadeBy(status.account.provider, status.account.name)
            for status in statuses
            if status.account.id in wanted
        }

    async def _vendor_cost(self, task: Task, paid: list[str]) -> Decimal | None:
        """In US dollars, of the tasks that vendors were paid for. The row of usage has the time of the reservation, which is the task's or, for one that ran again,
        a later one."""
        span = usage.c.at.between(task.created_at - 1, (task.finished_at or task.created_at) + 1)
        query = sa.select(usage.c.vendor_cost).where(
            usage.c.key_id == task.key_id, span, usage.c.task_id.in_(paid)
        )
        async with self._database.read() as connection:
            found = [cost for cost in (await connection.execute(query)).scalars() if cost is not None]
        return sum(found, Decimal(0)) if found else None

    async def _hash_films(self, task: Task) -> dict[str, str]:
        """SHA-256 of the files that are still there, by name."""
        found = {}
        for file in task.result.files if task.result else ():
            try:
                async with self._hashing:
                    found[file.name] = await self._hash_file(file.key)
            except NotFound:
                continue
        return found

    async def _hash_file(self, key: str) -> str:
        """Streamed, and off the event loop."""
        digest = hashlib.sha256()
        async with aclosing(self._store.stream(key)) as pieces:
            async for piece in pieces:
                await asyncio.to_thread(digest.update, piece)
        return digest.hexdigest()


def _facts_of(task: Task) -> str:
    """A fingerprint of what may change after a task's first end."""
    cost = None if task.cost is None else str(task.cost)
    facts = [task.state, task.epoch, task.finished_at, task.error_code, task.money, cost, keeps_prompt(task)]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _known_hashes(kept: dict[str, Any]) -> dict[str, str]:
    """From receipts that were given before: the film may be gone since."""
    for row in kept.values():
        files = json.loads(row.document)[CONTENT]["files"]
        found = {file["name"]: file["sha256"] for file in files if file["sha256"]}
        if found:
            return found
    return {}
