"""Usage by key, model, account and day, for clients and operators; also as CSV."""

import csv
import io
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal, TypeAlias, get_args

import sqlalchemy as sa

from app import clock
from app.db.operator_tables import usage_days
from app.db.session import Database
from app.db.tables import format_money, usage
from app.errors import InvalidRequest
from app.usage.ledger import BudgetHolder, budgets_by_period, period_label, period_names, read_spending
from app.usage.recorder import DAY_SECONDS, FAILED_STATUS

UsageGroup = Literal["key", "model", "account", "day"]
GROUPS: tuple[UsageGroup, ...] = get_args(UsageGroup)
FIGURES = ("requests", "failed", "input_tokens", "output_tokens", "cost")
COLUMNS: dict[UsageGroup, str] = {"key": "key_id", "model": "model", "account": "account_id", "day": "day"}
SumsByGroup: TypeAlias = dict[tuple[Any, ...], list[Any]]
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""Characters that a spreadsheet takes for the beginning of a formula."""


@dataclass(frozen=True, slots=True)
class UsageLine:
    """Sums over one group; columns that are not grouped by are None. ``day`` is UTC, ``cost`` in US dollars."""

    key: str | None
    model: str | None
    account: str | None
    day: str | None
    requests: int
    failed: int
    input_tokens: int
    output_tokens: int
    cost: Decimal


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """One budget of a key and what of it is used, in US dollars."""

    period: str
    budget: Decimal
    reserved: Decimal
    spent: Decimal

    @property
    def left(self) -> Decimal:
        return max(self.budget - self.reserved - self.spent, Decimal(0))


class UsageReports:
    """Usage in a span of time; ``since`` and ``until`` are UTC seconds, ``until`` is excluded."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def usage_lines(
        self,
        groups: Sequence[UsageGroup],
        *,
        since: float,
        until: float,
        key_id: str | None = None,
        model: str | None = None,
        account_id: str | None = None,
    ) -> list[UsageLine]:
        """Newest day first, then by name. A call that was answered with an error counts as failed."""
        wanted = {"key_id": key_id, "model": model, "account_id": account_id}
        named = {name: value for name, value in wanted.items() if value is not None}
        # Whole days have sums; for the parts of days at both ends, the rows are read. No row lies in the future.
        first, last = (
            math.ceil(since / DAY_SECONDS),
            int((until if until <= clock.now() else until + DAY_SECONDS) // DAY_SECONDS),
        )
        cut = (
            [(since, first * DAY_SECONDS), (last * DAY_SECONDS, until)] if first <= last else [(since, until)]
        )
        sums: SumsByGroup = defaultdict(lambda: [0, 0, 0, 0, Decimal(0)])
        async with self._database.read() as connection:
            for row in await connection.execute(_days_query(groups, named, first=first, last=last)):
                _add_figures(sums, row[: len(groups)], row[len(groups) :])
            row_groups = [group for group in groups if group != "day"]
            for begin, end in cut:
                day = int(begin // DAY_SECONDS)
                for row in await connection.execute(_rows_query(row_groups, named, since=begin, until=end)):
                    values = {"day": day, **dict(zip(row_groups, row, strict=False))}
                    _add_figures(sums, [values[group] for group in groups], row[len(row_groups) :])
        lines = [_usage_line(dict(zip(groups, key, strict=True)), sums[key]) for key in sums]
        lines.sort(key=lambda line: (line.key or "", line.model or "", line.account or ""))
        lines.sort(key=lambda line: line.day or "", reverse=True)
        return lines

    async def budget_lines(self, holder: BudgetHolder, *, now: float) -> list[BudgetLine]:
        """A key's budgets and what of them is used."""
        async with self._database.read() as connection:
            spending = await read_spending(connection, holder.id, period_names(now))
        return [
            BudgetLine(period_label(period), budget, *spending[period])
            for period, budget in budgets_by_period(holder, now).items()
        ]


def _days_query(
    groups: Sequence[UsageGroup], named: Mapping[str, str], *, first: int, last: int
) -> sa.Select[Any]:
    figures = (sa.func.sum(usage_days.c[name]) for name in FIGURES)
    return _grouped_query(usage_days, groups, figures, named=named).where(
        usage_days.c.day.between(first, last - 1)
    )


def _rows_query(
    groups: Sequence[UsageGroup], named: Mapping[str, str], *, since: float, until: float
) -> sa.Select[Any]:
    figures = (
        sa.func.count(),
        sa.func.sum(sa.case((usage.c.status >= FAILED_STATUS, 1), else_=0)),
        sa.func.sum(usage.c.input_tokens),
        sa.func.sum(usage.c.output_tokens),
        sa.func.sum(usage.c.cost),
    )
    return _grouped_query(usage, groups, figures, named=named).where(usage.c.at >= since, usage.c.at < until)


def _grouped_query(
    table: sa.Table, groups: Sequence[UsageGroup], figures: Iterable[Any], *, named: Mapping[str, str]
) -> sa.Select[Any]:
    columns = [table.c[COLUMNS[group]] for group in groups]
    where = (table.c[name] == value for name, value in named.items())
    return sa.select(*columns, *figures).where(*where).group_by(*columns)


def _add_figures(sums: SumsByGroup, group_values: Iterable[Any], figures: Sequence[Any]) -> None:
    key = tuple(group_values)
    if key and not figures[0]:
        return  # no call on that day
    sums[key] = [old + (new or 0) for old, new in zip(sums[key], figures, strict=True)]


def as_csv(lines: Iterable[UsageLine], groups: Sequence[UsageGroup]) -> str:
    """One line per group with a heading; no cell can be a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([*groups, *FIGURES])
    for line in lines:
        names = [safe_cell(str(getattr(line, name))) for name in groups]
        writer.writerow(
            [
                *names,
                line.requests,
                line.failed,
                line.input_tokens,
                line.output_tokens,
                format_money(line.cost),
            ]
        )
    return text.getvalue()


def safe_cell(value: str) -> str:
    """Clients choose the names of models, and an operator opens the file in a spreadsheet."""
    return f"'{value}" if value.startswith(FORMULA_STARTS) else value


def read_moment(text: str, *, param: str, end: bool = False) -> float:
    """``2026-11-21`` (``end``: the end of that day) or UTC seconds. Raises ``InvalidRequest``."""
    try:
        if len(text) == 10 and "-" in text:
            day = datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
            return day.timestamp() + (DAY_SECONDS if end else 0)
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 10**11:
        raise InvalidRequest(f"{param} must be a day like 2026-11-21 or UTC seconds", param=param)
    return seconds


def read_groups(names: Sequence[str], *, allowed: Sequence[UsageGroup] = GROUPS) -> tuple[UsageGroup, ...]:
    """Raises ``InvalidRequest``."""
    for name in names:
        if name not in allowed:
            raise InvalidRequest(f"group_by must be some of {', '.join(allowed)}", param="group_by")
    return tuple(group for group in allowed if group in names)


def _usage_line(values: Mapping[str, Any], figures: Sequence[Any]) -> UsageLine:
    day = values.get("day")
    return UsageLine(
        key=values.get("key"),
        model=values.get("model"),
        account=values.get("account"),
        day=None if day is None else datetime.fromtimestamp(day * DAY_SECONDS, UTC).strftime("%Y-%m-%d"),
        requests=int(figures[0]),  # PostgreSQL's sum of bigint is numeric
        failed=int(figures[1]),
        input_tokens=int(figures[2]),
        output_tokens=int(figures[3]),
        cost=figures[4],
    )
