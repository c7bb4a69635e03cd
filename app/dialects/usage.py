"""`/v1/usage`: what a key has used and what is left of its budgets, for who holds it."""

import time
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from app.db.money import shown
from app.dialects.body import Body
from app.dialects.gateway import Caller, Services
from app.dialects.reference import operation
from app.errors import InvalidRequest
from app.usage.days import DAY
from app.usage.reports import BudgetLine, Group, UsageLine, as_csv, moment, read_groups

router = APIRouter(prefix="/v1/usage", tags=["Usage"])
DEFAULT_DAYS = 30
LONGEST_DAYS = 366
DOWNLOAD = {"content-disposition": 'attachment; filename="usage.csv"', "cache-control": "no-store"}
ALLOWED: tuple[Group, ...] = ("model", "day")
DESCRIBED = operation(answer="Usage", query=("from", "to", "group_by", "model", "format"))
DESCRIBED["responses"]["200"]["content"]["text/csv"] = {"schema": {"type": "string"}}


@router.get("", summary="What this key has used", openapi_extra=DESCRIBED)
async def get_usage(request: Request, key: Caller, services: Services) -> Response:
    """By day and model unless `group_by` says otherwise (`day`, `model`); the last 30 days unless `from` and
    `to` (a day like 2026-11-21, or UTC seconds) do. Money is in US dollars, as text. `format=csv` answers
    with the lines alone, as a table for spreadsheets."""
    query = Body(dict(request.query_params), limits=services.limits)
    now = time.time()
    until = moment(query.text("to") or str(now + 1), param="to", end=True)
    since = moment(query.text("from") or str(until - DEFAULT_DAYS * DAY), param="from")
    if not since < until <= since + LONGEST_DAYS * DAY:
        raise InvalidRequest(f"from must lie before to, by at most {LONGEST_DAYS} days", param="from")
    wanted = query.text("format") or "json"
    if wanted not in ("json", "csv"):
        raise InvalidRequest("format must be json or csv", param="format")
    asked = query.text("group_by")
    groups = read_groups(asked.split(",") if asked else ("day", "model"), allowed=ALLOWED)
    model = query.text("model") or None
    lines = await services.reports.usage(groups, since=since, until=until, key_id=key.id, model=model)
    if wanted == "csv":
        return Response(as_csv(lines, groups), media_type="text/csv", headers=DOWNLOAD)
    [total] = await services.reports.usage((), since=since, until=until, key_id=key.id, model=model)
    return JSONResponse(
        {
            "object": "usage",
            "from": int(since),
            "to": int(until),
            "data": [_line(line, groups) for line in lines],
            "total": _line(total, ()),
            "budgets": [_budget(line) for line in await services.reports.budgets(key, now=now)],
        }
    )


def _line(line: UsageLine, groups: tuple[Group, ...]) -> dict[str, Any]:
    return {name: getattr(line, name) for name in reversed(groups)} | {
        "requests": line.requests,
        "failed": line.failed,
        "input_tokens": line.input_tokens,
        "output_tokens": line.output_tokens,
        "cost": shown(line.cost),
    }


def _budget(line: BudgetLine) -> dict[str, str]:
    return {
        "period": line.period,
        "budget": shown(line.budget),
        "reserved": shown(line.reserved),
        "spent": shown(line.spent),
        "left": shown(line.left),
    }
