"""The books: money held for a task, then taken or given back, each once; and the sums that budgets look at.

``spending.reserved`` is the sum of what is held and not closed, ``spending.spent`` of what was taken. Every
function works in its caller's transaction; ``differences`` says where sums and rows disagree (nowhere).
"""

import json
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.money import format_money, round_money
from app.db.operator_tables import usage_days
from app.db.session import add_to_sums, dialect_insert
from app.db.tables import ledger, spending, usage
from app.errors import InsufficientQuota
from app.usage import daily_usage
from app.usage.periods import BudgetHolder, budgets_by_period, period_label, period_names, seconds_to_next

NOTHING = Decimal(0)
EndKind = Literal["settle", "release"]


@dataclass(frozen=True, slots=True)
class ReservationEnd:
    """How a task's reservation ends; ``amount`` is what is taken (0 for a release)."""

    task_id: str
    kind: EndKind
    amount: Decimal = NOTHING


async def reserve_money(
    connection: AsyncConnection,
    spender: BudgetHolder,
    *,
    task_id: str,
    model: str,
    amount: Decimal,
    at: float,
    detail: Mapping[str, Any],
    besides: Decimal = NOTHING,
) -> None:
    """Hold money for a task; ``besides``, what the key is spending elsewhere, must stay free. Raises
    ``InsufficientQuota``, and then the transaction must not be committed."""
    amount = round_money(amount)
    budgets = {period: budget - besides for period, budget in budgets_by_period(spender, at).items()}
    for period, budget in budgets.items():
        if amount > budget:
            raise await budget_refusal(
                connection, spender, period=period, amount=amount, at=at, besides=besides
            )
    names = period_names(at)
    rows = [{"key_id": spender.id, "period": name, "reserved": amount, "spent": NOTHING} for name in names]
    new = dialect_insert(connection, spending).values(rows)
    raised = new.on_conflict_do_update(
        index_elements=[spending.c.key_id, spending.c.period],
        set_={"reserved": spending.c.reserved + new.excluded.reserved},
        where=_within_budgets(new, budgets),
    ).returning(spending.c.period)
    done = set((await connection.execute(raised)).scalars())
    for name in names:
        if name not in done:
            raise await budget_refusal(
                connection, spender, period=name, amount=amount, at=at, besides=besides
            )
    row = {
        "at": at,
        "task_id": task_id,
        "kind": "reserve",
        "owner": spender.owner,
        "key_id": spender.id,
        "model": model,
        "amount": amount,
        "detail": json.dumps(detail),
    }
    await connection.execute(sa.insert(ledger), row)


def _within_budgets(new: Any, budgets: Mapping[str, Decimal]) -> sa.ColumnElement[bool] | None:
    """No row is locked or read before: the store itself says whether it still fits."""
    if not budgets:
        return None
    budget_of = sa.case(
        *((new.excluded.period == period, sa.bindparam(None, budget, spending.c.spent.type))
          for period, budget in budgets.items())
    )  # fmt: skip
    total = spending.c.reserved + spending.c.spent + new.excluded.reserved
    return sa.func.coalesce(total <= budget_of, sa.true())


async def budget_refusal(
    connection: AsyncConnection,
    spender: BudgetHolder,
    *,
    period: str,
    amount: Decimal,
    at: float,
    besides: Decimal,
) -> InsufficientQuota:
    used = sum((await read_spending(connection, spender.id, [period]))[period], besides)
    return budget_exceeded(budgets_by_period(spender, at)[period], used, period=period, amount=amount, at=at)


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
    """End reservations; the ids of those that were open until now. A task without one is passed over, and
    one that was closed before keeps its first end: nothing is taken or given back twice."""
    if not closings:
        return set()
    asked = {closing.task_id: closing for closing in closings}
    held = sa.select(ledger).where(ledger.c.task_id.in_(asked), ledger.c.kind == "reserve")
    changes: dict[tuple[str, str], list[Decimal]] = defaultdict(lambda: [NOTHING, NOTHING])
    closed: set[str] = set()
    for row in (await connection.execute(held)).all():
        closing = asked[row.task_id]
        amount = round_money(closing.amount)
        if not await _insert_end(connection, row, closing, amount=amount):
            continue
        closed.add(row.task_id)
        for period in period_names(row.at):
            change = changes[(row.key_id, period)]
            change[0] += row.amount
            change[1] += amount
    for (key_id, period), (given_back, taken) in sorted(changes.items()):
        mine = spending.c.key_id == key_id, spending.c.period == period
        values = {"reserved": spending.c.reserved - given_back, "spent": spending.c.spent + taken}
        await connection.execute(sa.update(spending).where(*mine).values(values))
    return closed


async def _insert_end(
    connection: AsyncConnection, row: Any, closing: ReservationEnd, *, amount: Decimal
) -> bool:
    assert amount >= 0, "nobody is paid for a task"
    values = {
        "at": time.time(),
        "task_id": row.task_id,
        "kind": closing.kind,
        "owner": row.owner,
        "key_id": row.key_id,
        "model": row.model,
        "amount": amount if closing.kind == "settle" else row.amount,
    }
    once = dialect_insert(connection, ledger).values(values).on_conflict_do_nothing().returning(ledger.c.id)
    return (await connection.execute(once)).first() is not None


async def record_spending(connection: AsyncConnection, costs: Iterable[tuple[str, float, Decimal]]) -> None:
    """Take what calls without a task have cost: ``(key id, UTC seconds, dollars)``."""
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
    """Reserved and spent dollars of a key, by period."""
    mine = spending.c.key_id == key_id, spending.c.period.in_(names)
    rows = (await connection.execute(sa.select(spending).where(*mine))).all()
    return dict.fromkeys(names, (NOTHING, NOTHING)) | {row.period: (row.reserved, row.spent) for row in rows}


async def find_differences(connection: AsyncConnection) -> list[str]:
    """Where the sums are not what the rows add up to, by key and period, in words; for tests, as it reads every
    row (``balance.py`` is for people)."""
    expected: dict[tuple[str, str], list[Decimal]] = defaultdict(lambda: [NOTHING, NOTHING])
    held = {}
    for row in await connection.execute(sa.select(ledger).order_by(ledger.c.id)):
        if row.kind == "reserve":
            held[row.task_id] = row
        opened = held[row.task_id]
        for period in period_names(opened.at):
            sums = expected[(row.key_id, period)]
            sums[0] += row.amount if row.kind == "reserve" else -opened.amount
            sums[1] += row.amount if row.kind == "settle" else NOTHING
    relayed = sa.select(usage.c.key_id, usage.c.at, usage.c.cost).where(
        usage.c.task_id.is_(None), usage.c.cost > NOTHING
    )
    for row in await connection.execute(relayed):
        for period in period_names(row.at):
            expected[(row.key_id, period)][1] += row.cost
    found = {
        (r.key_id, r.period): [r.reserved, r.spent] for r in await connection.execute(sa.select(spending))
    }
    zero = [NOTHING, NOTHING]
    return await _daily_differences(connection) + [
        f"{key_id} {period}: {found.get((key_id, period), zero)} instead of {expected.get((key_id, period), zero)}"
        for key_id, period in sorted(found.keys() | expected.keys())
        if found.get((key_id, period), zero) != expected.get((key_id, period), zero)
    ]


async def _daily_differences(connection: AsyncConnection) -> list[str]:
    expected = daily_usage.daily_sums(
        dict(row._mapping) for row in await connection.execute(sa.select(usage))
    )
    found = [dict(row._mapping) for row in await connection.execute(sa.select(usage_days))]
    return [f"usage of a day: {row} is not in the sums" for row in expected if row not in found]
