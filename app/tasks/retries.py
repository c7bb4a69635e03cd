"""Tells the retry of an SDK, which carries no key, from another wish for the same film.

SDKs send a retry after an answer that was lost, where it must find its task, and after a refusal, where it must not find the
task of an equal wish. They only say the number of the attempt. So a retry gets the newest equal task only when no attempt of
this number or a later one has been answered with it, no equal wish was refused lately, and no second one was accepted at the
same moment. In doubt it is a wish of its own: only an ``Idempotency-Key`` is certain.

Crash points: before the mark of an answer is committed, no answer was sent; after it, the next attempt (a higher number)
still finds the task. A mark of a refusal that is lost in a crash was never answered as one.
"""

from collections.abc import Callable

import sqlalchemy as sa

from app import clock
from app.db import marks
from app.db.connection import AsyncConnection
from app.db.operator_tables import marks as marks_table
from app.db.session import Database
from app.db.tables import tasks
from app.errors import FilmgateError

WINDOW_SECONDS = 600.0
"""A retry finds tasks that are at most so old: SDKs wait ten minutes for an answer."""
PARALLEL_SECONDS = 10.0
"""Equal tasks that were made within this time may belong to several wishes whose answers are still on their way."""
REFUSED_SECONDS = 70.0
"""An SDK sends the next attempt at most a minute after a refusal."""
KEPT_SECONDS = 3600.0
"""How long a refusal is remembered, for attempts of any number."""
REPEATED_STATUSES = frozenset({408, 409, 429})


class RetryMatcher:
    """``was_limited`` says whether this process refused a key's requests before it read them, within some seconds."""

    def __init__(self, database: Database, *, was_limited: Callable[[str, float], bool]) -> None:
        self._database = database
        self._was_limited = was_limited

    async def find_lost(self, key_id: str, fingerprint: str, attempt: int) -> str | None:
        """The id of the task that an earlier attempt of this wish has made. It is answered to this attempt from now on."""
        now = clock.now()
        if self._was_limited(key_id, REFUSED_SECONDS * attempt):
            return None
        mine = tasks.c.key_id == key_id, tasks.c.fingerprint == fingerprint
        found = (
            sa.select(tasks.c.id, tasks.c.created_at)
            .where(*mine, tasks.c.created_at >= now - WINDOW_SECONDS)
            .where(tasks.c.deleted.is_(False), tasks.c.idempotency_key.is_(None))
            .order_by(tasks.c.id.desc())
            .limit(2)
        )
        async with self._database.write() as connection:
            if await _was_refused(connection, key_id, fingerprint, since=now - REFUSED_SECONDS * attempt):
                return None
            rows = (await connection.execute(found)).all()
            if not rows or (len(rows) > 1 and rows[0].created_at - rows[1].created_at < PARALLEL_SECONDS):
                return None
            taken = await _claim_answer(connection, rows[0].id, attempt, now=now)
        return str(rows[0].id) if taken else None

    async def note_made(self, key_id: str, fingerprint: str, attempt: int, *, task_id: str) -> None:
        """A retry has made a task: its refusal is over, and an equal attempt of another wish must not find the task."""
        if not attempt:
            return
        async with self._database.write() as connection:
            await _claim_answer(connection, task_id, attempt, now=clock.now())
            name = _refusal_mark(key_id, fingerprint)
            await connection.execute(sa.delete(marks_table).where(marks_table.c.name == name))

    async def note_refusal(self, key_id: str, fingerprint: str, error: FilmgateError) -> None:
        """A wish was refused so that its SDK sends it again. Call it before that is answered."""
        if error.should_retry is False or not (error.status in REPEATED_STATUSES or error.status >= 500):
            return
        now, name = clock.now(), _refusal_mark(key_id, fingerprint)
        async with self._database.write() as connection:
            await marks.delete_expired_marks(connection, now=now)
            await marks.claim_mark(connection, name, until=now + KEPT_SECONDS, now=now)
            await marks.extend_mark(connection, name, until=now + KEPT_SECONDS)


def _refusal_mark(key_id: str, fingerprint: str) -> str:
    return f"refused/{key_id}/{fingerprint}"


async def _was_refused(connection: AsyncConnection, key_id: str, fingerprint: str, *, since: float) -> bool:
    mark = sa.select(marks_table.c.until).where(marks_table.c.name == _refusal_mark(key_id, fingerprint))
    until = (await connection.execute(mark)).scalar()
    return until is not None and until - KEPT_SECONDS >= since


async def _claim_answer(connection: AsyncConnection, task_id: str, attempt: int, *, now: float) -> bool:
    name = f"answered/{task_id}/{attempt}"
    return await marks.claim_mark(connection, name, until=now + WINDOW_SECONDS, now=now)
