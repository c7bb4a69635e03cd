"""Queries over the tasks of all keys, for the panel: filters, pages, and the ledger of one task."""

import json
import time
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from app import clock
from app.admin.lists import MOST_SCANNED, Conditions, FoundPage, PageRequest, find_page, span_conditions
from app.db.session import Database
from app.db.tables import accounts, keys, ledger, tasks, usage
from app.dialects.registry import task_id_of
from app.errors import InvalidRequest, OutcomeUnknown
from app.tasks.held_money import HELD
from app.tasks.repository import LISTED, task_of
from app.tasks.states import MOVES, OPEN, SEGMENT_DIALECT, SEGMENT_OWNER
from app.tasks.task import Task

BATCH = 1000
MOST_COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class TaskSearchFilter:
    """Filters of the list; None or empty matches all. ``since`` and ``until`` bound the creation time; ``text`` is a
    task id in any dialect's form, the id of the request, or part of the prompt."""

    states: tuple[str, ...] = ()
    model: str | None = None
    key: str | None = None
    account: str | None = None
    kind: str | None = None
    dialect: str | None = None
    text: str | None = None
    since: float | None = None
    until: float | None = None
    error: str | None = None
    ids: tuple[str, ...] | None = None
    films: bool = False
    """Only videos and pictures whose files exist, that are being made, or that failed."""

    def conditions(self) -> tuple[Conditions, Conditions]:
        """The conditions that an index answers, and the other ones. Raises ``InvalidRequest``."""
        # Ids are ordered by time, so a span of time is a span of ids.
        moments = [None if moment is None else id_at(moment) for moment in (self.since, self.until)]
        served = span_conditions(tasks.c.id, since=moments[0], until=moments[1])
        task_id = task_id_of(self.text.strip()) if self.text else None
        if task_id is not None:
            served.append(tasks.c.id == task_id)
        if self.ids is not None:
            served.append(tasks.c.id.in_(self.ids))
        if not self._asks_for_segments(task_id):
            served.append(~tasks.c.owner.startswith(SEGMENT_OWNER, autoescape=True))
        # An index can answer one of these: the first, which is expected to leave the fewest rows.
        indexed = [
            *_equal_conditions(
                {tasks.c.key_id: self.key, tasks.c.account_id: self.account, tasks.c.model: self.model}
            ),
            *_in_states(self.states),
        ]
        sifted = _equal_conditions(
            {tasks.c.kind: self.kind, tasks.c.dialect: self.dialect, tasks.c.error_code: self.error}
        )
        if self.text and task_id is None:
            named = tasks.c.request_id == self.text.strip()
            sifted.append(sa.or_(_in_prompt(self.text), named))
        if self.films:
            sifted += _of_films()
        return [*served, *indexed[:1]], [*indexed[1:], *sifted]

    def _asks_for_segments(self, task_id: str | None) -> bool:
        """Segments stand in the list under their film only, but where somebody must decide about their own money."""
        own = task_id or self.ids or self.account or self.dialect == SEGMENT_DIALECT
        return bool(own) or not {"held", "unknown"}.isdisjoint(self.states)


@dataclass(frozen=True, slots=True)
class TaskCount:
    """How many tasks match; where it is not ``exact``, at least so many."""

    count: int
    exact: bool


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """``amount`` in US dollars; ``kind`` is `reserve`, `settle` or `release`."""

    at: float
    kind: str
    amount: Decimal
    detail: Any


class TaskSearch:
    """Reads tasks of every owner."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find_page(self, wanted: TaskSearchFilter, page: PageRequest) -> FoundPage:
        """Newest first; the rows are ``Task`` objects. Raises ``InvalidRequest``."""
        cursor = task_id_of(page.after) if page.after else None
        if page.after and cursor is None:
            raise InvalidRequest("after must be the id of a task", param="after")
        served, sifted = wanted.conditions()
        async with self._database.read() as connection:
            result = await find_page(
                connection,
                sa.select(*LISTED),
                replace(page, after=cursor),
                by=tasks.c.id,
                served=served,
                sifted=sifted,
            )
        return replace(result, rows=[task_of(row) for row in result.rows])

    async def count(self, wanted: TaskSearchFilter) -> TaskCount:
        """Reads at most ``MOST_COUNTED`` rows, or ``MOST_SCANNED`` where a condition has no index."""
        served, sifted = wanted.conditions()
        most = MOST_SCANNED if sifted else MOST_COUNTED
        newest = sa.select(tasks).where(*served).order_by(tasks.c.id.desc()).limit(most + 1)
        async with self._database.read() as connection:
            if not sifted:
                counted = sa.select(sa.func.count()).select_from(
                    newest.with_only_columns(tasks.c.id).subquery()
                )
                found = int((await connection.execute(counted)).scalar_one())
                return TaskCount(min(found, most), found <= most)
            edge = newest.with_only_columns(tasks.c.id).offset(most).limit(1)
            last = (await connection.execute(edge)).scalar()
            since = [] if last is None else [tasks.c.id > last]
            counted = sa.select(sa.func.count()).select_from(tasks).where(*served, *sifted, *since)
            return TaskCount(int((await connection.execute(counted)).scalar_one()), last is None)

    async def find_all(self, wanted: TaskSearchFilter, *, most: int) -> AsyncIterator[list[Task]]:
        """At most ``most`` tasks in batches, so that a long export holds few of them in memory."""
        page, left = PageRequest(limit=BATCH), most
        while left > 0:
            result = await self.find_page(wanted, page)
            batch = result.rows[:left]
            if batch:
                yield batch
            left -= len(batch)
            if result.next is None:
                return
            page = PageRequest(limit=BATCH, after=result.next)

    async def current_states(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Id, state, progress and account of these tasks, for the live stream."""
        columns = tasks.c.id, tasks.c.state, tasks.c.progress, tasks.c.generating, tasks.c.account_id
        async with self._database.read() as connection:
            rows = await connection.execute(sa.select(*columns).where(tasks.c.id.in_(ids)))
            return [dict(row._mapping) for row in rows]

    async def ledger_entries(self, task_id: str) -> list[LedgerEntry]:
        """The task's ledger, oldest first."""
        query = sa.select(ledger).where(ledger.c.task_id == task_id).order_by(ledger.c.id)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [LedgerEntry(row.at, row.kind, row.amount, json.loads(row.detail)) for row in rows]

    async def vendor_cost(self, task: Task) -> Decimal | None:
        """What the vendor of an ended task charges, in US dollars; None where that is not known."""
        mine = usage.c.key_id == task.key_id, usage.c.at == task.created_at, usage.c.task_id == task.id
        async with self._database.read() as connection:
            return (await connection.execute(sa.select(usage.c.vendor_cost).where(*mine))).scalar()

    async def webhook_of(self, task_id: str) -> tuple[str | None, str | None]:
        """The client's own callback URL, and the base URL of the links in that callback."""
        query = sa.select(tasks.c.hook_url, tasks.c.hook_base).where(tasks.c.id == task_id)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one()
        return row.hook_url, row.hook_base


async def names_of(
    database: Database, key_ids: Collection[str], account_ids: Collection[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """The names of keys and of accounts, each by id."""
    async with database.read() as connection:
        of_keys = await connection.execute(sa.select(keys.c.id, keys.c.name).where(keys.c.id.in_(key_ids)))
        query = sa.select(accounts.c.id, accounts.c.name).where(accounts.c.id.in_(account_ids))
        of_accounts = await connection.execute(query)
        return {row.id: row.name for row in of_keys}, {row.id: row.name for row in of_accounts}


def _in_states(states: Sequence[str]) -> list[sa.ColumnElement[bool]]:
    """Raises ``InvalidRequest`` for an unknown state."""
    if not states:
        return []
    either: list[sa.ColumnElement[bool]] = []
    plain = [state for state in states if state in MOVES]
    for word in set(states) - set(plain):
        if word == "open":
            either.append(tasks.c.state.in_(OPEN))
        elif word == "unknown":
            # Written as in the partial index, which is not used otherwise.
            either.append(tasks.c.error_code == sa.literal_column(f"'{OutcomeUnknown.code}'"))
        elif word == "held":
            either.append(HELD)
        else:
            words = ", ".join([*MOVES, "open", "unknown", "held"])
            raise InvalidRequest(f"state must be one of {words}", param="state")
    if plain:
        either.append(tasks.c.state.in_(plain))
    return [sa.or_(*either)]


def _of_films() -> list[sa.ColumnElement[bool]]:
    kept = sa.and_(tasks.c.state == "completed", tasks.c.purged.is_(False), tasks.c.expires_at > clock.now())
    shown = sa.or_(kept, tasks.c.state == "failed", tasks.c.state.in_(OPEN))
    return [tasks.c.kind.in_(("video", "image")), tasks.c.deleted.is_(False), shown]


def _equal_conditions(wanted: dict[sa.Column[Any], str | None]) -> list[sa.ColumnElement[bool]]:
    return [column == value for column, value in wanted.items() if value]


def _in_prompt(text: str) -> sa.ColumnElement[bool]:
    # The column is JSON: search for the text as JSON escapes it.
    inside = json.dumps(text, ensure_ascii=False)[1:-1]
    return tasks.c.request.icontains(inside, autoescape=True)


def id_at(moment: float) -> str:
    """The smallest task id of that time (UTC seconds): the first bits of an id are its time in milliseconds."""
    return f"{int(max(moment, 0.0) * 1000) << 80:032x}"


def age_seconds(task: Task) -> float:
    """Seconds from the task's creation to its end, or until now."""
    return round((task.finished_at or time.time()) - task.created_at, 3)
