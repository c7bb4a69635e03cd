"""Reserves money for new tasks, in the sums of their keys and of the projects of these. The ledger closes what is opened here.

Crash points: it is part of the transaction that writes the tasks, so both sums and the row of the ledger are there together
with the task, or nothing is.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

import sqlalchemy as sa

from app.db.connection import AsyncConnection
from app.db.session import INSERTS
from app.db.tables import ledger, round_money, spending
from app.errors import InsufficientQuota
from app.usage.ledger import (
    NOTHING,
    BudgetHolder,
    budget_exceeded,
    budgets_by_period,
    period_names,
    read_spending,
)


@dataclass(frozen=True, slots=True)
class Reservation:
    """Money for a task, in US dollars. ``detail`` is kept with it."""

    task_id: str
    model: str
    amount: Decimal
    at: float
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class KeyReservations:
    """For new tasks of one key, and of its ``project`` if it has one."""

    key: BudgetHolder
    wanted: Sequence[Reservation]
    project: BudgetHolder | None = None


async def reserve_money(
    connection: AsyncConnection,
    holder: BudgetHolder,
    wanted: Sequence[Reservation],
    *,
    besides: Decimal = NOTHING,
) -> None:
    """``reserve_for_keys`` for one key without a project."""
    await reserve_for_keys(connection, [KeyReservations(holder, wanted)], besides={holder.id: besides})


async def reserve_for_keys(
    connection: AsyncConnection, given: Sequence[KeyReservations], *, besides: Mapping[str, Decimal]
) -> None:
    """Reserve money for new tasks of keys and of their projects: for all of them or none. ``besides``: what each spends
    elsewhere, by id, which must fit into its budgets too.

    Raises ``InsufficientQuota``; then the caller must not commit the transaction. Rows are locked in the order of the
    holders' ids, keys and projects together.
    """
    holders: dict[str, tuple[BudgetHolder, list[Reservation]]] = {}
    for each in given:
        for holder in (each.key, each.project):
            if holder is not None:
                holders.setdefault(holder.id, (holder, []))[1].extend(each.wanted)
    for holder_id in sorted(holders):
        await _raise_reserved(connection, *holders[holder_id], besides=besides.get(holder_id, NOTHING))
    rows = [_reserve_row(each, wanted) for each in given for wanted in each.wanted]
    await connection.execute(_INSERT_RESERVES, rows)


async def _raise_reserved(
    connection: AsyncConnection, holder: BudgetHolder, wanted: Sequence[Reservation], *, besides: Decimal
) -> None:
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


def _reserve_row(of: KeyReservations, wanted: Reservation) -> dict[str, Any]:
    return {
        "at": wanted.at,
        "task_id": wanted.task_id,
        "kind": "reserve",
        "owner": of.key.owner,
        "key_id": of.key.id,
        "model": wanted.model,
        "amount": round_money(wanted.amount),
        "detail": json.dumps(wanted.detail),
        "project_id": of.project.id if of.project is not None else None,
    }


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
    return budget_exceeded(holder, used, period=period, amount=amount, at=at)
