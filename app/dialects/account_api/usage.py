"""`/v1/usage`: what a key has used, and what is left of its budgets."""

import time
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from app.db.tables import format_money
from app.dialects.http.callers import CallerKey, Services
from app.dialects.openapi.operations import operation_schema
from app.errors import InvalidRequest
from app.usage.reports import BudgetLine, UsageGroup, UsageLine, UsageSpan, as_csv, read_groups, read_moment
from app.usage.sums import DAY_SECONDS
from app.usage.zones import read_zone

router = APIRouter(prefix="/v1/usage", tags=["Usage"])
DEFAULT_DAYS = 30
LONGEST_DAYS = 366
DOWNLOAD = {"content-disposition": 'attachment; filename="usage.csv"', "cache-control": "no-store"}
ALLOWED: tuple[UsageGroup, ...] = ("model", "day")
DESCRIBED = operation_schema(answer="Usage", query=("from", "to", "zone", "group_by", "model", "format"))
DESCRIBED["responses"]["200"]["content"]["text/csv"] = {"schema": {"type": "string"}}


@router.get("", summary="What this key has used", openapi_extra=DESCRIBED)
async def get_usage(request: Request, key: CallerKey, services: Services) -> Response:
    """Grouped by day and model; `group_by` chooses either or both (`day`, `model`). Covers the last 30 days, or `from` to
    `to` (a day like 2026-11-21, or UTC seconds). Days are those of `zone`, like Asia/Shanghai, or of UTC. Money is in
    US dollars, as text. `format=csv` returns only the lines, as a table for spreadsheets."""
    query = services.read_query(request)
    now, zone = time.time(), read_zone(query.text("zone"))
    until = read_moment(query.text("to") or str(now + 1), param="to", end=True, zone=zone)
    since = read_moment(
        query.text("from") or str(until - DEFAULT_DAYS * DAY_SECONDS), param="from", zone=zone
    )
    if not since < until <= since + LONGEST_DAYS * DAY_SECONDS:
        raise InvalidRequest(f"from must lie before to, by at most {LONGEST_DAYS} days", param="from")
    output_format = query.text("format") or "json"
    if output_format not in ("json", "csv"):
        raise InvalidRequest("format must be json or csv", param="format")
    group_by = query.text("group_by")
    groups = read_groups(group_by.split(",") if group_by else ("day", "model"), allowed=ALLOWED)
    span = UsageSpan(since, until, zone, key.id, query.text("model") or None)
    lines = await services.reports.usage_lines(groups, span)
    if output_format == "csv":
        return Response(as_csv(lines, groups), media_type="text/csv", headers=DOWNLOAD)
    [total] = await services.reports.usage_lines((), span)
    return JSONResponse(
        {
            "object": "usage",
            "from": int(since),
            "to": int(until),
            "zone": zone.key,
            "data": [_usage_object(line, groups) for line in lines],
            "total": _usage_object(total, ()),
            "budgets": [budget_object(line) for line in await services.reports.budget_lines(key, now=now)],
        }
    )


def _usage_object(line: UsageLine, groups: tuple[UsageGroup, ...]) -> dict[str, Any]:
    return {name: getattr(line, name) for name in reversed(groups)} | {
        "requests": line.requests,
        "failed": line.failed,
        "films": line.films,
        "film_seconds": line.film_seconds,
        "input_tokens": line.input_tokens,
        "output_tokens": line.output_tokens,
        "cost": format_money(line.cost),
    }


def budget_object(line: BudgetLine) -> dict[str, str]:
    return {
        "period": line.period,
        "budget": format_money(line.budget),
        "reserved": format_money(line.reserved),
        "spent": format_money(line.spent),
        "left": format_money(line.left),
    }
