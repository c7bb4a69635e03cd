"""`/admin/api/usage` and `/requests`: what was used, grouped or row by row, also as CSV."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import StreamingResponse

from app.admin.access import At, OwnerRoute
from app.admin.paging import Found, Page, Paged, Since, Until, find, whole, within
from app.admin.panel import Panel
from app.admin.sheets import sheet
from app.admin.task_object import OWN_KEY, money
from app.admin.task_search import names_of
from app.db.tables import usage
from app.errors import InvalidRequest
from app.usage.reports import UsageLine

router = APIRouter(route_class=OwnerRoute)
Word = Annotated[str | None, Query(max_length=200)]
Group = Literal["key", "model", "account", "day"]
MONTH_SECONDS = 30 * 86_400
MOST_EXPORTED = 100_000
FIGURES = ("requests", "errors", "input_tokens", "output_tokens", "cost")
COLUMNS = (
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
class Span:
    """Of usage; without a beginning the last thirty days."""

    since: float
    until: float
    key: str | None
    model: str | None
    account: str | None


async def read_span(
    *, since: Since = None, until: Until = None, key: Word = None, model: Word = None, account: Word = None
) -> Span:
    end = time.time() if until is None else until
    return Span(
        end - MONTH_SECONDS if since is None else since, end, key or None, model or None, account or None
    )


Spanned = Annotated[Span, Depends(read_span)]


@router.get("/usage", summary="Usage by key, model, account or day")
async def get_usage(span: Spanned, at: At, *, group: Group = "model") -> dict[str, Any]:
    lines = await _lines(at.panel, span, group)
    total: dict[str, Any] = {
        "requests": sum(line.requests for line in lines),
        "errors": sum(line.failed for line in lines),
        "input_tokens": sum(line.input_tokens for line in lines),
        "output_tokens": sum(line.output_tokens for line in lines),
        "cost": money(sum((line.cost for line in lines), Decimal(0))),
    }
    rows = await _named(at.panel, lines, group)
    return whole(rows) | {"total": total, "from": span.since, "to": span.until}


@router.get("/usage.csv", summary="The same as CSV", response_class=StreamingResponse)
async def export_usage(span: Spanned, at: At, *, group: Group = "model") -> Response:
    rows = await _named(at.panel, await _lines(at.panel, span, group), group)

    async def once() -> AsyncIterator[list[dict[str, Any]]]:
        yield rows

    return sheet(once(), ("group", "name", *FIGURES), name="usage.csv")


async def _named(panel: Panel, lines: list[UsageLine], group: Group) -> list[dict[str, Any]]:
    ids = {str(getattr(line, group) or "") for line in lines}
    key_names, account_names = await names_of(
        panel.database, ids if group == "key" else set(), ids if group == "account" else set()
    )
    names = {"key": key_names | {OWN_KEY: OWN_KEY}, "account": account_names}.get(group, {})
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
                "cost": money(line.cost),
            }
        )
    return rows


async def _lines(panel: Panel, span: Span, group: Group) -> list[UsageLine]:
    return await panel.gateway.reports.usage(
        (group,),
        since=span.since,
        until=span.until,
        key_id=span.key,
        model=span.model,
        account_id=span.account,
    )


@dataclass(frozen=True, slots=True)
class Wanted:
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
        return [*found, *_status(self.status)]


async def read_wanted(
    *,
    key: Word = None,
    model: Word = None,
    account: Word = None,
    path: Word = None,
    status: Word = None,
    since: Since = None,
    until: Until = None,
) -> Wanted:
    return Wanted(key, model, account, path, status, since, until)


Narrowed = Annotated[Wanted, Depends(read_wanted)]


@router.get("/requests", summary="The log of requests")
async def list_requests(wanted: Narrowed, page: Paged, at: At) -> dict[str, Any]:
    """Newest first: relayed calls, and tasks when they are settled."""
    found = await _requests(at.panel, wanted, page)
    return found.shown(await _shown(at.panel, found.rows))


@router.get("/requests.csv", summary="The same as CSV", response_class=StreamingResponse)
async def export_requests(wanted: Narrowed, at: At) -> Response:
    wanted.conditions()  # a wrong filter is told before the answer begins

    async def batches() -> AsyncIterator[list[dict[str, Any]]]:
        page, sent = Page(limit=1000), 0
        while sent < MOST_EXPORTED:
            found = await _requests(at.panel, wanted, page)
            yield [
                row | {"key": row["key"]["name"], "account": (row["account"] or {}).get("name")}
                for row in await _shown(at.panel, found.rows)
            ]
            if found.next is None:
                return
            sent += len(found.rows)
            page = replace(page, after=found.next)

    return sheet(batches(), COLUMNS, name="requests.csv")


async def _requests(panel: Panel, wanted: Wanted, page: Page) -> Found:
    span = within(usage.c.at, since=wanted.since, until=wanted.until)
    async with panel.database.read() as connection:
        return await find(
            connection, sa.select(usage), page, by=usage.c.id, served=span, sifted=wanted.conditions()
        )


async def _shown(panel: Panel, rows: list[Any]) -> list[dict[str, Any]]:
    key_names, account_names = await names_of(
        panel.database, {row.key_id for row in rows}, {row.account_id for row in rows}
    )
    return [
        {
            "id": row.id,
            "at": row.at,
            "key": {"id": row.key_id, "name": key_names.get(row.key_id, row.key_id)},
            "account": _account(row.account_id, account_names),
            "model": row.model,
            "path": row.path,
            "status": row.status,
            "input_tokens": row.input_tokens,
            "output_tokens": row.output_tokens,
            "milliseconds": round(row.milliseconds, 1),
            "cost": money(row.cost),
            "task_id": row.task_id,
        }
        for row in rows
    ]


def _account(account_id: str, names: dict[str, str]) -> dict[str, str] | None:
    return {"id": account_id, "name": names.get(account_id, account_id)} if account_id else None


def _status(word: str | None) -> list[sa.ColumnElement[bool]]:
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
