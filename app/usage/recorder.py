"""Usage rows: collected in memory on the hot path, written in batches in the background."""

import asyncio
import json
from collections import deque
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.session import DATABASE_AWAY, Database
from app.db.tables import to_billionths, usage
from app.usage.budgets import BudgetTracker
from app.usage.ledger import record_spending
from app.usage.totals import add_usage

log = structlog.get_logger()
FLUSH_SECONDS = 0.5
BATCH_ROWS = 2000
MAX_WAITING_ROWS = 100_000
INPUT_TOKENS = ("prompt_tokens", "input_tokens")
OUTPUT_TOKENS = ("completion_tokens", "output_tokens")
"""Their names in OpenAI's chat API, and in its newer APIs and Anthropic's."""
MODEL_LENGTH = 200
PATH_LENGTH = 64


def token_count(usage: Mapping[str, Any], names: Sequence[str]) -> int | None:
    """The first of the fields ``names`` that holds a count; None when none does."""
    for name in names:
        value = usage.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31:
            return value
    return None


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

    def column_values(self) -> dict[str, Any]:
        """The column values, cut to their widths and printable, because clients choose the names of models."""
        model = self.model if self.model.isprintable() else ascii(self.model)
        return {**self._asdict(), "model": model[:MODEL_LENGTH], "path": self.path[:PATH_LENGTH]}


COLUMNS = UsageRow._fields
# One statement for a whole batch: with one per row, SQLite's thread and the event loop would compete for the
# interpreter lock at every row.
INSERT_FROM_JSON = sa.text(
    f"INSERT INTO usage ({', '.join(COLUMNS)}) "  # noqa: S608  # the table's own column names
    f"SELECT {', '.join(f'json_extract(value, {chr(39)}$.{name}{chr(39)})' for name in COLUMNS)} "
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
        self.dropped = 0
        """Rows lost because the database was down for too long."""

    def add_row(self, row: UsageRow) -> None:
        """Never waits and never fails."""
        if len(self._waiting) == self._waiting.maxlen:
            self.dropped += 1
        self._waiting.append(row)

    async def run(self) -> None:
        """Write the waiting rows twice a second, forever."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()

    async def flush(self) -> bool:
        """Write the waiting rows; False when the database is down and rows still wait."""
        async with self._writing:
            # Rows that come meanwhile wait for the next time; otherwise, under a steady load, each is its own write.
            left = len(self._waiting)
            while left > 0:
                batch = [self._waiting.popleft() for _ in range(min(BATCH_ROWS, left))]
                left -= len(batch)
                if not await self._write_batch(batch):
                    return False
        return True

    async def close(self) -> None:
        """Write the rest after ``run`` was cancelled."""
        await self.flush()

    async def _write_batch(self, batch: list[UsageRow]) -> bool:
        written = False
        costs = [(row.key_id, row.at, row.cost) for row in batch if row.cost]
        try:
            rows = [row.column_values() for row in batch]
            async with self._database.write() as connection:
                await self._insert_rows(connection, rows)
                await record_spending(connection, costs)
                await add_usage(connection, rows)
            written = True
            if self._budgets is not None:
                self._budgets.mark_written(costs)
        except DATABASE_AWAY as error:
            log.warning("usage.delayed", rows=len(batch), error=type(error).__name__)
        finally:
            if not written:  # also when ``run`` is cancelled during the write
                self._put_back(batch)
        return written

    async def _insert_rows(self, connection: AsyncConnection, rows: list[dict[str, Any]]) -> None:
        if self._database.is_postgres:
            await connection.execute(sa.insert(usage), rows)
        else:
            kept = [row | {"cost": to_billionths(row["cost"])} for row in rows]
            await connection.execute(INSERT_FROM_JSON, {"rows": json.dumps(kept)})

    def _put_back(self, batch: list[UsageRow]) -> None:
        room = (self._waiting.maxlen or 0) - len(self._waiting)
        kept = batch[max(0, len(batch) - room) :]
        self.dropped += len(batch) - len(kept)
        self._waiting.extendleft(reversed(kept))
