"""The ledger: money is reserved for a task, then settled or released, each once; and the sums that budgets read.

``spending.reserved`` is the sum of the open reservations, ``spending.spent`` of what was settled, by key and period.
Budgets apply to a UTC day, a UTC month, and all time. Every function works in its caller's transaction.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.db.joined_writes import JoinedWrites
from app.db.session import INSERTS, add_to_sums, padded
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
PERIOD_LABELS = MappingProxyType({10: "daily", 7: "monthly", 5: "total"})
"""What a budget is called, by the length of its period's name."""


# ---- periods of budgets -------------------------------------------------------------------------


class BudgetHolder(Protocol):
    """A key, as the ledger sees it; budgets in US dollars."""

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


@dataclass(frozen=True, slots=True)
class Reservation:
    """Money for a task, in US dollars. ``detail`` is kept with it."""

    task_id: str
    model: str
    amount: Decimal
    at: float
    detail: Mapping[str, Any]


async def reserve_money(
    connection: AsyncConnection,
    holder: BudgetHolder,
    wanted: Sequence[Reservation],
    *,
    besides: Decimal = NOTHING,
) -> None:
    """Reserve money for new tasks of a key: for all of them or none. ``besides``: what the key spends elsewhere, which
    must fit into the budget too.

    Raises ``InsufficientQuota``; then the caller must not commit the transaction. Whoever reserves for several keys does
    it in the order of their ids, in which rows are locked.
    """
    amounts: dict[str, Decimal] = defaultdict(lambda: NOTHING)
    budgets: dict[str, Decimal] = {}
    for each in wanted:
        for period in period_names(each.at):
            amounts[period] += round_money(each.amount)
        budgets |= budgets_by_period(holder, each.at)
    names = sorted(amounts)
    refused = [name for name in names if name in budgets and amounts[name] > budgets[name] - besides]
    if not refused:
        statement = _reserving_statement(connection.dialect.name, tuple(name in budgets for name in names))
        given: dict[str, Any] = {"of_key": holder.id}
        for place, name in enumerate(names):
            given |= {f"period_{place}": name, f"amount_{place}": amounts[name]}
            given |= {f"budget_{place}": budgets[name] - besides} if name in budgets else {}
        done = set((await connection.execute(statement, given)).scalars())
        refused = [name for name in names if name not in done]
    if refused:
        period = refused[0]
        at = next(each.at for each in wanted if period in period_names(each.at))
        raise await budget_refusal(
            connection, holder, period=period, amount=amounts[period], at=at, besides=besides
        )
    rows = [
        {
            "at": each.at,
            "task_id": each.task_id,
            "kind": "reserve",
            "owner": holder.owner,
            "key_id": holder.id,
            "model": each.model,
            "amount": round_money(each.amount),
            "detail": json.dumps(each.detail),
        }
        for each in wanted
    ]
    await connection.execute(_INSERT_RESERVES, rows)


_INSERT_RESERVES = sa.insert(ledger).inline()


@cache
def _reserving_statement(dialect: str, are_bounded: tuple[bool, ...]) -> sa.Executable:
    """For so many periods. The budgets are a condition of the update itself, so that no row must be locked and read
    before."""
    money = spending.c.spent.type
    key: sa.BindParameter[str] = sa.bindparam("of_key")
    periods: list[sa.BindParameter[str]] = [sa.bindparam(f"period_{n}") for n in range(len(are_bounded))]
    rows = [
        {
            "key_id": key,
            "period": period,
            "reserved": sa.bindparam(f"amount_{n}", type_=money),
            "spent": NOTHING,
        }
        for n, period in enumerate(periods)
    ]
    new = INSERTS[dialect](spending).values(rows)
    within: sa.ColumnElement[bool] | None = None
    if any(are_bounded):
        bounded = [
            (new.excluded.period == period, sa.bindparam(f"budget_{n}", type_=money))
            for n, period in enumerate(periods)
            if are_bounded[n]
        ]
        total = spending.c.reserved + spending.c.spent + new.excluded.reserved
        within = sa.func.coalesce(total <= sa.case(*bounded), sa.true())
    return new.on_conflict_do_update(
        index_elements=[spending.c.key_id, spending.c.period],
        set_={"reserved": spending.c.reserved + new.excluded.reserved},
        where=within,
    ).returning(spending.c.period)


async def budget_refusal(
    connection: AsyncConnection,
    holder: BudgetHolder,
    *,
    period: str,
    amount: Decimal,
    at: float,
    besides: Decimal,
) -> InsufficientQuota:
    used = sum((await read_spending(connection, holder.id, [period]))[period], besides)
    return budget_exceeded(budgets_by_period(holder, at)[period], used, period=period, amount=amount, at=at)


def budget_exceeded(
    budget: Decimal, used: Decimal, *, period: str, amount: Decimal, at: float
) -> InsufficientQuota:
    left = format_money(max(budget - used, NOTHING))
    return InsufficientQuota(
        f"This would cost about ${format_money(amount)}, and ${left} is left of the key's {period_label(period)} budget "
        f"of ${format_money(budget)}.",
        retry_after=seconds_to_next(period, at),
    )


async def end_reservations(connection: AsyncConnection, closings: Sequence[ReservationEnd]) -> set[str]:
    """Settle or release reservations. Returns the ids of the tasks whose reservation was open until now.

    Tasks without a reservation are skipped. A reservation that was ended before keeps its first end.
    """
    if not closings:
        return set()
    ids = padded([closing.task_id for closing in closings])
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
        for period in _kept_periods(row.at) if row.task_id in closed else ():
            change = changes[(row.key_id, period)]
            change[0] += row.amount
            change[1] += round_money(by_task[row.task_id].amount)
    booked = [
        {"key_id": key_id, "period": period, "reserved": -given_back, "spent": taken}
        for (key_id, period), (given_back, taken) in changes.items()
    ]
    sums.add_to_sums(spending, booked)
    return closed


_RESERVES = sa.select(*(ledger.c[name] for name in ReservedMoney._fields)).where(
    ledger.c.task_id.in_(sa.bindparam("ids", expanding=True)), ledger.c.kind == "reserve"
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
    }


async def record_spending(connection: AsyncConnection, costs: Iterable[tuple[str, float, Decimal]]) -> None:
    """Book the costs of calls without a task: ``(key id, UTC seconds, US dollars)``."""
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
    """Reserved and spent US dollars of a key, by period."""
    mine = spending.c.key_id == key_id, spending.c.period.in_(names)
    rows = (await connection.execute(sa.select(spending).where(*mine))).all()
    return dict.fromkeys(names, (NOTHING, NOTHING)) | {row.period: (row.reserved, row.spent) for row in rows}


# ---- rows that are deleted for their age ---------------------------------------------------------


async def record_pruned(connection: AsyncConnection, costs: Mapping[str, Decimal]) -> None:
    """Note what deleted rows had added to ``spending``, in the transaction that deletes them: US dollars by key."""
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
