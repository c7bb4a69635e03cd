"""Usage by key, model, account and day, for clients and operators; also as CSV."""

import csv
import io
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Literal, TypeAlias, get_args
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from app import clock
from app.db.connection import AsyncConnection
from app.db.operator_tables import usage_days, usage_hours
from app.db.session import Database
from app.db.tables import format_money, usage
from app.errors import InvalidRequest
from app.usage.ledger import TOTAL, BudgetHolder, budgets_by_period, period_label, period_names, read_spending
from app.usage.sums import DAY_SECONDS, FIGURES, hour_after, hour_of, row_figures
from app.usage.zones import UTC_ZONE, day_at, day_number, day_of_number, offset_spans, start_of_day

UsageGroup = Literal["key", "model", "account", "day"]
GROUPS: tuple[UsageGroup, ...] = get_args(UsageGroup)
SumsByGroup: TypeAlias = dict[tuple[Any, ...], list[Any]]
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""Characters that a spreadsheet takes for the beginning of a formula."""
ROW_COLUMNS = {"key": usage.c.key_id, "model": usage.c.model, "account": usage.c.account_id}
DAY_COLUMNS = {"key": usage_days.c.key_id, "model": usage_days.c.model, "account": usage_days.c.account_id}
HOUR_COLUMNS = {"key": usage_hours.c.party, "model": usage_hours.c.model, "account": usage_hours.c.party}


@dataclass(frozen=True, slots=True)
class UsageLine:
    """Sums over one group; columns that are not grouped by are None. ``day`` is one of the zone that was asked for.

    Money in US dollars: ``cost`` is what the key pays, ``vendor_cost`` what the vendor charges, as far as that is known; of
    ``unknown_costs`` calls it is not.
    """

    key: str | None
    model: str | None
    account: str | None
    day: str | None
    requests: int
    failed: int
    input_tokens: int
    output_tokens: int
    cost: Decimal
    films: int
    film_milliseconds: int
    vendor_cost: Decimal
    unknown_costs: int

    @property
    def film_seconds(self) -> float:
        return self.film_milliseconds / 1000

    @property
    def known_vendor_cost(self) -> Decimal | None:
        """None where nothing of it is known."""
        return None if self.unknown_costs and not self.vendor_cost else self.vendor_cost

    @property
    def margin(self) -> Decimal | None:
        """None where the cost of some calls is not known."""
        return None if self.unknown_costs else self.cost - self.vendor_cost


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


@dataclass(frozen=True, slots=True)
class UsageSpan:
    """What is summed: ``since`` and ``until`` are UTC seconds, ``until`` is excluded. ``bands`` put values of the first group
    together under a name, and all others under an empty one."""

    since: float
    until: float
    zone: ZoneInfo = UTC_ZONE
    key_id: str | None = None
    model: str | None = None
    account_ids: Sequence[str] | None = None
    bands: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def columns(
        self, groups: Sequence[UsageGroup], known: Mapping[str, sa.ColumnElement[Any]]
    ) -> list[sa.ColumnElement[Any]]:
        found = [known[group] for group in groups]
        if self.bands:
            cases = ((found[0].in_(members), band) for band, members in self.bands.items())
            found[0] = sa.case(*cases, else_="")
        return found

    def conditions(self, known: Mapping[str, sa.ColumnElement[Any]]) -> list[sa.ColumnElement[bool]]:
        equal = {"key": self.key_id, "model": self.model}
        found = [known[name] == value for name, value in equal.items() if value is not None]
        return found if self.account_ids is None else [*found, known["account"].in_(self.account_ids)]


class UsageReports:
    """Usage in a span of time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def usage_lines(self, groups: Sequence[UsageGroup], span: UsageSpan) -> list[UsageLine]:
        """Newest day first, then by name. A call that was answered with an error counts as failed."""
        source = (HourSums if is_exact(groups, span) else DaySums)(groups, span)
        sums: SumsByGroup = defaultdict(no_figures)
        async with self._database.read() as connection:
            for row in await connection.execute(source.query()):
                _add_figures(sums, row[: len(groups)], row[len(groups) :])
            for begin, end in source.parts():
                await _add_rows(connection, sums, groups, span=span, source=source, cut=(begin, end))
        lines = [_usage_line(dict(zip(groups, key, strict=True)), sums[key]) for key in sums]
        lines.sort(key=lambda line: (line.key or "", line.model or "", line.account or ""))
        lines.sort(key=lambda line: line.day or "", reverse=True)
        return lines

    async def spent_in_total(self, key_id: str) -> Decimal:
        """US dollars that a key has ever spent."""
        async with self._database.read() as connection:
            return (await read_spending(connection, key_id, [TOTAL]))[TOTAL][1]

    async def budget_lines(self, holder: BudgetHolder, *, now: float) -> list[BudgetLine]:
        """A key's budgets and what of them is used."""
        async with self._database.read() as connection:
            spending = await read_spending(connection, holder.id, period_names(now))
        return [
            BudgetLine(period_label(period), budget, *spending[period])
            for period, budget in budgets_by_period(holder, now).items()
        ]

    async def spent_by(self, key_id: str) -> Decimal:
        """US dollars, since the key was made."""
        async with self._database.read() as connection:
            return (await read_spending(connection, key_id, [TOTAL]))[TOTAL][1]


def is_exact(groups: Sequence[UsageGroup], span: UsageSpan) -> bool:
    """Whether days are those of the zone. Keys together with accounts have sums by UTC day only."""
    by_key = span.key_id is not None or "key" in groups
    return not (by_key and (span.account_ids is not None or "account" in groups))


class StoredSums:
    """The sums that a span is read from, and where they begin and end (UTC seconds)."""

    table: sa.Table
    known: Mapping[str, sa.ColumnElement[Any]]
    bounds: tuple[float, float]

    def __init__(self, groups: Sequence[UsageGroup], span: UsageSpan) -> None:
        self._groups, self._span = groups, span

    def own_conditions(self) -> list[sa.ColumnElement[bool]]:
        raise NotImplementedError

    def day(self, at: float) -> int:
        """The number of the day of a moment."""
        raise NotImplementedError

    def query(self) -> sa.Select[Any]:
        columns = self._span.columns(self._groups, self.known)
        figures = (sa.func.sum(self.table.c[name]) for name in FIGURES)
        conditions = [*self.own_conditions(), *self._span.conditions(self.known)]
        return sa.select(*columns, *figures).where(*conditions).group_by(*columns)

    def parts(self) -> list[tuple[float, float]]:
        """What at both ends has no sums of its own: the rows are read."""
        span, (first, last) = self._span, self.bounds
        ends = [(span.since, first), (last, span.until)] if first <= last else [(span.since, span.until)]
        return [(begin, end) for begin, end in ends if begin < end]


class HourSums(StoredSums):
    """Hours of one side, for days of any zone."""

    table = usage_hours

    def __init__(self, groups: Sequence[UsageGroup], span: UsageSpan) -> None:
        super().__init__(groups, span)
        by_key = span.key_id is not None or "key" in groups
        self._side = "key" if by_key else "account"
        # No row lies in the future.
        last = hour_of(span.until) if span.until <= clock.now() else hour_after(span.until)
        self._minutes = hour_after(span.since), last
        self.bounds = self._minutes[0] * 60.0, self._minutes[1] * 60.0
        number = day_number(usage_hours.c.minute, offset_spans(span.zone, span.since, span.until))
        self.known = {**HOUR_COLUMNS, "day": number}

    def own_conditions(self) -> list[sa.ColumnElement[bool]]:
        minute, (first, last) = usage_hours.c.minute, self._minutes
        return [usage_hours.c.side == self._side, minute >= first, minute < last]

    def day(self, at: float) -> int:
        return (day_at(at, self._span.zone) - day_of_number(0)).days


class DaySums(StoredSums):
    """Whole days of UTC, for keys together with accounts."""

    table = usage_days

    def __init__(self, groups: Sequence[UsageGroup], span: UsageSpan) -> None:
        super().__init__(groups, span)
        end = span.until if span.until <= clock.now() else span.until + DAY_SECONDS
        self._days = math.ceil(span.since / DAY_SECONDS), int(end // DAY_SECONDS)
        self.bounds = float(self._days[0] * DAY_SECONDS), float(self._days[1] * DAY_SECONDS)
        self.known = {**DAY_COLUMNS, "day": usage_days.c.day}

    def own_conditions(self) -> list[sa.ColumnElement[bool]]:
        return [usage_days.c.day.between(self._days[0], self._days[1] - 1)]

    def day(self, at: float) -> int:
        return int(at // DAY_SECONDS)


async def _add_rows(
    connection: AsyncConnection,
    sums: SumsByGroup,
    groups: Sequence[UsageGroup],
    *,
    span: UsageSpan,
    source: StoredSums,
    cut: tuple[float, float],
) -> None:
    """Add the rows of a part of one day."""
    begin, end = cut
    known = {**ROW_COLUMNS, "day": sa.literal(source.day(begin))}
    grouped = [group for group in groups if group != "day"]
    columns = span.columns(groups, known)
    figures = row_figures()
    query = sa.select(*columns, *(figures[name] for name in FIGURES)).where(
        usage.c.at >= begin, usage.c.at < end, *span.conditions(known)
    )
    by = [column for column, group in zip(columns, groups, strict=True) if group in grouped]
    for row in await connection.execute(query.group_by(*by)):
        _add_figures(sums, row[: len(groups)], row[len(groups) :])


def _add_figures(sums: SumsByGroup, group_values: Iterable[Any], figures: Sequence[Any]) -> None:
    key = tuple(group_values)
    if key and not figures[0]:
        return  # no call on that day
    sums[key] = [old + (new or 0) for old, new in zip(sums[key], figures, strict=True)]


CSV_FIGURES = ("requests", "failed", "input_tokens", "output_tokens", "cost", "films", "film_seconds")
"""New ones come last: programs may read the columns by their places."""


def as_csv(lines: Iterable[UsageLine], groups: Sequence[UsageGroup]) -> str:
    """One line per group with a heading; no cell can be a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([*groups, *CSV_FIGURES])
    for line in lines:
        names = [safe_cell(str(getattr(line, name))) for name in groups]
        figures = {name: getattr(line, name) for name in CSV_FIGURES} | {"cost": format_money(line.cost)}
        writer.writerow([*names, *figures.values()])
    return text.getvalue()


def safe_cell(value: str) -> str:
    """Clients choose the names of models, and an operator opens the file in a spreadsheet."""
    return f"'{value}" if value.startswith(FORMULA_STARTS) else value


def read_moment(text: str, *, param: str, end: bool = False, zone: ZoneInfo = UTC_ZONE) -> float:
    """``2026-11-21`` (``end``: the end of that day) in a zone, or UTC seconds. Raises ``InvalidRequest``."""
    try:
        if len(text) == 10 and "-" in text:
            return start_of_day(date.fromisoformat(text) + timedelta(days=1 if end else 0), zone)
        seconds = float(text)
    except (ValueError, OverflowError):
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


def sum_lines(lines: Iterable[UsageLine]) -> UsageLine:
    """All of them as one, without groups."""
    sums: SumsByGroup = defaultdict(no_figures)
    for line in lines:
        _add_figures(sums, (), [getattr(line, name) for name in FIGURES])
    return _usage_line({}, sums[()])


def no_figures() -> list[Any]:
    return [Decimal(0) if name in MONEY else 0 for name in FIGURES]


def _usage_line(values: Mapping[str, Any], figures: Sequence[Any]) -> UsageLine:
    day = values.get("day")
    summed = dict(zip(FIGURES, figures, strict=True))
    # PostgreSQL's sum of bigint is numeric.
    numbers: dict[str, Any] = {name: value if name in MONEY else int(value) for name, value in summed.items()}
    return UsageLine(
        key=values.get("key"),
        model=values.get("model"),
        account=values.get("account"),
        day=None if day is None else day_of_number(int(day)).isoformat(),
        **numbers,
    )


MONEY = frozenset(item.name for item in fields(UsageLine) if item.type is Decimal)
