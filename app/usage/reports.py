"""Usage by key, model, account and day, for key holders and operators; also as a table for spreadsheets."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal, get_args

import sqlalchemy as sa

from app.db.money import shown
from app.db.session import Database
from app.db.tables import usage
from app.errors import InvalidRequest
from app.usage.ledger import standing
from app.usage.periods import Spender, limits, periods, word

Group = Literal["key", "model", "account", "day"]
GROUPS: tuple[Group, ...] = get_args(Group)
DAY = 86400
FIGURES = ("requests", "failed", "input_tokens", "output_tokens", "cost")
RISKY = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a spreadsheet may take for the beginning of a formula."""


@dataclass(frozen=True, slots=True)
class UsageLine:
    """Sums over one group; what is not grouped by is None. ``day`` is UTC, ``cost`` in US dollars."""

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
    """One budget of a key and how it stands, in US dollars."""

    period: str
    budget: Decimal
    reserved: Decimal
    spent: Decimal

    @property
    def left(self) -> Decimal:
        return max(self.budget - self.reserved - self.spent, Decimal(0))


class Reports:
    """Reads usage rows of a span of time; ``since`` and ``until`` are UTC seconds, the latter excluded."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def usage(
        self,
        groups: Sequence[Group],
        *,
        since: float,
        until: float,
        key_id: str | None = None,
        model: str | None = None,
        account_id: str | None = None,
    ) -> list[UsageLine]:
        """Newest day first, then by name. A call that was answered with an error counts as failed."""
        columns = {name: self._column(name) for name in groups}
        where = [usage.c.at >= since, usage.c.at < until]
        wanted = ((usage.c.key_id, key_id), (usage.c.model, model), (usage.c.account_id, account_id))
        where += [column == value for column, value in wanted if value is not None]
        query = sa.select(
            *(column.label(name) for name, column in columns.items()),
            sa.func.count().label("requests"),
            sa.func.coalesce(sa.func.sum(sa.case((usage.c.status >= 400, 1), else_=0)), 0).label("failed"),
            sa.func.coalesce(sa.func.sum(usage.c.input_tokens), 0).label("input_tokens"),
            sa.func.coalesce(sa.func.sum(usage.c.output_tokens), 0).label("output_tokens"),
            sa.func.sum(usage.c.cost).label("cost"),
        ).where(*where)
        if columns:
            query = query.group_by(*columns.values())
        async with self._database.read() as connection:
            lines = [_line(row) for row in await connection.execute(query)]
        lines.sort(key=lambda line: (line.key or "", line.model or "", line.account or ""))
        lines.sort(key=lambda line: line.day or "", reverse=True)
        return lines

    async def budgets(self, spender: Spender, *, now: float) -> list[BudgetLine]:
        """How a key's budgets stand."""
        async with self._database.read() as connection:
            found = await standing(connection, spender.id, periods(now))
        return [
            BudgetLine(word(period), budget, *found[period])
            for period, budget in limits(spender, now).items()
        ]

    def _column(self, group: Group) -> sa.ColumnElement[Any]:
        if group != "day":
            return {"key": usage.c.key_id, "model": usage.c.model, "account": usage.c.account_id}[group]
        # PostgreSQL rounds where it casts, SQLite has no floor.
        days = usage.c.at / DAY
        whole = sa.func.floor(days) if self._database.is_postgres else days
        return sa.cast(whole, sa.Integer)


def as_csv(lines: Iterable[UsageLine], groups: Sequence[Group]) -> str:
    """One line per group with a heading; no cell is a formula to a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([*groups, *FIGURES])
    for line in lines:
        names = [safe_cell(str(getattr(line, name))) for name in groups]
        writer.writerow(
            [*names, line.requests, line.failed, line.input_tokens, line.output_tokens, shown(line.cost)]
        )
    return text.getvalue()


def safe_cell(value: str) -> str:
    """Clients choose the names of models, and an operator opens the file in a spreadsheet."""
    return f"'{value}" if value.startswith(RISKY) else value


def moment(text: str, *, param: str, end: bool = False) -> float:
    """``2026-11-21`` (``end``: the end of that day) or UTC seconds. Raises ``InvalidRequest``."""
    try:
        if len(text) == 10 and "-" in text:
            day = datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
            return day.timestamp() + (DAY if end else 0)
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 10**11:
        raise InvalidRequest(f"{param} must be a day like 2026-11-21 or UTC seconds", param=param)
    return seconds


def read_groups(names: Sequence[str], *, allowed: Sequence[Group] = GROUPS) -> tuple[Group, ...]:
    """Raises ``InvalidRequest``."""
    for name in names:
        if name not in allowed:
            raise InvalidRequest(f"group_by must be some of {', '.join(allowed)}", param="group_by")
    return tuple(group for group in allowed if group in names)


def _line(row: Any) -> UsageLine:
    day = getattr(row, "day", None)
    return UsageLine(
        key=getattr(row, "key", None),
        model=getattr(row, "model", None),
        account=getattr(row, "account", None),
        day=None if day is None else datetime.fromtimestamp(day * DAY, UTC).strftime("%Y-%m-%d"),
        requests=row.requests,
        failed=row.failed,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        cost=row.cost or Decimal(0),
    )
