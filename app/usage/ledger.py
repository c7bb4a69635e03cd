"""The ledger: money is reserved for a task, then settled or released, each once; and the sums that budgets read.

``spending.reserved`` is the sum of the open reservations, ``spending.spent`` of what was settled, by key and period, and
again by the project of the key: a row of the ledger names the project whose sums it is in, so it is closed there too.
Budgets apply to a UTC day, a UTC month, and all time. Every function works in its caller's transaction.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache, lru_cache
from itertools import product
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol

import sqlalchemy as sa

from app import clock
from app.db.among import among
from app.db.connection import AsyncConnection
from app.db.joined_writes import JoinedWrites
from app.db.session import INSERTS, add_to_sums
from app.db.tables import format_money, ledger, round_money, spending
from app.errors import InsufficientQuota

NOTHING = Decimal(0)
EndKind = Literal["settle", "release"]

DAY_SECONDS = 86_400
TOTAL = "total"
PRUNED = "pruned"
"""Of ``spending``, beside the periods: what rows added up to that were deleted for their age."""
DAYS_KEPT, MONTHS_KEPT = 62.0, 400.0
"""For how many days sums by day and by month are kept; nothing reads older ones."""
PROJECT_ID = "prj_"
"""Begins the id of a project, which has sums of its own; no id of a key does."""
PERIOD_LABELS = MappingProxyType({10: "daily", 7: "monthly", 5: "total"})
"""What a budget is called, by the length of its period's name."""


# ---- periods of budgets -------------------------------------------------------------------------


class BudgetHolder(Protocol):
    """A key or a project, as the ledger sees it; budgets in US dollars."""

    @property
    def id(self) -> str: ...
    @property
    def owner(self) -> str: ...
    @property
    def budget_total(self) -> Decimal | None: ...
    @property
    def budget_monthly(self) -> Decimal | None: ...
    @property
    def budget_daily(self) -> Decimal | None: ...


def period_names(at: float) -> tuple[str, str, str]:
    """``2026-11``, ``2026-11-21``, ``total``: the periods of a moment, in the order in which rows are locked."""
    return _periods_of_day(int(at // DAY_SECONDS))


@lru_cache(maxsize=64)
def _periods_of_day(number: int) -> tuple[str, str, str]:
    day = datetime.fromtimestamp(number * DAY_SECONDS, UTC)
    return f"{day:%Y-%m}", f"{day:%Y-%m-%d}", TOTAL


def budgets_by_period(holder: BudgetHolder, at: float) -> Mapping[str, Decimal]:
    """The budgets in US dollars that apply at a moment, by period."""
    budgets = (holder.budget_monthly, holder.budget_daily, holder.budget_total)
    named = zip(period_names(at), budgets, strict=True)
    return {period: budget for period, budget in named if budget is not None}


def period_label(period: str) -> str:
    """``monthly``, ``daily`` or ``total``."""
    return PERIOD_LABELS[len(period)]


def seconds_to_next(period: str, at: float) -> float | None:
    """Seconds until the next period begins; None when there is no next one."""
    moment = datetime.fromtimestamp(at, UTC)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if period_label(period) == "daily":
        return (midnight + timedelta(days=1) - moment).total_seconds()
    if period_label(period) == "monthly":
        first = midnight.replace(day=1)
        return ((first + timedelta(days=32)).replace(day=1) - moment).total_seconds()
    return None


# ---- reservations -------------------------------------------------------------------------------


def has_open_reservation(task_id: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Whether money is reserved for a task, and neither settled nor released."""
    closing = ledger.alias()
    closed = sa.exists().where(
        closing.c.task_id == ledger.c.task_id, closing.c.kind.in_(("settle", "release"))
    )
    return sa.exists().where(ledger.c.task_id == task_id, ledger.c.kind == "reserve", ~closed)


@dataclass(frozen=True, slots=True)
class ReservationEnd:
    """How a task's reservation ends; ``amount``: US dollars that are settled (0 for a release)."""

    task_id: str
    kind: EndKind
    amount: Decimal = NOTHING


class ReservedMoney(NamedTuple):
    """Of the row that reserved it."""

    task_id: str
    at: float
    owner: str
    key_id: str
    model: str
    amount: Decimal
    project_id: str | None = None

    @property
    def holder_ids(self) -> tuple[str, ...]:
        """In whose sums it is counted, in the order in which rows are locked."""
        return (self.key_id,) if self.project_id is None else tuple(sorted((self.key_id, self.project_id)))


def budget_exceeded(
    holder: BudgetHolder, used: Decimal, *, period: str, amount: Decimal, at: float
) -> InsufficientQuota:
    budget = budgets_by_period(holder, at)[period]
    left = format_money(max(budget - used, NOTHING))
    whose = "the project's" if holder.id.startswith(PROJECT_ID) else "the key's"
    return InsufficientQuota(
        f"This would cost about ${format_money(amount)}, and ${left} is left of {whose} {period_label(period)} budget "
        f"of ${format_money(max(budget, NOTHING))}.",
        retry_after=seconds_to_next(period, at),
    )


async def end_reservations(connection: AsyncConnection, closings: Sequence[ReservationEnd]) -> set[str]:
    """Settle or release reservations. Returns the ids of the tasks whose reservation was open until now.

    Tasks without a reservation are skipped. A reservation that was ended before keeps its first end.
    """
    if not closings:
        return set()
    ids = [closing.task_id for closing in closings]
    reserves = [ReservedMoney(*row) for row in await connection.execute(_RESERVES, {"ids": ids})]
    sums = JoinedWrites()
    closed = await close_reserves(connection, reserves, closings, sums=sums)
    await sums.write(connection)
    return closed


async def close_reserves(
    connection: AsyncConnection,
    reserves: Sequence[ReservedMoney],
    closings: Sequence[ReservationEnd],
    *,
    sums: JoinedWrites,
) -> set[str]:
    """``end_reservations`` of what is known to be reserved. Its sums are left for the caller to write."""
    if not reserves:
        return set()
    by_task = {closing.task_id: closing for closing in closings}
    rows = [_end_row(row, by_task[row.task_id]) for row in reserves]
    once = _ending_statement(connection.dialect.name)
    closed = set((await connection.execute(once, rows)).scalars())
    changes: dict[tuple[str, str], list[Decimal]] = defaultdict(lambda: [NOTHING, NOTHING])
    for row in reserves:
        periods = _kept_periods(row.at) if row.task_id in closed else ()
        for place in product(row.holder_ids, periods):
            changes[place][0] += row.amount
            changes[place][1] += round_money(by_task[row.task_id].amount)
    booked = [
        {"key_id": key_id, "period": period, "reserved": -given_back, "spent": taken}
        for (key_id, period), (given_back, taken) in changes.items()
    ]
    sums.add_to_sums(spending, booked)
    return closed


_RESERVES = sa.select(*(ledger.c[name] for name in ReservedMoney._fields)).where(
    among(ledger.c.task_id, "ids"), ledger.c.kind == "reserve"
)


@cache
def _ending_statement(dialect: str) -> sa.Executable:
    return INSERTS[dialect](ledger).on_conflict_do_nothing().returning(ledger.c.task_id)


def _end_row(row: ReservedMoney, closing: ReservationEnd) -> dict[str, Any]:
    amount = round_money(closing.amount)
    assert amount >= 0, "a task can not earn money"
    return {
        "at": clock.now(),
        "task_id": row.task_id,
        "kind": closing.kind,
        "owner": row.owner,
        "key_id": row.key_id,
        "model": row.model,
        "amount": amount if closing.kind == "settle" else row.amount,
        "project_id": row.project_id,
    }


async def record_spending(connection: AsyncConnection, costs: Iterable[tuple[str, float, Decimal]]) -> None:
    """Book the costs of calls without a task: ``(id of a key or project, UTC seconds, US dollars)``."""
    sums: dict[tuple[str, str], Decimal] = defaultdict(lambda: NOTHING)
    for key_id, at, cost in costs:
        for period in period_names(at) if cost else ():
            sums[(key_id, period)] += cost
    rows = [
        {"key_id": key_id, "period": period, "reserved": NOTHING, "spent": amount}
        for (key_id, period), amount in sums.items()
    ]
    await add_to_sums(connection, spending, rows)


async def read_spending(
    connection: AsyncConnection, key_id: str, names: Sequence[str]
) -> dict[str, tuple[Decimal, Decimal]]:
    """Reserved and spent US dollars of a key or a project, by period."""
    mine = spending.c.key_id == key_id, spending.c.period.in_(names)
    rows = (await connection.execute(sa.select(spending).where(*mine))).all()
    return dict.fromkeys(names, (NOTHING, NOTHING)) | {row.period: (row.reserved, row.spent) for row in rows}


# ---- rows that are deleted for their age ---------------------------------------------------------


async def record_pruned(connection: AsyncConnection, costs: Mapping[str, Decimal]) -> None:
    """Note what deleted rows had added to ``spending``, in the transaction that deletes them: US dollars by the id of a key or
    project."""
    rows = [
        {"key_id": key_id, "period": PRUNED, "reserved": NOTHING, "spent": amount}
        for key_id, amount in costs.items()
        if amount
    ]
    await add_to_sums(connection, spending, rows)


def _oldest_periods(now: float) -> tuple[str, str]:
    """The oldest month and the oldest day whose sums are kept."""
    return period_names(now - MONTHS_KEPT * DAY_SECONDS)[0], period_names(now - DAYS_KEPT * DAY_SECONDS)[1]


def _kept_periods(at: float) -> list[str]:
    """Of ``period_names``: a task that was created long ago changes no sum that is deleted for its age."""
    oldest = (*_oldest_periods(clock.now()), TOTAL)
    return [period for period, least in zip(period_names(at), oldest, strict=True) if period >= least]


async def delete_old_sums(connection: AsyncConnection, *, now: float) -> None:
    """Delete sums of days and months that no budget and no report reads any more."""
    month, day = _oldest_periods(now)
    length = sa.func.length(spending.c.period)
    old = sa.or_(
        sa.and_(length == len(day), spending.c.period < day),
        sa.and_(length == len(month), spending.c.period < month),
    )
    await connection.execute(sa.delete(spending).where(old))
