"""What our own tasks say of an account: how long its model takes, how many of its tasks succeed, what a second costs.

One reading for everybody, a minute old at most, and only where something asks for it.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from statistics import median
from typing import Any

import sqlalchemy as sa

from app import clock
from app.db.operator_tables import usage_days
from app.db.session import DATABASE_AWAY, Database
from app.db.tables import tasks
from app.shared_reads import SharedRead

FRESH_SECONDS = 60.0
DAY_SECONDS = 86_400
WINDOW_DAYS = 7
MOST_TASKS = 5000
"""The newest tasks of the window that are read."""
FEWEST_TASKS = 5
"""Fewer say nothing."""
SAYS_NOTHING = frozenset(
    {
        "input_missing",
        "no_available_account",
        "account_removed",
        "content_policy_violation",
        "invalid_request",
    }
)
"""Codes of failed tasks that are no fault of their account."""
_ENDED = (
    sa.select(tasks.c.account_id, tasks.c.upstream_model, tasks.c.state, tasks.c.error_code)
    .add_columns((tasks.c.finished_at - tasks.c.started_at).label("seconds"))
    .where(
        tasks.c.finished_at > sa.bindparam("since"),
        tasks.c.account_id.is_not(None),
        tasks.c.state.in_([sa.literal_column("'completed'"), sa.literal_column("'failed'")]),
    )
    .order_by(tasks.c.finished_at.desc())
    .limit(MOST_TASKS)
)
_CHARGED = (
    sa.select(
        usage_days.c.account_id,
        usage_days.c.model,
        *(
            sa.func.sum(usage_days.c[name]).label(name)
            for name in ("vendor_cost", "film_milliseconds", "films", "unknown_costs")
        ),
    )
    .where(usage_days.c.day > sa.bindparam("since"))
    .group_by(usage_days.c.account_id, usage_days.c.model)
)
Pair = tuple[str, str]
"""An account's id and a model's name: the upstream's, or the public one for what is charged."""


@dataclass(frozen=True, slots=True)
class OwnFigures:
    """``seconds``: median of the completed tasks, from their start to the end. ``success``: share of the tasks that ended.
    ``dollars_per_second``: of film, failed ones paid with it. Nothing of what too few tasks are known."""

    seconds: Mapping[Pair, float] = field(default_factory=dict)
    success: Mapping[Pair, float] = field(default_factory=dict)
    dollars_per_second: Mapping[Pair, Decimal] = field(default_factory=dict)


NO_FIGURES = OwnFigures()


class FiguresReader:
    """``last`` are the figures as they were read last: from memory, and none before ``refresh``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._reads = SharedRead(self._read, seconds=FRESH_SECONDS, away=DATABASE_AWAY, first=NO_FIGURES)
        self.revision = 0

    @property
    def last(self) -> OwnFigures:
        return self._reads.last or NO_FIGURES

    async def refresh(self) -> OwnFigures:
        """At most a minute old, older only while the database is away."""
        return await self._reads.get_or_last()

    def expire(self) -> None:
        self._reads.expire()

    async def close(self) -> None:
        await self._reads.close()

    async def _read(self) -> OwnFigures:
        since = clock.now() - WINDOW_DAYS * DAY_SECONDS
        async with self._database.read() as connection:
            ended = (await connection.execute(_ENDED, {"since": since})).all()
            charged = (await connection.execute(_CHARGED, {"since": int(since // DAY_SECONDS)})).all()
        self.revision += 1
        return OwnFigures(*_times_and_shares(ended), _dollars_per_second(charged))


def _times_and_shares(rows: Sequence[Any]) -> tuple[dict[Pair, float], dict[Pair, float]]:
    times: defaultdict[Pair, list[float]] = defaultdict(list)
    counts: defaultdict[Pair, int] = defaultdict(int)
    for row in rows:
        pair = row.account_id, row.upstream_model or ""
        if row.state == "completed":
            times[pair].append(row.seconds or 0.0)
        if row.error_code not in SAYS_NOTHING:
            counts[pair] += 1
    seconds = {pair: median(found) for pair, found in times.items() if len(found) >= FEWEST_TASKS}
    shares = {pair: len(times[pair]) / count for pair, count in counts.items() if count >= FEWEST_TASKS}
    return seconds, shares


def _dollars_per_second(rows: Sequence[Any]) -> dict[Pair, Decimal]:
    """Only where the cost of every task is known."""
    return {
        (row.account_id, row.model): row.vendor_cost / (Decimal(int(row.film_milliseconds)) / 1000)
        for row in rows
        if row.films >= FEWEST_TASKS and row.film_milliseconds and not row.unknown_costs
    }
