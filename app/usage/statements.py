"""The statement of a key: what it bought in some days, model by model, and what that left of its total budget."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Protocol

from app.errors import InvalidRequest
from app.usage.ledger import BudgetHolder
from app.usage.reports import UsageLine, UsageReports, UsageSpan, read_moment, sum_lines
from app.usage.sums import DAY_SECONDS
from app.usage.zones import day_at, read_zone, start_of_day

MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
MOST_DAYS = 400


class StatementHolder(BudgetHolder, Protocol):
    """A key, as its statement names it."""

    @property
    def name(self) -> str: ...
    @property
    def project(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class BudgetChange:
    """A total budget, and what of it was spent before the statement's first day and after its last; US dollars."""

    budget: Decimal
    opening: Decimal
    closing: Decimal


@dataclass(frozen=True, slots=True)
class KeyStatement:
    """Lines by model, the dearest first."""

    key: StatementHolder
    span: UsageSpan
    lines: list[UsageLine]
    total: UsageLine
    budget: BudgetChange | None

    @property
    def first_day(self) -> date:
        return day_at(self.span.since, self.span.zone)

    @property
    def last_day(self) -> date:
        return day_at(self.span.until - 1, self.span.zone)

    @property
    def file_name(self) -> str:
        return f"statement-{self.key.id}-{self.first_day}-{self.last_day}"


def read_statement_span(query: Mapping[str, str | None], key_id: str, *, now: float) -> UsageSpan:
    """Out of ``month`` (``2026-11``), or ``from`` and ``to``, and ``zone``; by default this month. Raises ``InvalidRequest``."""
    zone = read_zone(query.get("zone") or "")
    month, since, until = (query.get(name) or "" for name in ("month", "from", "to"))
    if not (since or until):
        first = _first_of_month(month) if month else day_at(now, zone).replace(day=1)
        after = (first + timedelta(days=32)).replace(day=1)
        return UsageSpan(start_of_day(first, zone), start_of_day(after, zone), zone, key_id)
    if month:
        raise InvalidRequest("give month, or from and to", param="month")
    end = read_moment(until, param="to", end=True, zone=zone) if until else now
    begin = read_moment(since, param="from", zone=zone) if since else end - 30 * DAY_SECONDS
    if not begin < end <= begin + MOST_DAYS * DAY_SECONDS:
        raise InvalidRequest(f"from must lie before to, by at most {MOST_DAYS} days", param="from")
    return UsageSpan(begin, end, zone, key_id)


def _first_of_month(month: str) -> date:
    if not MONTH.fullmatch(month):
        raise InvalidRequest("month must be one like 2026-11", param="month")
    return date.fromisoformat(f"{month}-01")


async def make_statement(
    reports: UsageReports, key: StatementHolder, span: UsageSpan, *, now: float
) -> KeyStatement:
    lines = await reports.usage_lines(("model",), span)
    lines.sort(key=lambda line: (-line.cost, line.model or ""))
    return KeyStatement(key, span, lines, sum_lines(lines), await _budget_change(reports, key, span, now=now))


async def _budget_change(
    reports: UsageReports, key: StatementHolder, span: UsageSpan, *, now: float
) -> BudgetChange | None:
    if key.budget_total is None:
        return None
    spent = await reports.spent_in_total(key.id)
    since, after = [
        sum_lines(await reports.usage_lines((), UsageSpan(begin, now + 1, key_id=key.id))).cost
        if begin < now
        else Decimal(0)
        for begin in (span.since, span.until)
    ]
    return BudgetChange(key.budget_total, spent - since, spent - after)
