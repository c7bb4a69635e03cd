"""`/admin/api/usage`: films, seconds, tokens, calls and money by key, model, account, provider or day of any zone."""

import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from app.admin.access import AdminRequest, AdminRoute
from app.admin.bodies import ListAnswer, PanelAnswer
from app.admin.lists import csv_response
from app.admin.panel import PanelServices
from app.admin.queries import FilterText
from app.admin.task_object import PLAYGROUND_KEY, plain_amount
from app.admin.task_search import names_of
from app.db.tables import accounts
from app.errors import InvalidRequest
from app.usage.reports import UsageGroup, UsageLine, UsageSpan, is_exact, read_moment, sum_lines
from app.usage.sums import DAY_SECONDS
from app.usage.zones import UTC_ZONE, day_at, read_zone, start_of_day

router = APIRouter(route_class=AdminRoute)
ReportGroup = Literal["model", "key", "account", "provider", "day"]
ReportSort = Literal[
    "name", "requests", "errors", "films", "film_seconds", "tokens", "cost", "vendor_cost", "margin"
]
MOST_DAYS = 400
DEFAULT_DAYS = 30
MOST_BANDS = 7
"""So many groups have a band of their own in the chart; all others share one."""


class UsageFigures(PanelAnswer):
    """Money in US dollars: ``cost`` is what keys pay; ``vendor_cost`` what vendors charge, null when
    nothing of it is known. Of ``unknown_costs`` calls it is not, and then there is no ``margin``."""

    requests: int
    errors: int
    films: int
    film_seconds: float
    input_tokens: int
    output_tokens: int
    cost: str | None
    vendor_cost: str | None
    unknown_costs: int
    margin: str | None


class UsageRow(UsageFigures):
    """One group: ``group`` is the id that the rows are grouped by, ``name`` its name."""

    group: str
    name: str


class UsageBand(PanelAnswer):
    """A value for each day; ``group`` is empty for all others together."""

    group: str
    name: str
    cost: list[str | None]
    films: list[int]
    film_seconds: list[float]
    requests: list[int]


class UsageAnswer(ListAnswer[UsageRow]):
    """``from`` and ``to`` bound the time, in UTC seconds. ``days`` are those of ``zone``, which is UTC where a key and an
    account are asked for together. ``count`` groups match, of which ``data`` are a page."""

    total: UsageFigures
    count: int
    since: float = Field(serialization_alias="from")
    until: float = Field(serialization_alias="to")
    zone: str
    days: list[str]
    bands: list[UsageBand]


USAGE_COLUMNS = ("group", "name", *UsageFigures.model_fields)


@dataclass(frozen=True, slots=True)
class ReportQuery:
    """What is summed, and by what; by default the last thirty days."""

    span: UsageSpan
    group: ReportGroup
    providers: Mapping[str, Sequence[str]]
    """The ids of the accounts of each provider."""

    @property
    def stored_group(self) -> UsageGroup:
        return "account" if self.group == "provider" else self.group

    @property
    def banded(self) -> UsageSpan:
        return replace(self.span, bands=self.providers) if self.group == "provider" else self.span


async def read_report(
    request: AdminRequest,
    *,
    group: ReportGroup = "model",
    since: Annotated[str | None, Query(alias="from", max_length=40)] = None,
    until: Annotated[str | None, Query(alias="to", max_length=40)] = None,
    zone: Annotated[str, Query(max_length=64)] = "",
    key: FilterText = None,
    model: FilterText = None,
    account: FilterText = None,
    provider: FilterText = None,
) -> ReportQuery:
    """`from` and `to` are days of the zone, or UTC seconds; the day `to` is included."""
    found = read_zone(zone)
    end = read_moment(until, param="to", end=True, zone=found) if until else _tomorrow(found)
    begin = (
        read_moment(since, param="from", zone=found)
        if since
        else start_of_day(day_at(end - 1, found) - timedelta(days=DEFAULT_DAYS - 1), found)
    )
    if not begin < end <= begin + MOST_DAYS * DAY_SECONDS:
        raise InvalidRequest(f"from must lie before to, by at most {MOST_DAYS} days", param="from")
    providers = await _accounts_by_provider(request.panel) if provider or group == "provider" else {}
    ids = [account] if account else list(providers.get(provider, ())) if provider else None
    span = UsageSpan(begin, end, found, key or None, model or None, ids)
    stored: UsageGroup = "account" if group == "provider" else group
    return ReportQuery(span if is_exact((stored,), span) else replace(span, zone=UTC_ZONE), group, providers)


ReportQueryParameter = Annotated[ReportQuery, Depends(read_report)]


@router.get("/usage", summary="Sum usage by key, model, account, provider or day")
async def get_usage(
    report: ReportQueryParameter,
    request: AdminRequest,
    *,
    sort: ReportSort | None = None,
    descending: bool = False,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 10_000,
    after: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> UsageAnswer:
    """Days are those of `zone`, an IANA name like Asia/Shanghai. Without `sort` the dearest come first, and days in their
    order."""
    lines = await _report_lines(request.panel, report)
    rows = await _report_rows(request.panel, report, lines)
    if sort is not None:
        rows.sort(key=_sort_key(sort), reverse=descending)
    days = _days_of(report.span)
    end = after + limit
    return UsageAnswer(
        data=rows[after:end],
        next=str(end) if end < len(rows) else None,
        count=len(rows),
        total=_total_of(rows),
        since=report.span.since,
        until=report.span.until,
        zone=report.span.zone.key,
        days=days,
        bands=_report_bands(report, rows=rows, lines=lines, days=days),
    )


@router.get("/usage.csv", summary="Export the sums as CSV", response_class=StreamingResponse)
async def export_usage(report: ReportQueryParameter, request: AdminRequest) -> Response:
    rows = await _report_rows(request.panel, report, await _report_lines(request.panel, report))

    async def single_batch() -> AsyncIterator[list[dict[str, Any]]]:
        yield [row.model_dump() for row in rows]

    return csv_response(single_batch(), USAGE_COLUMNS, name="usage.csv")


def _tomorrow(zone: Any) -> float:
    return start_of_day(day_at(time.time(), zone) + timedelta(days=1), zone)


def _days_of(span: UsageSpan) -> list[str]:
    first, last = day_at(span.since, span.zone), day_at(span.until - 1, span.zone)
    return [(first + timedelta(days=number)).isoformat() for number in range((last - first).days + 1)]


async def _accounts_by_provider(panel: PanelServices) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    async with panel.database.read() as connection:
        for row in await connection.execute(sa.select(accounts.c.provider, accounts.c.id)):
            found.setdefault(row.provider, []).append(row.id)
    return dict(sorted(found.items()))


# ---- the table ----------------------------------------------------------------------------------


async def _report_lines(panel: PanelServices, report: ReportQuery) -> list[UsageLine]:
    """By group and day: one reading for the table and the chart."""
    groups: tuple[UsageGroup, ...] = ("day",) if report.group == "day" else (report.stored_group, "day")
    return await panel.gateway.reports.usage_lines(groups, report.banded)


async def _report_rows(
    panel: PanelServices, report: ReportQuery, lines: Iterable[UsageLine]
) -> list[UsageRow]:
    """The dearest first; days in their order."""
    groups: dict[str, list[UsageLine]] = {}
    for line in lines:
        groups.setdefault(_group_of(line, report.stored_group), []).append(line)
    names = await _names_of_groups(panel, report, set(groups))
    rows = [
        UsageRow(group=group, name=names.get(group, group), **usage_figures(sum_lines(found)))
        for group, found in groups.items()
    ]
    if report.group == "day":
        return sorted(rows, key=lambda row: row.group)
    return sorted(rows, key=lambda row: (-Decimal(row.cost or 0), -row.requests, row.name))


async def _names_of_groups(panel: PanelServices, report: ReportQuery, ids: set[str]) -> dict[str, str]:
    of_keys, of_accounts = (ids if report.group == group else set() for group in ("key", "account"))
    key_names, account_names = await names_of(panel.database, of_keys, of_accounts)
    return {PLAYGROUND_KEY: PLAYGROUND_KEY} | key_names if report.group == "key" else account_names


def _group_of(line: UsageLine, group: UsageGroup) -> str:
    return str(getattr(line, group) or "")


def usage_figures(line: UsageLine) -> dict[str, Any]:
    """The fields of ``UsageFigures``."""
    return {
        "requests": line.requests,
        "errors": line.failed,
        "films": line.films,
        "film_seconds": line.film_seconds,
        "input_tokens": line.input_tokens,
        "output_tokens": line.output_tokens,
        "cost": plain_amount(line.cost),
        "vendor_cost": plain_amount(line.known_vendor_cost),
        "unknown_costs": line.unknown_costs,
        "margin": plain_amount(line.margin),
    }


def _total_of(rows: list[UsageRow]) -> UsageFigures:
    unknown = sum(row.unknown_costs for row in rows)
    cost, known = (
        sum((Decimal(getattr(row, name) or 0) for row in rows), Decimal(0))
        for name in ("cost", "vendor_cost")
    )
    counts = ("requests", "errors", "films", "film_seconds", "input_tokens", "output_tokens")
    return UsageFigures(
        **{name: sum(getattr(row, name) for row in rows) for name in counts},
        cost=plain_amount(cost),
        vendor_cost=None if unknown and not known else plain_amount(known),
        unknown_costs=unknown,
        margin=None if unknown else plain_amount(cost - known),
    )


def _sort_key(sort: ReportSort) -> Callable[[UsageRow], Any]:
    """What is not known comes before everything that is."""
    if sort == "name":
        return lambda row: row.name.lower()
    if sort == "tokens":
        return lambda row: row.input_tokens + row.output_tokens
    if sort in ("cost", "vendor_cost", "margin"):
        return lambda row: Decimal(getattr(row, sort) or -(10**12))
    return lambda row: getattr(row, sort)


# ---- the chart ----------------------------------------------------------------------------------


def _report_bands(
    report: ReportQuery, *, rows: list[UsageRow], lines: Iterable[UsageLine], days: list[str]
) -> list[UsageBand]:
    """The dearest groups by day, and all others together; by day alone, one band of everything."""
    top = [] if report.group == "day" else sorted(rows, key=_weight, reverse=True)[:MOST_BANDS]
    names = {row.group: row.name for row in top}
    cells: dict[tuple[str, str], list[UsageLine]] = {}
    for line in lines:
        group = _group_of(line, report.stored_group)
        cells.setdefault((group if group in names else "", line.day or ""), []).append(line)
    found = {band for band, _ in cells}
    order = [group for group in names if group in found] + ([""] if "" in found - names.keys() else [])
    return [
        _usage_band(group, names.get(group, ""), [sum_lines(cells.get((group, day), ())) for day in days])
        for group in order
    ]


def _weight(row: UsageRow) -> tuple[Any, ...]:
    return Decimal(row.cost or 0), row.films, row.requests


def _usage_band(group: str, name: str, found: list[UsageLine]) -> UsageBand:
    return UsageBand(
        group=group,
        name=name,
        cost=[plain_amount(line.cost) for line in found],
        films=[line.films for line in found],
        film_seconds=[line.film_seconds for line in found],
        requests=[line.requests for line in found],
    )
