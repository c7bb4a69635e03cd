"""`/v1/usage`: what a key has used, and what is left of its budgets."""

import time
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from app.db.tables import format_money
from app.dialects.http.gateway import CallerKey, Services
from app.dialects.openapi.operations import operation_schema
from app.errors import InvalidRequest
from app.usage.recorder import DAY_SECONDS
from app.usage.reports import BudgetLine, UsageGroup, UsageLine, as_csv, read_groups, read_moment

router = APIRouter(prefix="/v1/usage", tags=["Usage"])
DEFAULT_DAYS = 30
LONGEST_DAYS = 366
DOWNLOAD = {"content-disposition": 'attachment; filename="usage.csv"', "cache-control": "no-store"}
ALLOWED: tuple[UsageGroup, ...] = ("model", "day")
DESCRIBED = operation_schema(answer="Usage", query=("from", "to", "group_by", "model", "format"))
DESCRIBED["responses"]["200"]["content"]["text/csv"] = {"schema": {"type": "string"}}


@router.get("", summary="What this key has used", openapi_extra=DESCRIBED)
async def get_usage(request: Request, key: CallerKey, services: Services) -> Response:
    """Grouped by day and model; `group_by` chooses either or both (`day`, `model`). Covers the last 30 days, or `from` to
    `to` (a day like 2026-11-21, or UTC seconds). Money is in US dollars, as text. `format=csv` returns only the
    lines, as a table for spreadsheets."""
    query = services.read_query(request)
    now = time.time()
    until = read_moment(query.text("to") or str(now + 1), param="to", end=True)
    since = read_moment(query.text("from") or str(until - DEFAULT_DAYS * DAY_SECONDS), param="from")
    if not since < until <= since + LONGEST_DAYS * DAY_SECONDS:
        raise InvalidRequest(f"from must lie before to, by at most {LONGEST_DAYS} days", param="from")
    output_format = query.text("format") or "json"
    if output_format not in ("json", "csv"):
        raise InvalidRequest("format must be json or csv", param="format")
    group_by = query.text("group_by")
    groups = read_groups(group_by.split(",") if group_by else ("day", "model"), allowed=ALLOWED)
    model = query.text("model") or None
    lines = await services.reports.usage_lines(groups, since=since, until=until, key_id=key.id, model=model)
    if output_format == "csv":
        return Response(as_csv(lines, groups), media_type="text/csv", headers=DOWNLOAD)
    [total] = await services.reports.usage_lines((), since=since, until=until, key_id=key.id, model=model)
    return JSONResponse(
        {
            "object": "usage",
            "from": int(since),
            "to": int(until),
            "data": [_usage_object(line, groups) for line in lines],
            "total": _usage_object(total, ()),
            "budgets": [_budget_object(line) for line in await services.reports.budget_lines(key, now=now)],
        }
    )


def _usage_object(line: UsageLine, groups: tuple[UsageGroup, ...]) -> dict[str, Any]:
    return {name: getattr(line, name) for name in reversed(groups)} | {
        "requests": line.requests,
        "failed": line.failed,
        "input_tokens": line.input_tokens,
        "output_tokens": line.output_tokens,
        "cost": format_money(line.cost),
    }


def _budget_object(line: BudgetLine) -> dict[str, str]:
    return {
        "period": line.period,
        "budget": format_money(line.budget),
        "reserved": format_money(line.reserved),
        "spent": format_money(line.spent),
        "left": format_money(line.left),
    }
