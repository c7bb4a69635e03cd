"""`/admin/api/usage` and `/requests`: usage summed by key, model, account or day, and the log of requests."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from app.admin.access import AdminRequest, AdminRoute
from app.admin.bodies import ListAnswer, NamedItem, PanelAnswer
from app.admin.lists import (
    MOST_EXPORTED,
    FilterText,
    FoundPage,
    PageQuery,
    PageRequest,
    Since,
    Until,
    csv_response,
    find_page,
    span_conditions,
)
from app.admin.panel import PanelServices
from app.admin.task_object import PLAYGROUND_KEY, plain_amount
from app.admin.task_search import names_of
from app.db.tables import usage
from app.errors import InvalidRequest
from app.usage.reports import UsageLine

router = APIRouter(route_class=AdminRoute)
UsageGroup = Literal["key", "model", "account", "day"]
MONTH_SECONDS = 30 * 86_400


class UsageFigures(PanelAnswer):
    """``cost`` in US dollars."""

    requests: int
    errors: int
    input_tokens: int
    output_tokens: int
    cost: str | None


class UsageRow(UsageFigures):
    """One group: ``group`` is the id that the rows are grouped by, ``name`` its name."""

    group: str
    name: str


class UsageAnswer(ListAnswer[UsageRow]):
    """``from`` and ``to`` bound the time, in UTC seconds."""

    total: UsageFigures
    since: float = Field(serialization_alias="from")
    until: float = Field(serialization_alias="to")


class RequestObject(PanelAnswer):
    """A relayed call, or a task when it was settled."""

    id: int
    at: float
    key: NamedItem
    account: NamedItem | None
    model: str
    path: str
    status: int
    input_tokens: int | None
    output_tokens: int | None
    milliseconds: float
    cost: str | None
    task_id: str | None
    request_id: str | None


USAGE_COLUMNS = ("group", "name", *UsageFigures.model_fields)
REQUEST_COLUMNS = tuple(RequestObject.model_fields)


@dataclass(frozen=True, slots=True)
class UsageSpan:
    """What is summed; by default the last thirty days."""

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


@router.get("/usage", summary="Sum usage by key, model, account or day")
async def get_usage(
    span: UsageSpanQuery, request: AdminRequest, *, group: UsageGroup = "model"
) -> UsageAnswer:
    lines = await _usage_lines(request.panel, span, group)
    total = UsageFigures(
        requests=sum(line.requests for line in lines),
        errors=sum(line.failed for line in lines),
        input_tokens=sum(line.input_tokens for line in lines),
        output_tokens=sum(line.output_tokens for line in lines),
        cost=plain_amount(sum((line.cost for line in lines), Decimal(0))),
    )
    rows = await _usage_rows(request.panel, lines, group)
    return UsageAnswer(data=rows, total=total, since=span.since, until=span.until)


@router.get("/usage.csv", summary="Export the sums as CSV", response_class=StreamingResponse)
async def export_usage(
    span: UsageSpanQuery, request: AdminRequest, *, group: UsageGroup = "model"
) -> Response:
    rows = await _usage_rows(request.panel, await _usage_lines(request.panel, span, group), group)

    async def single_batch() -> AsyncIterator[list[dict[str, Any]]]:
        yield [row.model_dump() for row in rows]

    return csv_response(single_batch(), USAGE_COLUMNS, name="usage.csv")


async def _usage_rows(panel: PanelServices, lines: list[UsageLine], group: UsageGroup) -> list[UsageRow]:
    ids = {_group_of(line, group) for line in lines}
    key_names, account_names = await names_of(
        panel.database, ids if group == "key" else set(), ids if group == "account" else set()
    )
    names = {"key": key_names | {PLAYGROUND_KEY: PLAYGROUND_KEY}, "account": account_names}.get(group, {})
    return [_usage_row(line, _group_of(line, group), names) for line in lines]


def _group_of(line: UsageLine, group: UsageGroup) -> str:
    return str(getattr(line, group) or "")


def _usage_row(line: UsageLine, group: str, names: dict[str, str]) -> UsageRow:
    return UsageRow(
        group=group,
        name=names.get(group, group),
        requests=line.requests,
        errors=line.failed,
        input_tokens=line.input_tokens,
        output_tokens=line.output_tokens,
        cost=plain_amount(line.cost),
    )


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
    """Filters of the request log. ``status``: a number, ``2xx`` to ``5xx``, or ``errors``."""

    key: FilterText = None
    model: FilterText = None
    account: FilterText = None
    path: FilterText = None
    status: FilterText = None
    request_id: FilterText = None
    since: Since = None
    until: Until = None

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """All filters but the time. Raises ``InvalidRequest``."""
        equal = {
            usage.c.key_id: self.key,
            usage.c.model: self.model,
            usage.c.account_id: self.account,
            usage.c.request_id: self.request_id,
        }
        conditions = [column == value for column, value in equal.items() if value]
        if self.path:
            conditions.append(usage.c.path.startswith(self.path, autoescape=True))
        return [*conditions, *_status_conditions(self.status)]


RequestFilterQuery = Annotated[RequestFilter, Depends()]


@router.get("/requests", summary="List requests")
async def list_requests(
    wanted: RequestFilterQuery, page: PageQuery, request: AdminRequest
) -> ListAnswer[RequestObject]:
    """Relayed calls, and tasks when they are settled; newest first."""
    result = await _request_page(request.panel, wanted, page)
    return ListAnswer(data=await _request_objects(request.panel, result.rows), next=result.next)


@router.get("/requests.csv", summary="Export the requests as CSV", response_class=StreamingResponse)
async def export_requests(wanted: RequestFilterQuery, request: AdminRequest) -> Response:
    """At most 100,000 rows, newest first."""
    wanted.conditions()  # an invalid filter is reported before the response begins

    async def request_batches() -> AsyncIterator[list[dict[str, Any]]]:
        page, sent = PageRequest(limit=1000), 0
        while sent < MOST_EXPORTED:
            result = await _request_page(request.panel, wanted, page)
            yield [_csv_row(row) for row in await _request_objects(request.panel, result.rows)]
            if result.next is None:
                return
            sent += len(result.rows)
            page = replace(page, after=result.next)

    return csv_response(request_batches(), REQUEST_COLUMNS, name="requests.csv")


async def _request_page(panel: PanelServices, wanted: RequestFilter, page: PageRequest) -> FoundPage:
    span = span_conditions(usage.c.at, since=wanted.since, until=wanted.until)
    async with panel.database.read() as connection:
        return await find_page(
            connection, sa.select(usage), page, by=usage.c.id, served=span, sifted=wanted.conditions()
        )


async def _request_objects(panel: PanelServices, rows: list[Any]) -> list[RequestObject]:
    key_names, account_names = await names_of(
        panel.database, {row.key_id for row in rows}, {row.account_id for row in rows}
    )
    return [
        RequestObject(
            id=row.id,
            at=row.at,
            key=NamedItem(id=row.key_id, name=key_names.get(row.key_id, row.key_id)),
            account=_named_account(row.account_id, account_names),
            model=row.model,
            path=row.path,
            status=row.status,
            input_tokens=row.input_tokens,
            output_tokens=row.output_tokens,
            milliseconds=round(row.milliseconds, 1),
            cost=plain_amount(row.cost),
            task_id=row.task_id,
            request_id=row.request_id or None,
        )
        for row in rows
    ]


def _named_account(account_id: str, names: dict[str, str]) -> NamedItem | None:
    return NamedItem(id=account_id, name=names.get(account_id, account_id)) if account_id else None


def _csv_row(row: RequestObject) -> dict[str, Any]:
    return row.model_dump() | {
        "key": row.key.name,
        "account": row.account.name if row.account else None,
    }


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
