"""`/admin/api/requests`: the log of requests."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Response
from fastapi.responses import StreamingResponse

from app.admin.access import AdminRequest, AdminRoute
from app.admin.bodies import ListAnswer, NamedItem, PanelAnswer
from app.admin.lists import MOST_EXPORTED, FoundPage, PageRequest, csv_response, find_page, span_conditions
from app.admin.panel import PanelServices
from app.admin.queries import FilterText, PageQuery, Since, Until
from app.admin.task_object import plain_amount
from app.admin.task_search import names_of
from app.db.tables import usage
from app.errors import InvalidRequest

router = APIRouter(route_class=AdminRoute)


class RequestObject(PanelAnswer):
    """A relayed call, or a task when it was settled. ``cost`` is what the key pays, ``vendor_cost`` what the vendor
    charges; None where that is not known."""

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
    vendor_cost: str | None
    films: int
    film_seconds: float


REQUEST_COLUMNS = tuple(RequestObject.model_fields)


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
            vendor_cost=plain_amount(row.vendor_cost),
            films=row.films or 0,
            film_seconds=(row.film_milliseconds or 0) / 1000,
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
