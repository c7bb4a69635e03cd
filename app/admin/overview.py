"""`/admin/api/overview`: the start page, read from hourly counts, so that it stays fast as the history grows."""

import time
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from fastapi import APIRouter, Query
from pydantic import Field

from app.admin.access import AdminRequest, AdminRoute
from app.admin.account_object import slots_in_use, state_of
from app.admin.bodies import PanelAnswer
from app.admin.masking import mask_secrets
from app.admin.panel import PanelServices
from app.admin.task_object import plain_amount
from app.db.tables import tasks
from app.usage.overview import HOURS, ChartPoint, FailureCount, ModelFigures, OverviewSummary, Window
from app.usage.reports import UsageSpan
from app.usage.zones import day_at, read_zone, start_of_day
from app.webhooks.endpoint_health import failing_endpoints

router = APIRouter(route_class=AdminRoute)
HOUR = 3600
DAY = 24
RECENT_TASKS = 2000
"""Of the tasks that ended last, this many are searched for the text of an error."""
MOST_ERRORS = 12


class ChartSeries(PanelAnswer):
    """Lists of equal length: ``at`` is the beginning of a step, the others are its figures."""

    at: list[int]
    completed: list[int]
    failed: list[int]
    cancelled: list[int]
    cost: list[str | None]


class TaskTotals(PanelAnswer):
    """``success_rate`` is between 0 and 1, without cancelled tasks."""

    tasks: int
    completed: int
    failed: int
    cancelled: int
    success_rate: float | None
    per_minute: float
    cost: str | None


class QueueCounts(PanelAnswer):
    """Open tasks by state, and slots in use."""

    queued: int
    submitting: int
    running: int
    storing: int
    slots: int


class ModelTotals(PanelAnswer):
    """The percentiles are seconds from creation to the finished result."""

    model: str
    tasks: int
    completed: int
    failed: int
    success_rate: float | None
    p50_seconds: float | None
    p95_seconds: float | None
    cost: str | None


class SpendingTotals(PanelAnswer):
    """What all keys spent today and in the last 30 days (UTC), in US dollars."""

    today: str | None
    days_30: str | None


class AccountCounts(PanelAnswer):
    """``states`` are those of the list of accounts, which shows as many when it is asked for one of them."""

    states: dict[str, int]
    total: int


class StorageObject(PanelAnswer):
    """The media store; None until it has been counted."""

    bytes: int | None
    files: int | None
    kind: str
    counted_at: float | None


class ErrorGroup(PanelAnswer):
    """Failed tasks of one error code and model. ``message`` and ``task_id`` are of the last one, if it is recent."""

    code: str
    model: str
    count: int
    last_at: float
    message: str | None
    task_id: str | None


class HeldTotals(PanelAnswer):
    """Ended tasks that may have cost money: their reservations are held until the operator decides."""

    tasks: int
    amount: str | None


class FailingWebhooks(PanelAnswer):
    """Enabled webhook endpoints that nothing arrives at, and the name of the one with the most failed calls."""

    endpoints: int
    worst: str | None


class OverviewAnswer(PanelAnswer):
    """``from`` and ``to`` bound the time, in UTC seconds; ``step`` is the length of a step in seconds."""

    range: Window
    since: float = Field(serialization_alias="from")
    until: float = Field(serialization_alias="to")
    step: int
    series: ChartSeries
    totals: TaskTotals
    queue: QueueCounts
    models: list[ModelTotals]
    spend: SpendingTotals
    held: HeldTotals
    accounts: AccountCounts
    storage: StorageObject
    webhooks: FailingWebhooks
    errors: list[ErrorGroup]


@router.get("/overview", summary="Show the state of the gateway")
async def get_overview(
    request: AdminRequest,
    *,
    window: Annotated[Window, Query(alias="range")] = "24h",
    zone: Annotated[str, Query(max_length=64)] = "",
) -> OverviewAnswer:
    """Days are those of `zone`, an IANA name like Asia/Shanghai, else of UTC."""
    panel, now, days_of = request.panel, time.time(), read_zone(zone)
    summary = await panel.usage.summarize(window, now=now, zone=days_of)
    step, held = _step_seconds(window), await panel.billing.held_money()
    return OverviewAnswer(
        range=window,
        since=float(summary.since),
        until=now,
        step=step,
        series=_chart_series(summary),
        totals=_task_totals(summary),
        queue=await _queue_counts(panel),
        models=[_model_totals(figures) for figures in summary.models],
        spend=await _recent_spending(panel, now, days_of),
        held=HeldTotals(tasks=held.tasks, amount=plain_amount(held.amount)),
        accounts=await _account_counts(panel, now),
        storage=_storage_object(panel),
        webhooks=await _failing_webhooks(panel),
        errors=await _error_groups(panel, summary),
    )


def _step_seconds(window: Window) -> int:
    """An hour; a day for windows that are longer than a day."""
    return HOUR if HOURS[window] <= DAY else DAY * HOUR


def _chart_series(summary: OverviewSummary) -> ChartSeries:
    """One point for each step, also for those without a task."""
    known = {point.at: point for point in summary.points}
    points = [known.get(moment) or ChartPoint(moment, 0, 0, 0, Decimal(0)) for moment in summary.steps]
    return ChartSeries(
        at=[point.at for point in points],
        completed=[point.completed for point in points],
        failed=[point.failed for point in points],
        cancelled=[point.cancelled for point in points],
        cost=[plain_amount(point.cost) for point in points],
    )


def _task_totals(summary: OverviewSummary) -> TaskTotals:
    completed, cancelled = (summary.outcomes.get(word, 0) for word in ("completed", "cancelled"))
    return TaskTotals(
        tasks=summary.tasks,
        completed=completed,
        failed=summary.tasks - completed - cancelled,
        cancelled=cancelled,
        success_rate=_rounded_share(summary.success_rate),
        per_minute=round(summary.tasks_per_minute, 3),
        cost=plain_amount(summary.cost),
    )


def _model_totals(figures: ModelFigures) -> ModelTotals:
    return ModelTotals(
        model=figures.model,
        tasks=figures.tasks,
        completed=figures.completed,
        failed=figures.tasks - figures.completed,
        success_rate=_rounded_share(figures.success_rate),
        p50_seconds=figures.p50,
        p95_seconds=figures.p95,
        cost=plain_amount(figures.cost),
    )


def _rounded_share(rate: float | None) -> float | None:
    return None if rate is None else round(rate, 4)


def _storage_object(panel: PanelServices) -> StorageObject:
    used = panel.storage.last_count()
    return StorageObject(
        bytes=used.bytes if used else None,
        files=used.files if used else None,
        kind=panel.facts.health["storage"],
        counted_at=used.counted_at if used else None,
    )


async def _queue_counts(panel: PanelServices) -> QueueCounts:
    counts = await panel.tasks.open_counts()
    return QueueCounts(**{name: counts.get(name, 0) for name in QueueCounts.model_fields})


async def _recent_spending(panel: PanelServices, now: float, zone: ZoneInfo) -> SpendingTotals:
    """Of today, and of thirty days with today."""
    today = day_at(now, zone)
    starts = [start_of_day(today + timedelta(days=days), zone) for days in range(-29, 2)]

    async def read_cost(begin: float, end: float) -> Decimal:
        lines = await panel.gateway.reports.usage_lines(("day",), UsageSpan(begin, end, zone))
        return sum((line.cost for line in lines), Decimal(0))

    costs = [
        await panel.daily_costs.sums(begin, end, now=now, read=read_cost) for begin, end in pairwise(starts)
    ]
    return SpendingTotals(today=plain_amount(costs[-1]), days_30=plain_amount(sum(costs, Decimal(0))))


async def _account_counts(panel: PanelServices, now: float) -> AccountCounts:
    await panel.pool.current_statuses()
    statuses = [*panel.pool.cached_statuses(), *panel.pool.misconfigured()]
    used = await slots_in_use(panel.database)
    states = Counter(state_of(status, used[status.account.id], now=now)[0] for status in statuses)
    return AccountCounts(states=dict(states), total=len(statuses))


async def _failing_webhooks(panel: PanelServices) -> FailingWebhooks:
    async with panel.database.read() as connection:
        count, worst = await failing_endpoints(connection)
    return FailingWebhooks(endpoints=count, worst=worst)


async def _error_groups(panel: PanelServices, summary: OverviewSummary) -> list[ErrorGroup]:
    """By error code and model, the most frequent first."""
    if not summary.failures:
        return []
    last = await _last_failures(panel)
    return [
        _error_group(group, last.get((group.code, group.model))) for group in summary.failures[:MOST_ERRORS]
    ]


async def _last_failures(panel: PanelServices) -> dict[tuple[str, str], Any]:
    """The last failed task by error code and model, out of the tasks that ended last."""
    columns = tasks.c.id, tasks.c.model, tasks.c.state, tasks.c.error_code, tasks.c.error_message
    recent = (
        sa.select(*columns, tasks.c.finished_at)
        .where(tasks.c.finished_at.is_not(None))
        .order_by(tasks.c.finished_at.desc())
        .limit(RECENT_TASKS)
        .subquery()
    )
    last: dict[tuple[str, str], Any] = {}
    async with panel.database.read() as connection:
        for row in await connection.execute(sa.select(recent).where(recent.c.state == "failed")):
            key = (row.error_code, row.model)
            if key not in last or last[key].finished_at < row.finished_at:
                last[key] = row
    return last


def _error_group(group: FailureCount, last: Any) -> ErrorGroup:
    return ErrorGroup(
        code=group.code,
        model=group.model,
        count=int(group.tasks),
        last_at=last.finished_at if last else float(group.hour * HOUR),
        message=mask_secrets(last.error_message) if last else None,
        task_id=last.id if last else None,
    )
