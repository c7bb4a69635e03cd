"""`/admin/api/usage` and `/requests`: what was used, grouped or row by row, also as CSV."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import StreamingResponse

from app.admin.access import AdminRequest, OwnerRoute
from app.admin.paging import (
    FoundPage,
    PageQuery,
    PageRequest,
    Since,
    Until,
    find_page,
    span_conditions,
    whole_list,
)
from app.admin.panel import PanelServices
from app.admin.sheets import csv_response
from app.admin.task_object import PLAYGROUND_KEY, plain_amount
from app.admin.task_search import names_of
from app.db.tables import usage
from app.errors import InvalidRequest
from app.usage.reports import UsageLine

router = APIRouter(route_class=OwnerRoute)
FilterText = Annotated[str | None, Query(max_length=200)]
UsageGroup = Literal["key", "model", "account", "day"]
MONTH_SECONDS = 30 * 86_400
MOST_EXPORTED = 100_000
FIGURES = ("requests", "errors", "input_tokens", "output_tokens", "cost")
CSV_COLUMNS = (
    "id",
    "at",
    "key",
    "account",
    "model",
    "path",
    "status",
    "input_tokens",
    "output_tokens",
    "milliseconds",
    "cost",
    "task_id",
)


@dataclass(frozen=True, slots=True)
class UsageSpan:
    """Of usage; without a beginning the last thirty days."""

    since: float
    until: float
    key: str | None
    model: str | None
    account: str | None


async def read_span(
    *,
    since: Since = None,
    until: Until = None,
    key: FilterText = None,
    model: FilterText = None,
    account: FilterText = None,
) -> UsageSpan:
    end = time.time() if until is None else until
    return UsageSpan(
        end - MONTH_SECONDS if since is None else since, end, key or None, model or None, account or None
    )


UsageSpanQuery = Annotated[UsageSpan, Depends(read_span)]


@router.get("/usage", summary="Usage by key, model, account or day")
async def get_usage(span: UsageSpanQuery, at: AdminRequest, *, group: UsageGroup = "model") -> dict[str, Any]:
    lines = await _usage_lines(at.panel, span, group)
    total: dict[str, Any] = {
        "requests": sum(line.requests for line in lines),
        "errors": sum(line.failed for line in lines),
        "input_tokens": sum(line.input_tokens for line in lines),
        "output_tokens": sum(line.output_tokens for line in lines),
        "cost": plain_amount(sum((line.cost for line in lines), Decimal(0))),
    }
    rows = await _usage_rows(at.panel, lines, group)
    return whole_list(rows) | {"total": total, "from": span.since, "to": span.until}


@router.get("/usage.csv", summary="The same as CSV", response_class=StreamingResponse)
async def export_usage(span: UsageSpanQuery, at: AdminRequest, *, group: UsageGroup = "model") -> Response:
    rows = await _usage_rows(at.panel, await _usage_lines(at.panel, span, group), group)

    async def single_batch() -> AsyncIterator[list[dict[str, Any]]]:
        yield rows

    return csv_response(single_batch(), ("group", "name", *FIGURES), name="usage.csv")


async def _usage_rows(
    panel: PanelServices, lines: list[UsageLine], group: UsageGroup
) -> list[dict[str, Any]]:
    ids = {str(getattr(line, group) or "") for line in lines}
    key_names, account_names = await names_of(
        panel.database, ids if group == "key" else set(), ids if group == "account" else set()
    )
    names = {"key": key_names | {PLAYGROUND_KEY: PLAYGROUND_KEY}, "account": account_names}.get(group, {})
    rows = []
    for line in lines:
        word = str(getattr(line, group) or "")
        rows.append(
            {
                "group": word,
                "name": names.get(word, word),
                "requests": line.requests,
                "errors": line.failed,
                "input_tokens": line.input_tokens,
                "output_tokens": line.output_tokens,
                "cost": plain_amount(line.cost),
            }
        )
    return rows


async def _usage_lines(panel: PanelServices, span: UsageSpan, group: UsageGroup) -> list[UsageLine]:
    return await panel.gateway.reports.usage_lines(
        (group,),
        since=span.since,
        until=span.until,
        key_id=span.key,
        model=span.model,
        account_id=span.account,
    )


@dataclass(frozen=True, slots=True)
class RequestFilter:
    """Narrows the request log. ``status``: a number, ``4xx``, ``5xx`` or ``errors``."""

    key: str | None
    model: str | None
    account: str | None
    path: str | None
    status: str | None
    since: float | None
    until: float | None

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """All but the span. Raises ``InvalidRequest``."""
        named = {usage.c.key_id: self.key, usage.c.model: self.model, usage.c.account_id: self.account}
        found = [column == value for column, value in named.items() if value]
        if self.path:
            found.append(usage.c.path.startswith(self.path, autoescape=True))
        return [*found, *_status_conditions(self.status)]


async def read_request_filter(
    *,
    key: FilterText = None,
    model: FilterText = None,
    account: FilterText = None,
    path: FilterText = None,
    status: FilterText = None,
    since: Since = None,
    until: Until = None,
) -> RequestFilter:
    return RequestFilter(key, model, account, path, status, since, until)


RequestFilterQuery = Annotated[RequestFilter, Depends(read_request_filter)]


@router.get("/requests", summary="The log of requests")
async def list_requests(wanted: RequestFilterQuery, page: PageQuery, at: AdminRequest) -> dict[str, Any]:
    """Newest first: relayed calls, and tasks when they are settled."""
    found = await _request_page(at.panel, wanted, page)
    return found.as_answer(await _request_objects(at.panel, found.rows))


@router.get("/requests.csv", summary="The same as CSV", response_class=StreamingResponse)
async def export_requests(wanted: RequestFilterQuery, at: AdminRequest) -> Response:
    wanted.conditions()  # a wrong filter is told before the answer begins

    async def request_batches() -> AsyncIterator[list[dict[str, Any]]]:
        page, sent = PageRequest(limit=1000), 0
        while sent < MOST_EXPORTED:
            found = await _request_page(at.panel, wanted, page)
            yield [
                row | {"key": row["key"]["name"], "account": (row["account"] or {}).get("name")}
                for row in await _request_objects(at.panel, found.rows)
            ]
            if found.next is None:
                return
            sent += len(found.rows)
            page = replace(page, after=found.next)

    return csv_response(request_batches(), CSV_COLUMNS, name="requests.csv")


async def _request_page(panel: PanelServices, wanted: RequestFilter, page: PageRequest) -> FoundPage:
    span = span_conditions(usage.c.at, since=wanted.since, until=wanted.until)
    async with panel.database.read() as connection:
        return await find_page(
            connection, sa.select(usage), page, by=usage.c.id, served=span, sifted=wanted.conditions()
        )


async def _request_objects(panel: PanelServices, rows: list[Any]) -> list[dict[str, Any]]:
    key_names, account_names = await names_of(
        panel.database, {row.key_id for row in rows}, {row.account_id for row in rows}
    )
    return [
        {
            "id": row.id,
            "at": row.at,
            "key": {"id": row.key_id, "name": key_names.get(row.key_id, row.key_id)},
            "account": _named_account(row.account_id, account_names),
            "model": row.model,
            "path": row.path,
            "status": row.status,
            "input_tokens": row.input_tokens,
            "output_tokens": row.output_tokens,
            "milliseconds": round(row.milliseconds, 1),
            "cost": plain_amount(row.cost),
            "task_id": row.task_id,
        }
        for row in rows
    ]


def _named_account(account_id: str, names: dict[str, str]) -> dict[str, str] | None:
    return {"id": account_id, "name": names.get(account_id, account_id)} if account_id else None


def _status_conditions(word: str | None) -> list[sa.ColumnElement[bool]]:
    """Raises ``InvalidRequest``."""
    if not word:
        return []
    if word == "errors":
        return [usage.c.status >= 400]
    if word in ("2xx", "3xx", "4xx", "5xx"):
        low = int(word[0]) * 100
        return [usage.c.status >= low, usage.c.status < low + 100]
    if word.isascii() and word.isdigit() and len(word) == 3:
        return [usage.c.status == int(word)]
    raise InvalidRequest("status must be like 200, 4xx, 5xx or errors", param="status")
