"""`/admin/api/overview`: the first page, from hourly counts, so that it does not grow with history."""

import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Query

from app.admin.access import AdminRequest, OwnerRoute
from app.admin.account_object import state_of
from app.admin.masking import mask_secrets
from app.admin.panel import PanelServices
from app.admin.task_object import plain_amount
from app.db.operator_tables import rollup
from app.db.tables import spending, tasks
from app.usage.overview import HOURS, ChartPoint, OverviewSummary, UsageOverview, Window

router = APIRouter(route_class=OwnerRoute)
HOUR = 3600
DAY = 24
RECENT_TASKS = 2000
"""So many of the tasks that ended last are searched for what their errors said."""
MOST_ERRORS = 12
HEALTH_GROUPS = {"ready": "healthy", "busy": "healthy", "cooling": "cooling", "exhausted": "cooling"}


@router.get("/overview", summary="How it goes")
async def get_overview(
    at: AdminRequest, *, window: Annotated[Window, Query(alias="range")] = "24h"
) -> dict[str, Any]:
    panel, now = at.panel, time.time()
    found = await UsageOverview(panel.database).summarize(window, now=now)
    used = panel.storage.last_count()
    return {
        "range": window,
        "from": float(found.since),
        "to": now,
        **_series_object(found, now),
        "totals": _totals_object(found),
        "queue": await _queue_counts(panel),
        "models": [_model_object(each) for each in found.models],
        "spend": await _recent_spending(panel, now),
        "accounts": await _account_counts(panel, now),
        "storage": {
            "bytes": used.bytes if used else None,
            "files": used.files if used else None,
            "kind": panel.facts.health["storage"],
            "counted_at": used.counted_at if used else None,
        },
        "errors": await _error_groups(panel, found),
    }


def _series_object(found: OverviewSummary, now: float) -> dict[str, Any]:
    """One point a step, also where nothing happened."""
    step = 1 if HOURS[found.window] <= DAY else DAY
    known = {point.at: point for point in found.points}
    first = found.since // HOUR // step * step * HOUR
    moments = range(first, int(now) + 1, step * HOUR)
    points = [known.get(moment) or ChartPoint(moment, 0, 0, 0, Decimal(0)) for moment in moments]
    return {
        "step": step * HOUR,
        "series": {
            "at": [point.at for point in points],
            "completed": [point.completed for point in points],
            "failed": [point.failed for point in points],
            "cancelled": [point.cancelled for point in points],
            "cost": [plain_amount(point.cost) for point in points],
        },
    }


def _totals_object(found: OverviewSummary) -> dict[str, Any]:
    completed, cancelled = found.outcomes.get("completed", 0), found.outcomes.get("cancelled", 0)
    return {
        "tasks": found.tasks,
        "completed": completed,
        "failed": found.tasks - completed - cancelled,
        "cancelled": cancelled,
        "success_rate": _rounded_share(found.success_rate),
        "per_minute": round(found.tasks_per_minute, 3),
        "cost": plain_amount(found.cost),
    }


def _model_object(each: Any) -> dict[str, Any]:
    return {
        "model": each.model,
        "tasks": each.tasks,
        "completed": each.completed,
        "failed": each.tasks - each.completed,
        "success_rate": _rounded_share(each.success_rate),
        "p50_seconds": each.p50,
        "p95_seconds": each.p95,
        "cost": plain_amount(each.cost),
    }


def _rounded_share(rate: float | None) -> float | None:
    return None if rate is None else round(rate, 4)


async def _queue_counts(panel: PanelServices) -> dict[str, int]:
    counted = await panel.repository.open_counts()
    return {word: counted.get(word, 0) for word in ("queued", "submitting", "running", "storing", "slots")}


async def _recent_spending(panel: PanelServices, now: float) -> dict[str, str | None]:
    """What all keys spent, today and in the last thirty days (UTC)."""
    today = datetime.fromtimestamp(now, UTC)
    days = [f"{today - timedelta(days=back):%Y-%m-%d}" for back in range(30)]
    query = sa.select(spending.c.period, sa.func.sum(spending.c.spent)).where(spending.c.period.in_(days))
    async with panel.database.read() as connection:
        rows = await connection.execute(query.group_by(spending.c.period))
        spent: dict[str, Decimal] = {row[0]: row[1] for row in rows}
    return {
        "today": plain_amount(spent.get(days[0], Decimal(0))),
        "days_30": plain_amount(sum(spent.values(), Decimal(0))),
    }


async def _account_counts(panel: PanelServices, now: float) -> dict[str, int]:
    await panel.pool.current_statuses()
    found = [*panel.pool.cached_statuses(), *panel.pool.misconfigured()]
    counted = Counter(HEALTH_GROUPS.get(state_of(each, 0, now=now)[0], "disabled") for each in found)
    expired = sum(1 for each in found if state_of(each, 0, now=now)[0] == "expired")
    return {
        "healthy": counted["healthy"],
        "cooling": counted["cooling"],
        "disabled": counted["disabled"] - expired,
        "expired": expired,
        "total": len(found),
    }


async def _error_groups(panel: PanelServices, found: OverviewSummary) -> list[dict[str, Any]]:
    """Grouped by code and model, the most frequent first, with the last one of each where it is recent."""
    codes = [code for code in found.outcomes if code not in ("completed", "cancelled")]
    if not codes:
        return []
    counted = (
        sa.select(
            rollup.c.outcome,
            rollup.c.model,
            sa.func.sum(rollup.c.tasks).label("tasks"),
            sa.func.max(rollup.c.hour).label("hour"),
        )
        .where(rollup.c.hour >= found.since // HOUR, rollup.c.outcome.in_(codes))
        .group_by(rollup.c.outcome, rollup.c.model)
        .order_by(sa.func.sum(rollup.c.tasks).desc())
        .limit(MOST_ERRORS)
    )
    async with panel.database.read() as connection:
        groups = (await connection.execute(counted)).all()
    last = await _last_failures(panel)
    return [_error_object(group, last.get((group.outcome, group.model))) for group in groups]


async def _last_failures(panel: PanelServices) -> dict[tuple[str, str], Any]:
    columns = tasks.c.id, tasks.c.model, tasks.c.state, tasks.c.error_code, tasks.c.error_message
    recent = (
        sa.select(*columns, tasks.c.finished_at)
        .where(tasks.c.finished_at.is_not(None))
        .order_by(tasks.c.finished_at.desc())
        .limit(RECENT_TASKS)
        .subquery()
    )
    found: dict[tuple[str, str], Any] = {}
    async with panel.database.read() as connection:
        for row in await connection.execute(sa.select(recent).where(recent.c.state == "failed")):
            key = (row.error_code, row.model)
            if key not in found or found[key].finished_at < row.finished_at:
                found[key] = row
    return found


def _error_object(group: Any, last: Any) -> dict[str, Any]:
    return {
        "code": group.outcome,
        "model": group.model,
        "count": int(group.tasks),
        "last_at": last.finished_at if last else float(group.hour * HOUR),
        "message": mask_secrets(last.error_message) if last else None,
        "task_id": last.id if last else None,
    }
