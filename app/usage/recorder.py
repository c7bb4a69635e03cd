"""Usage as it is written: rows of calls in batches, counts of ended tasks, and how long rows and sums are kept.

``rollup``: ended tasks by hour, model, outcome and duration; ``sums.py`` has the sums of the rows. Reports read these, so
they cost the same for any history.
"""

import asyncio
import json
import math
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

import sqlalchemy as sa
import structlog

from app.db.batches import write_in_halves
from app.db.connection import AsyncConnection
from app.db.operator_tables import audit, rollup, usage_days, usage_hours
from app.db.session import Database, add_to_sums
from app.db.tables import to_billionths, usage
from app.foreign import LARGEST_INT4, clean_integer
from app.usage.budgets import BudgetTracker
from app.usage.ledger import record_pruned, record_spending
from app.usage.sums import DAY_SECONDS, SIDES, add_usage

log = structlog.get_logger()
FLUSH_SECONDS = 0.5
WRITE_ROWS = 2000
MAX_WAITING_ROWS = 100_000
MODEL_LENGTH = 200
PATH_LENGTH = 64
HOUR = 3600
HOURS_PER_DAY = 24
MINUTES_PER_DAY = 1440
STEPS_PER_DOUBLING = 8
"""Duration buckets per doubling: a duration that is read back is at most 5 % off."""
COMPLETED = "completed"
NOTHING = Decimal(0)
HOURLY_DAYS = 32
"""Tasks that ended longer ago are counted by UTC day; the overview shows thirty days of any zone."""
COUNTED_DAYS = 90
"""How long task counts are kept."""
REPORTED_DAYS = 400
"""How long sums of usage are kept."""
DELETE_ROWS = 5000
"""Old rows are deleted so many at a time, so that no writer waits for long."""
INPUT_TOKENS = ("prompt_tokens", "input_tokens")
OUTPUT_TOKENS = ("completion_tokens", "output_tokens")
"""Their names in OpenAI's chat API, and in its newer APIs and Anthropic's."""
MOST_TOKENS = 100_000_000
"""Of one field of one answer: ten times what any model takes. More is no count."""
CountKey = tuple[int, str, str, int]
"""Hour, model, outcome and duration bucket."""


# ---- rows of calls ------------------------------------------------------------------------------


class UsageRow(NamedTuple):
    """One call: ``at`` in UTC seconds, ``status`` as the client saw it (499: it had disconnected), tokens if stated."""

    at: float
    key_id: str
    account_id: str
    model: str
    path: str
    status: int
    milliseconds: float
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: Decimal = Decimal(0)
    request_id: str = ""
    project_id: str | None = None
    end_user: str | None = None
    tags: str | None = None
    """A JSON list."""

    def as_columns(self) -> dict[str, Any]:
        """As the columns can hold it: cut to their widths and printable, because clients choose the names of models."""
        row = self._asdict()
        if len(self.model) > MODEL_LENGTH or not self.model.isprintable():
            row["model"] = (self.model if self.model.isprintable() else ascii(self.model))[:MODEL_LENGTH]
        row["path"] = self.path[:PATH_LENGTH]
        for name in ("input_tokens", "output_tokens"):
            row[name] = clean_integer(row[name], high=LARGEST_INT4)
        return row


COLUMNS = UsageRow._fields
# One statement for a whole batch: with one per row, SQLite's thread and the event loop would compete for the
# interpreter lock at every row.
INSERT_FROM_JSON = sa.text(
    f"INSERT INTO usage ({', '.join(COLUMNS)}) "  # noqa: S608  # the table's own column names
    f"SELECT {', '.join(f'json_extract(value, {chr(39)}$[{place}]{chr(39)})' for place in range(len(COLUMNS)))} "
    "FROM json_each(:rows)"
)


class UsageRecorder:
    """``run`` writes until it is cancelled, ``close`` writes the rest.

    A crash loses at most the last half second. While the database is down, the newest ``kept`` rows wait. The costs of calls
    are booked on their keys in the same transaction.
    """

    def __init__(
        self, database: Database, *, budgets: BudgetTracker | None = None, kept: int = MAX_WAITING_ROWS
    ) -> None:
        self._database = database
        self._budgets = budgets
        self._waiting: deque[UsageRow] = deque(maxlen=kept)
        self._writing = asyncio.Lock()
        self._flushing: asyncio.Future[bool] | None = None
        self.dropped = 0
        """Rows lost because the database was down for too long."""
        self.refused = 0
        """Rows that no attempt could write."""
        self.on_refused: Callable[[Mapping[str, str]], None] | None = None
        """Called with what is known of such a row; must return at once."""

    def add_row(self, row: UsageRow) -> None:
        """Never waits and never fails."""
        if len(self._waiting) == self._waiting.maxlen:
            self.dropped += 1
        self._waiting.append(row)

    async def run(self) -> None:
        """Write the waiting rows twice a second, forever."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            # Rows whose commit is under way when this is cancelled must not be put back and written twice.
            self._flushing = asyncio.ensure_future(self.flush())
            await asyncio.shield(self._flushing)

    async def flush(self) -> bool:
        """Write the waiting rows; False when the database is down and rows still wait."""
        async with self._writing:
            # Rows that come meanwhile wait for the next time; otherwise, under a steady load, each is its own write.
            left = len(self._waiting)
            while left > 0:
                batch = [self._waiting.popleft() for _ in range(min(WRITE_ROWS, left))]
                left -= len(batch)
                if not await self._write_batch(batch):
                    return False
        return True

    async def close(self) -> None:
        """Write the rest after ``run`` was cancelled."""
        await self.flush()

    async def _write_batch(self, batch: list[UsageRow]) -> bool:
        try:
            away = await write_in_halves(batch, self._write_rows, refused=self._report_refused)
            if away is not None:
                log.warning("usage.delayed", rows=len(batch), error=type(away).__name__)
            return away is None
        finally:
            self._put_back(batch)

    async def _write_rows(self, batch: list[UsageRow]) -> None:
        costs = _costs_by_day(batch)
        rows = [row.as_columns() for row in batch]
        async with self._database.write_many() as connection:
            await self._insert_rows(connection, rows)
            await record_spending(connection, costs)
            await add_usage(connection, rows)
        if self._budgets is not None:
            self._budgets.mark_written(costs)

    def _report_refused(self, row: UsageRow, error: Exception) -> None:
        """The row is lost, and its cost is not booked on its key: whoever reads this can book it."""
        self.refused += 1
        known = {
            "key": row.key_id,
            "account": row.account_id,
            "model": row.model[:MODEL_LENGTH],
            "path": row.path,
        }
        log.error("usage.refused", **known, cost=str(row.cost), error=type(error).__name__)
        if self.on_refused is not None:
            self.on_refused({**known, "cost": str(row.cost)})

    async def _insert_rows(self, connection: AsyncConnection, rows: list[dict[str, Any]]) -> None:
        if self._database.is_postgres:
            await connection.execute(sa.insert(usage), rows)
        else:
            text = json.dumps([tuple(row.values()) for row in rows], default=to_billionths)
            await connection.execute(INSERT_FROM_JSON, {"rows": text})

    def _put_back(self, batch: list[UsageRow]) -> None:
        room = (self._waiting.maxlen or 0) - len(self._waiting)
        kept = batch[max(0, len(batch) - room) :]
        self.dropped += len(batch) - len(kept)
        self._waiting.extendleft(reversed(kept))


# ---- tokens and costs -------------------------------------------------------------------------------


def token_count(usage: Mapping[str, Any], names: Sequence[str]) -> int | None:
    """The first of the fields ``names`` that holds a count; None when none does."""
    for name in names:
        value = usage.get(name)
        if type(value) is int and 0 <= value <= MOST_TOKENS:
            return value
    return None


def _costs_by_day(rows: Iterable[UsageRow]) -> list[tuple[str, float, Decimal]]:
    """The id of a key or a project, a moment of the UTC day, and what its calls of that day cost."""
    sums: dict[tuple[str, float], Decimal] = defaultdict(lambda: NOTHING)
    for row in rows:
        for holder_id in filter(None, (row.key_id, row.project_id)) if row.cost else ():
            sums[(holder_id, row.at // DAY_SECONDS * DAY_SECONDS)] += row.cost
    return [(holder_id, day, cost) for (holder_id, day), cost in sums.items()]


# ---- ended tasks by hour ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EndedTask:
    """One task's end: when (UTC seconds), its outcome, seconds since its creation, and cost in US dollars."""

    at: float
    model: str
    outcome: str
    seconds: float
    cost: Decimal = NOTHING

    @property
    def row_key(self) -> CountKey:
        """Its row in ``rollup``."""
        bucket = bucket_of(self.seconds) if self.outcome == COMPLETED else 0
        return int(self.at // HOUR), self.model, self.outcome[:64], bucket


def bucket_of(seconds: float) -> int:
    """The eighth of a power of two that a duration falls into; everything up to a second is 0."""
    return math.floor(math.log2(seconds) * STEPS_PER_DOUBLING) if seconds > 1 else 0


def seconds_of(bucket: int) -> float:
    """The middle of a bucket."""
    return float(2 ** ((bucket + 0.5) / STEPS_PER_DOUBLING))


def day_of(moment: float) -> int:
    """The first hour (since the epoch) of a moment's UTC day."""
    return int(moment // HOUR) // HOURS_PER_DAY * HOURS_PER_DAY


async def count_ended(connection: AsyncConnection, ended: Iterable[EndedTask], *, tasks: int = 1) -> None:
    """Count tasks that end. Call it in the transaction that ends them; ``tasks=0`` only adds their cost."""
    await add_to_sums(connection, rollup, hourly_sums(ended, tasks=tasks))


def hourly_sums(ended: Iterable[EndedTask], *, tasks: int = 1) -> list[dict[str, Any]]:
    """The rows of ``rollup`` that these ends add up to."""
    counts: Counter[CountKey] = Counter()
    costs: dict[CountKey, Decimal] = defaultdict(lambda: NOTHING)
    for task in ended:
        counts[task.row_key] += tasks
        costs[task.row_key] += task.cost
    return _count_rows(counts, costs)


def _count_rows(counts: Counter[CountKey], costs: dict[CountKey, Decimal]) -> list[dict[str, Any]]:
    columns = [column.name for column in rollup.primary_key]
    return [
        {**dict(zip(columns, key, strict=True)), "tasks": counts[key], "cost": cost}
        for key, cost in costs.items()
    ]


async def compact_oldest_day(connection: AsyncConnection, *, before: float) -> bool:
    """Merge the hours of the oldest day that ended ``before`` a moment into its first hour.

    Returns False when every such day is merged. May run repeatedly and in several processes at once.
    """
    by_hour = rollup.c.hour < day_of(before), rollup.c.hour % HOURS_PER_DAY != 0
    oldest = (await connection.execute(sa.select(sa.func.min(rollup.c.hour)).where(*by_hour))).scalar()
    if oldest is None:
        return False
    day = oldest // HOURS_PER_DAY * HOURS_PER_DAY
    hours = rollup.c.hour > day, rollup.c.hour < day + HOURS_PER_DAY
    # The process that deletes a row has its count; another one finds no row.
    deleted = (await connection.execute(sa.delete(rollup).where(*hours).returning(rollup))).all()
    counts: Counter[CountKey] = Counter()
    costs: dict[CountKey, Decimal] = defaultdict(lambda: NOTHING)
    for row in deleted:
        key = day, row.model, row.outcome, row.bucket
        counts[key] += row.tasks
        costs[key] += row.cost
    await add_to_sums(connection, rollup, _count_rows(counts, costs))
    return True


# ---- how long rows are kept ---------------------------------------------------------------------


async def delete_old_rows(database: Database, *, now: float, request_days: float, audit_days: float) -> None:
    """Delete old usage, audit rows and sums. May run repeatedly and in several processes at once."""
    await _delete_usage(database, before=now - request_days * DAY_SECONDS)
    await _delete_before(database, audit, before=now - audit_days * DAY_SECONDS)
    async with database.write_many() as connection:
        oldest = day_of(now - COUNTED_DAYS * DAY_SECONDS)
        await connection.execute(sa.delete(rollup).where(rollup.c.hour < oldest))
        report = int(now // DAY_SECONDS) - REPORTED_DAYS
        await connection.execute(sa.delete(usage_days).where(usage_days.c.day < report))
        old = usage_hours.c.side.in_(SIDES), usage_hours.c.minute < report * MINUTES_PER_DAY
        await connection.execute(sa.delete(usage_hours).where(*old))
    more = True
    while more:
        async with database.write_many() as connection:
            more = await compact_oldest_day(connection, before=now - HOURLY_DAYS * DAY_SECONDS)


async def _delete_usage(database: Database, *, before: float) -> None:
    """What calls without a task cost stays in ``spending``, as budgets of all time count it."""
    old = sa.select(usage.c.id).where(usage.c.at < before).order_by(usage.c.at).limit(DELETE_ROWS)
    told = usage.c.key_id, usage.c.project_id, usage.c.task_id, usage.c.cost
    gone = sa.delete(usage).where(usage.c.id.in_(old)).returning(*told)
    deleted = DELETE_ROWS
    while deleted == DELETE_ROWS:
        async with database.write_many() as connection:
            rows = (await connection.execute(gone)).all()
            await record_pruned(connection, _costs_without_task(rows))
        deleted = len(rows)


def _costs_without_task(rows: Iterable[Any]) -> dict[str, Decimal]:
    """By the id of a key or a project."""
    costs: dict[str, Decimal] = defaultdict(lambda: NOTHING)
    for row in (row for row in rows if not row.task_id):
        for holder_id in filter(None, (row.key_id, row.project_id)):
            costs[holder_id] += row.cost
    return costs


async def _delete_before(database: Database, table: sa.Table, *, before: float) -> None:
    old = sa.select(table.c.id).where(table.c.at < before).order_by(table.c.at).limit(DELETE_ROWS)
    deleted = DELETE_ROWS
    while deleted == DELETE_ROWS:
        async with database.write_many() as connection:
            deleted = (await connection.execute(sa.delete(table).where(table.c.id.in_(old)))).rowcount
