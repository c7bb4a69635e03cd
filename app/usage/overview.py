"""Recent outcomes, success rates, times to video and spending, from the counts of ended tasks."""

import math
from bisect import bisect_right
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, Literal
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from app import clock
from app.db.operator_tables import rollup
from app.db.session import Database
from app.usage.closed_days import ClosedDays
from app.usage.ledger import NOTHING
from app.usage.recorder import COMPLETED, HOUR, seconds_of
from app.usage.zones import UTC_ZONE, day_at, start_of_day

Window = Literal["1h", "24h", "7d", "30d"]
HOURS: dict[Window, int] = {"1h": 1, "24h": 24, "7d": 168, "30d": 720}
DAY = 24
NOT_RATED = frozenset({"cancelled"})
"""Outcomes that say nothing about reliability."""


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """The figures of one model. ``p50`` and ``p95``: seconds from creation to the finished video, within 5 %."""

    model: str
    tasks: int
    completed: int
    success_rate: float | None
    p50: float | None
    p95: float | None
    cost: Decimal


@dataclass(frozen=True, slots=True)
class ChartPoint:
    """One step of a chart: an hour, or a day of a zone in the longer windows. ``at``: its beginning in UTC seconds."""

    at: int
    completed: int
    failed: int
    cancelled: int
    cost: Decimal


@dataclass(frozen=True, slots=True)
class FailureCount:
    """Failed tasks of one error code and model; ``hour`` (since 1970) is that of the last one."""

    code: str
    model: str
    tasks: int
    hour: int


@dataclass(frozen=True, slots=True)
class OverviewSummary:
    """The figures since ``since`` (UTC seconds): the window's first hour, or its first day for windows of several days.
    ``steps`` are where the steps of charts begin, also those without a task."""

    window: Window
    since: int
    tasks: int
    outcomes: dict[str, int]
    success_rate: float | None
    tasks_per_minute: float
    cost: Decimal
    models: list[ModelFigures]
    points: list[ChartPoint]
    steps: list[int]
    failures: list[FailureCount]


class UsageOverview:
    """Reads at most one row for each hour, model, outcome and bucket, and those of days that are over once an hour. An hour
    belongs to the day that it begins in."""

    def __init__(self, database: Database, *, remembered: ClosedDays[list[Any]] | None = None) -> None:
        self._database = database
        self._days = ClosedDays[list[Any]]() if remembered is None else remembered

    async def summarize(
        self, window: Window = "24h", *, now: float | None = None, zone: ZoneInfo = UTC_ZONE
    ) -> OverviewSummary:
        moment = clock.now() if now is None else now
        steps = _steps_of(window, moment, zone)
        first = steps[0] // HOUR
        by_step = await self._rows_by_step(steps, moment, whole_days=HOURS[window] > DAY)
        rows = [row for found in by_step.values() for row in found]
        outcomes: Counter[str] = Counter()
        for row in rows:
            outcomes[row.outcome] += row.tasks
        tasks = outcomes.total()
        return OverviewSummary(
            window=window,
            since=first * HOUR,
            tasks=tasks,
            outcomes=dict(outcomes.most_common()),
            success_rate=_success_rate(outcomes),
            tasks_per_minute=tasks / max((moment - first * HOUR) / 60, 1.0),
            cost=sum((row.cost for row in rows), NOTHING),
            models=_figures_by_model(rows),
            points=[_chart_point(at, found) for at, found in by_step.items() if found],
            steps=steps,
            failures=_failure_counts(rows),
        )

    async def _rows_by_step(self, steps: list[int], now: float, *, whole_days: bool) -> dict[int, list[Any]]:
        if whole_days:
            ends = [*steps[1:], int(now // HOUR + 1) * HOUR]
            spans = list(zip(steps, ends, strict=True))
            return {
                begin: await self._days.sums(begin, end, now=now, read=self._sums_between)
                for begin, end in spans
            }
        found: dict[int, list[Any]] = {at: [] for at in steps}
        for row in await self._summed_rows(steps[0], math.inf, "hour"):
            found[steps[max(bisect_right(steps, row.hour * HOUR) - 1, 0)]].append(row)
        return found

    async def _sums_between(self, begin: float, end: float) -> list[Any]:
        return await self._summed_rows(begin, end)

    async def _summed_rows(self, begin: float, end: float, *further: str) -> list[Any]:
        """By model, outcome and bucket; the hours that begin from ``begin`` to ``end`` (UTC seconds)."""
        columns = [rollup.c[name] for name in ("model", "outcome", "bucket", *further)]
        sums = sa.func.sum(rollup.c.tasks).label("tasks"), sa.func.sum(rollup.c.cost).label("cost")
        last = sa.func.max(rollup.c.hour).label("last")
        hours = [rollup.c.hour >= math.ceil(begin / HOUR)]
        hours += [] if math.isinf(end) else [rollup.c.hour < math.ceil(end / HOUR)]
        query = sa.select(*columns, *sums, last).where(*hours).group_by(*columns)
        async with self._database.read() as connection:
            return list((await connection.execute(query)).all())


def _chart_point(at: int, rows: list[Any]) -> ChartPoint:
    counts: Counter[str] = Counter()
    for row in rows:
        counts[row.outcome if row.outcome in (COMPLETED, "cancelled") else "failed"] += row.tasks
    cost = sum((row.cost for row in rows), NOTHING)
    return ChartPoint(at, counts[COMPLETED], counts["failed"], counts["cancelled"], cost)


def _failure_counts(rows: list[Any]) -> list[FailureCount]:
    """The most frequent first."""
    found: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        if row.outcome not in (COMPLETED, *NOT_RATED):
            sums = found[row.outcome, row.model]
            sums[:] = sums[0] + row.tasks, max(sums[1], row.last)
    counts = [FailureCount(code, model, tasks, hour) for (code, model), (tasks, hour) in found.items()]
    return sorted(counts, key=lambda one: (-one.tasks, one.code, one.model))


def _steps_of(window: Window, now: float, zone: ZoneInfo) -> list[int]:
    first = int(now // HOUR) - HOURS[window]
    if HOURS[window] <= DAY:
        return [hour * HOUR for hour in range(first, int(now // HOUR) + 1)]
    begin, today = day_at(first * HOUR, zone), day_at(now, zone)
    days = range((today - begin).days + 1)
    return [int(start_of_day(begin + timedelta(days=number), zone)) for number in days]


def _figures_by_model(rows: list[Any]) -> list[ModelFigures]:
    """Busiest first."""
    by_model: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        by_model[row.model].append(row)
    figures = [_model_figures(model, rows) for model, rows in by_model.items()]
    return sorted(figures, key=lambda one: (-one.tasks, one.model))


def _model_figures(model: str, rows: list[Any]) -> ModelFigures:
    outcomes: Counter[str] = Counter()
    buckets: Counter[int] = Counter()
    for row in rows:
        outcomes[row.outcome] += row.tasks
        if row.outcome == COMPLETED:
            buckets[row.bucket] += row.tasks
    return ModelFigures(
        model=model,
        tasks=outcomes.total(),
        completed=outcomes[COMPLETED],
        success_rate=_success_rate(outcomes),
        p50=percentile(buckets, 0.5),
        p95=percentile(buckets, 0.95),
        cost=sum((row.cost for row in rows), NOTHING),
    )


def percentile(buckets: Counter[int], share: float) -> float | None:
    """Seconds that ``share`` of the counted tasks took at most; None without tasks."""
    wanted, seen = share * buckets.total(), 0
    for bucket in sorted(buckets):
        seen += buckets[bucket]
        if seen >= wanted:
            return seconds_of(bucket)
    return None


def _success_rate(outcomes: Counter[str]) -> float | None:
    judged = sum(count for outcome, count in outcomes.items() if outcome not in NOT_RATED)
    return outcomes[COMPLETED] / judged if judged else None
