"""A task's money: reserved when it is created, settled when it completes, released when it does not.

Crash points. Each of these is one transaction with the task's own row, so there is nothing in between:

- ``BudgetHold.check_and_reserve`` with the insert of the task: before its commit there is neither task nor reservation;
- ``settle_ended_tasks`` with the move to completed, failed or cancelled: before its commit the task still runs
  and its money is still reserved; the next run ends it and closes the reservation then. A stale run changes no
  row, so it closes nothing; a closed reservation is never closed again;
- ``submission_unknown`` closes nothing: the vendor may have billed it. The money stays reserved until the operator
  decides with ``settle_unknown``, which is one transaction too.

Relayed calls have no reservation: their usage row and its cost are one transaction, written after the call
(``usage/recorder.py``). Calls of the last half second before a crash may be lost; nobody is charged for them.

``tests/faults/test_books.py`` kills the process before and after each of these commits.
"""

import json
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.catalog.price import ModelPrice
from app.catalog.prices import PriceRepository
from app.db.session import Database
from app.db.tables import ledger, round_money, tasks, usage
from app.errors import InvalidRequest, NotFound, OutcomeUnknown, RateLimited
from app.generation import GenerationRequest
from app.keys.key import ClientKey
from app.tasks.states import OPEN
from app.tasks.task import TaskResult, add_timeline_row
from app.usage.budgets import BudgetTracker
from app.usage.ledger import NOTHING, ReservationEnd, end_reservations, reserve_money
from app.usage.recorder import (
    COMPLETED,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    EndedTask,
    add_usage,
    count_ended,
    token_count,
)

BUSY_SECONDS = 5.0
"""``Retry-After`` for a key with too many tasks in flight. When the next one ends is unknown."""
LOCK_KIND = 727_003  # of PostgreSQL's advisory locks, one per key; the number is ours to choose
# Literals, as in the condition of the index of open tasks.
_OPEN: list[sa.ColumnElement[str]] = [sa.literal_column(f"'{state}'") for state in sorted(OPEN)]
_ENDED_COLUMNS = (
    tasks.c.id,
    tasks.c.key_id,
    tasks.c.kind,
    tasks.c.model,
    tasks.c.account_id,
    tasks.c.state,
    tasks.c.error_code,
    tasks.c.created_at,
    tasks.c.finished_at,
    tasks.c.request,
    tasks.c.result,
    ledger.c.detail.label("agreed"),
    ledger.c.at.label("reserved_at"),
)
_ENDED = sa.select(*_ENDED_COLUMNS).select_from(
    tasks.outerjoin(ledger, sa.and_(ledger.c.task_id == tasks.c.id, ledger.c.kind == "reserve"))
)


@dataclass(frozen=True, slots=True)
class BudgetHold:
    """What a new task takes from its key: one of its tasks in flight, and money of its budget."""

    key: ClientKey
    model: str
    price: ModelPrice | None
    amount: Decimal
    budgets: BudgetTracker

    def announced_to_relay(self, at: float) -> AbstractContextManager[None]:
        """Use around that transaction: relayed calls of the same key count the amount before it is committed."""
        if self.price is None or not self.key.has_budget:
            return nullcontext()
        return self.budgets.announce_amount(self.key, self.amount, at=at)

    async def check_and_reserve(self, connection: AsyncConnection, *, task_id: str, at: float) -> None:
        """Call after the insert of the task, in its transaction. Raises ``RateLimited`` and ``InsufficientQuota``;
        the transaction must then be rolled back."""
        if self.key.tasks_limit is not None:
            await _count_in_flight(connection, self.key.id, limit=self.key.tasks_limit)
        if self.price is None:
            return
        # The price is kept with the reservation: a change of prices applies to new tasks only.
        detail = {"price": self.price.model_dump(mode="json", exclude_defaults=True)}
        await reserve_money(
            connection,
            self.key,
            task_id=task_id,
            model=self.model,
            amount=self.amount,
            at=at,
            detail=detail,
            besides=self.budgets.outside_store(self.key.id),
        )


class TaskBilling:
    """Estimates costs of new tasks, and settles tasks of unknown outcome as the operator decides."""

    def __init__(self, database: Database, prices: PriceRepository, budgets: BudgetTracker) -> None:
        self._database = database
        self._prices = prices
        self._budgets = budgets

    async def prepare_hold(self, request: GenerationRequest, key: ClientKey) -> BudgetHold:
        price = await self._prices.current_price(request.model)
        amount = price.estimate_request(request) if price else NOTHING
        return BudgetHold(key, request.model, price, amount, self._budgets)

    async def unknown_outcomes(self, *, days: float = 90) -> list[dict[str, Any]]:
        """Tasks of the last ``days`` whose money is reserved because it is unknown whether the vendor made them."""
        closing = ledger.alias()
        closed = sa.exists().where(closing.c.task_id == tasks.c.id, closing.c.kind != "reserve")
        query = (
            sa.select(tasks.c.id, tasks.c.key_id, tasks.c.model, tasks.c.account_id)
            .add_columns(tasks.c.finished_at, ledger.c.amount)
            .join(ledger, sa.and_(ledger.c.task_id == tasks.c.id, ledger.c.kind == "reserve"))
            .where(
                tasks.c.finished_at >= time.time() - days * 86400,
                tasks.c.error_code == OutcomeUnknown.code,
                ~closed,
            )
            .order_by(tasks.c.finished_at)
        )
        async with self._database.read() as connection:
            return [dict(row._mapping) for row in await connection.execute(query)]

    async def settle_unknown(self, task_id: str, amount: Decimal | None) -> None:
        """Charge ``amount`` US dollars for a task that ended as ``submission_unknown``, or release all (None).

        Raises ``NotFound``, and ``InvalidRequest`` when nothing is reserved for it any more.
        """
        if amount is not None and not 0 <= amount <= 1_000_000:
            raise InvalidRequest("amount must be between 0 and 1000000 US dollars", param="amount")
        async with self._database.write() as connection:
            row = (await connection.execute(_ENDED.where(tasks.c.id == task_id))).first()
            if row is None:
                raise NotFound(f"No such task: {task_id[:100]}")
            cost = round_money(amount or NOTHING)
            closing = ReservationEnd(task_id, "release" if amount is None else "settle", cost)
            unknown = row.error_code == OutcomeUnknown.code
            if not unknown or not await end_reservations(connection, [closing]):
                raise InvalidRequest(f"Nothing is held for the task {task_id}: its account is closed.")
            await _record_costs(connection, [(row, cost)])
            await count_ended(connection, [_ended_outcome(row, cost)], tasks=0)
            await add_timeline_row(
                connection, task_id, epoch=0, event=closing.kind, detail={"by": "operator"}
            )


async def settle_ended_tasks(connection: AsyncConnection, task_ids: Sequence[str]) -> None:
    """Close the reservations of tasks and record their usage. Call in the transaction that ends them, after
    their rows have changed."""
    if not task_ids:
        return
    rows = (await connection.execute(_ENDED.where(tasks.c.id.in_(task_ids)))).all()
    closings = {row.id: _closing_entry(row) for row in rows if row.agreed is not None}
    costs = {task_id: closing.amount for task_id, closing in closings.items() if closing is not None}
    ends = [closing for closing in closings.values() if closing is not None]
    closed = await end_reservations(connection, ends) if ends else set()
    costs = {task_id: cost for task_id, cost in costs.items() if task_id in closed}
    taken = [(row, costs.get(row.id)) for row in rows if row.id in closed or row.state == COMPLETED]
    await _record_costs(connection, taken)
    await count_ended(connection, [_ended_outcome(row, costs.get(row.id, NOTHING)) for row in rows])


def _closing_entry(row: Any) -> ReservationEnd | None:
    """The ledger entry that closes a reservation; None while the outcome is unknown."""
    if row.error_code == OutcomeUnknown.code:
        return None
    if row.state != COMPLETED:
        return ReservationEnd(row.id, "release")
    price = ModelPrice.model_validate(json.loads(row.agreed)["price"])
    result = TaskResult.model_validate_json(row.result) if row.result else TaskResult(files=())
    request = GenerationRequest.model_validate_json(row.request)
    return ReservationEnd(row.id, "settle", price.final_cost(request, result.files, result.usage))


async def _record_costs(connection: AsyncConnection, taken: Sequence[tuple[Any, Decimal | None]]) -> None:
    """Write costs into the rows of tasks, and a usage row for each that was completed or charged."""
    rows = []
    for row, cost in taken:
        if cost is not None:
            mine = tasks.c.id == row.id
            await connection.execute(sa.update(tasks).where(mine).values(cost=cost))
        if row.state == COMPLETED or cost:
            rows.append(_usage_row(row, cost or NOTHING))
    if rows:
        await connection.execute(sa.insert(usage), rows)
        await add_usage(connection, rows)


def _usage_row(row: Any, cost: Decimal) -> dict[str, Any]:
    reported = TaskResult.model_validate_json(row.result).usage if row.result else {}
    return {
        # The period whose budget paid for it.
        "at": row.reserved_at if row.reserved_at is not None else row.created_at,
        "key_id": row.key_id,
        "account_id": row.account_id or "",
        "model": row.model,
        "path": f"tasks/{row.kind}",
        "status": 200,
        "input_tokens": token_count(reported, INPUT_TOKENS) or None,
        "output_tokens": token_count(reported, OUTPUT_TOKENS) or None,
        "milliseconds": max(_end_time(row) - row.created_at, 0.0) * 1000,
        "cost": cost,
        "task_id": row.id,
    }


def _end_time(row: Any) -> float:
    return float(row.finished_at or time.time())


def _ended_outcome(row: Any, cost: Decimal) -> EndedTask:
    return EndedTask(
        at=_end_time(row),
        model=row.model,
        outcome=(row.error_code or row.state) if row.state == "failed" else row.state,
        seconds=_end_time(row) - row.created_at,
        cost=cost,
    )


async def _count_in_flight(connection: AsyncConnection, key_id: str, *, limit: int) -> None:
    """Raises ``RateLimited`` when more than ``limit`` tasks of a key are open. The new one is counted."""
    if connection.dialect.name == "postgresql":
        lock = sa.func.pg_advisory_xact_lock(LOCK_KIND, sa.func.hashtext(key_id))
        await connection.execute(sa.select(lock))
    # Without the concatenation databases choose the index by key and read all tasks it ever had: open ones are few.
    mine = tasks.c.key_id.concat("") == key_id, tasks.c.state.in_(_OPEN)
    some = sa.select(tasks.c.id).where(*mine).limit(limit + 1).subquery()
    found = await connection.execute(sa.select(sa.func.count()).select_from(some))
    if found.scalar_one() > limit:
        raise RateLimited(
            f"This API key may have {limit} tasks in flight. Please wait for one to end.",
            retry_after=BUSY_SECONDS,
        )
