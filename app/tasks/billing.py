"""A task's money: reserved when it is created; settled, released or held when it ends.

Money is what was bought. A task that may have reached a vendor is released only on the vendor's own word that it made
nothing (``VendorWord``); where the vendor said nothing, ``SettlementOptions`` decide, and hold the money by default.

Crash points. Each of these is one transaction with the task's own row, so there is nothing in between:

- ``BudgetHold.check_and_reserve`` with the insert of the task: before its commit there is neither task nor reservation;
- ``settle_ended_tasks`` with the move to completed, failed or cancelled: before its commit the task still runs
  and its money is still reserved; the next run ends it and closes the reservation then. A stale run changes no
  row, so it closes nothing; a closed reservation is never closed again. A vendor that was asked to cancel before the
  crash is asked again: what it says then counts;
- an end that holds the money closes nothing. It stays reserved until the operator decides with ``settle_held``, which
  is one transaction too, or until a receipt is found and the task runs again (``adoption.py``).

Relayed calls have no reservation: their usage row and its cost are one transaction, written after the call
(``usage/recorder.py``). Calls of the last half second before a crash may be lost; nobody is charged for them.

``tests/faults/test_books.py`` kills the process before and after each of these commits.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.catalog.fitting import Fitting
from app.catalog.price import ModelPrice
from app.catalog.prices import PriceRepository
from app.db.session import Database
from app.db.tables import ledger, receipts, round_money, tasks, usage
from app.errors import InvalidRequest, NotFound, OutcomeUnknown, RateLimited
from app.generation import GenerationRequest
from app.keys.key import ClientKey
from app.options import read_without_secrets
from app.tasks.cost_limits import TaskCost, limit_costs
from app.tasks.states import OPEN, TERMINAL
from app.tasks.task import TaskResult, add_timeline_row
from app.usage.budgets import BudgetTracker
from app.usage.ledger import (
    NOTHING,
    EndKind,
    ReservationEnd,
    end_reservations,
    has_open_reservation,
    reserve_money,
)
from app.usage.recorder import (
    COMPLETED,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    EndedTask,
    add_usage,
    count_ended,
    remove_usage,
    token_count,
)
from app.usage.settlement_options import SettlementOptions

BUSY_SECONDS = 5.0
"""``Retry-After`` for a key with too many tasks in flight. When the next one ends is unknown."""
MONEY_WORDS: Mapping[EndKind, str] = {"settle": "settled", "release": "released"}
"""What the column ``money`` says once a reservation is closed."""
LOCK_KIND = 727_003  # of PostgreSQL's advisory locks, one per key; the number is ours to choose
REPORTED_STATES = frozenset({COMPLETED, "failed"})
"""Tasks that ended so have a row of usage, with or without a cost."""
FAILED_TASK = 502
"""The status in the row of usage of a task that failed."""
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
    tasks.c.fitted,
    tasks.c.result,
    tasks.c.request_id,
    ledger.c.detail.label("agreed"),
    ledger.c.at.label("reserved_at"),
    ledger.c.amount.label("reserved"),
    sa.exists().where(receipts.c.task_id == tasks.c.id).label("accepted"),
)
_ENDED = sa.select(*_ENDED_COLUMNS).select_from(
    tasks.outerjoin(ledger, sa.and_(ledger.c.task_id == tasks.c.id, ledger.c.kind == "reserve"))
)
_INSERT_USAGE = sa.insert(usage).inline()
_ENDED_BY_ID = _ENDED.where(tasks.c.id.in_(sa.bindparam("ids", expanding=True)))
HELD = tasks.c.money == sa.literal_column("'held'")
"""Written as in the partial index, which is not used otherwise."""


@dataclass(frozen=True, slots=True)
class VendorWord:
    """What the vendor said about a task that ends without a film. ``made``: whether it was made, or goes on being made;
    None: nothing was said. ``usage``: what it cost, in the vendor's units."""

    made: bool | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)


SILENT = VendorWord()
NOT_MADE = VendorWord(made=False)
MADE = VendorWord(made=True)


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


@dataclass(frozen=True, slots=True)
class HeldMoney:
    """How many ended tasks hold money, and how much, in US dollars."""

    tasks: int
    amount: Decimal


class TaskBilling:
    """Estimates costs of new tasks, and settles held money as the operator decides."""

    def __init__(self, database: Database, prices: PriceRepository, budgets: BudgetTracker) -> None:
        self._database = database
        self._prices = prices
        self._budgets = budgets

    async def prepare_hold(
        self, request: GenerationRequest, key: ClientKey, *, fittings: Collection[Fitting | None] = (None,)
    ) -> BudgetHold:
        """``fittings``: what the accounts that may get it would be asked for. The dearest is reserved."""
        price = await self._prices.current_price(request.model)
        forms = [each.applied_to(request) if each else request for each in fittings]
        amount = max(price.estimate_request(form) for form in forms) if price else NOTHING
        return BudgetHold(key, request.model, price, amount, self._budgets)

    async def held_tasks(self, *, limit: int = 100) -> list[dict[str, Any]]:
        """Ended tasks whose money is held, oldest first."""
        columns = tasks.c.id, tasks.c.key_id, tasks.c.model, tasks.c.account_id, tasks.c.state
        query = (
            _held_rows(*columns, tasks.c.error_code, tasks.c.finished_at, ledger.c.amount)
            .order_by(tasks.c.id)
            .limit(limit)
        )
        async with self._database.read() as connection:
            return [dict(row._mapping) for row in await connection.execute(query)]

    async def held_money(self) -> HeldMoney:
        return await sum_held_money(self._database)

    async def settle_held(self, task_id: str, amount: Decimal | None) -> None:
        """Charge ``amount`` US dollars for an ended task whose money is held, or release all (None).

        Raises ``NotFound``, and ``InvalidRequest`` when nothing is held for it.
        """
        if amount is not None and not 0 <= amount <= 1_000_000:
            raise InvalidRequest("amount must be between 0 and 1000000 US dollars", param="amount")
        async with self._database.write() as connection:
            found = _ENDED.where(tasks.c.id == task_id).with_for_update(of=tasks)
            row = (await connection.execute(found)).first()
            if row is None:
                raise NotFound(f"No such task: {task_id[:100]}")
            cost = round_money(amount or NOTHING)
            closing = ReservationEnd(task_id, "release" if amount is None else "settle", cost)
            if row.state not in TERMINAL or not await end_reservations(connection, [closing]):
                raise InvalidRequest(f"Nothing is held for the task {task_id}: its account is closed.")
            await remove_usage(connection, row.id, row.key_id, at=_usage_time(row))
            await _record_ends(connection, [(row, closing)])
            await count_ended(connection, [_ended_outcome(row, cost)], tasks=0)
            await add_timeline_row(
                connection, task_id, epoch=0, event=closing.kind, detail={"by": "operator"}
            )


async def mark_unmarked_holds(database: Database) -> int:
    """Mark the tasks whose money an older version, beside this one, left reserved; how many."""
    # The first condition as in the partial index, which is not used otherwise.
    unknown = tasks.c.error_code == sa.literal_column(f"'{OutcomeUnknown.code}'"), tasks.c.money.is_(None)
    async with database.write_many() as connection:
        mark = sa.update(tasks).where(*unknown, has_open_reservation(tasks.c.id)).values(money="held")
        return (await connection.execute(mark)).rowcount


async def sum_held_money(database: Database) -> HeldMoney:
    query = _held_rows(sa.func.count().label("tasks"), sa.func.sum(ledger.c.amount).label("amount"))
    async with database.read() as connection:
        row = (await connection.execute(query)).one()
    return HeldMoney(int(row.tasks), row.amount or NOTHING)


def _held_rows(*columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    reserved = sa.and_(ledger.c.task_id == tasks.c.id, ledger.c.kind == "reserve")
    return sa.select(*columns).select_from(tasks.join(ledger, reserved)).where(HELD)


async def settle_ended_tasks(
    connection: AsyncConnection, task_ids: Sequence[str], *, word: VendorWord = SILENT, sent: bool = False
) -> dict[str, str]:
    """Settle, release or hold the reservations of tasks and record their usage. Call in the transaction that ends
    them, after their rows have changed. ``word``: what the vendor said; ``sent``: whether they may have reached it,
    which a receipt shows too. Returns what became of the money, by task id, where some was reserved."""
    if not task_ids:
        return {}
    rows = (await connection.execute(_ENDED_BY_ID, {"ids": list(task_ids)})).all()
    reserved = [row for row in rows if row.agreed is not None]
    silent = {row.id for row in reserved if _is_undecided(row, word, sent=sent)}
    options = await read_without_secrets(connection, SettlementOptions) if silent else SettlementOptions()
    ends: list[tuple[Any, ReservationEnd]] = []
    held = []
    for row in reserved:
        closing = _unconfirmed_end(row, options) if row.id in silent else _confirmed_end(row, word)
        if closing is None:
            held.append(row.id)
        else:
            ends.append((row, closing))
    limited = await limit_costs(connection, [_task_cost(row, closing) for row, closing in ends])
    ends = [(row, limited[row.id]) for row, _ in ends]
    closed = await end_reservations(connection, [closing for _, closing in ends])
    ends = [(row, closing) for row, closing in ends if row.id in closed]
    if held:
        await connection.execute(sa.update(tasks).where(tasks.c.id.in_(held)).values(money="held"))
    costs = {row.id: closing.amount for row, closing in ends}
    unpriced = [(row, None) for row in rows if row.state in REPORTED_STATES and row.id not in closed]
    await _record_ends(connection, [*ends, *unpriced])
    await count_ended(connection, [_ended_outcome(row, costs.get(row.id, NOTHING)) for row in rows])
    return dict.fromkeys(held, "held") | {row.id: MONEY_WORDS[closing.kind] for row, closing in ends}


async def recount_as_open(connection: AsyncConnection, task_id: str) -> None:
    """Take back the count of an ended task that is about to run again, in that transaction."""
    rows = (await connection.execute(_ENDED.where(tasks.c.id == task_id))).all()
    await count_ended(connection, [_ended_outcome(row, NOTHING) for row in rows], tasks=-1)
    for row in rows:
        await remove_usage(connection, row.id, row.key_id, at=_usage_time(row))


def _is_undecided(row: Any, word: VendorWord, *, sent: bool) -> bool:
    """Whether it may have cost money, and the vendor did not say."""
    return row.state != COMPLETED and word.made is None and (sent or bool(row.accepted))


def _unconfirmed_end(row: Any, options: SettlementOptions) -> ReservationEnd | None:
    """None: the money is held."""
    settlement = options.settlement_for(row.error_code)
    if settlement == "hold":
        return None
    return _confirmed_end(row, MADE if settlement == "charge" else NOT_MADE)


def _confirmed_end(row: Any, word: VendorWord) -> ReservationEnd:
    price = _agreed_price(row)
    if row.state == COMPLETED:
        result = TaskResult.model_validate_json(row.result) if row.result else TaskResult(files=())
        request = GenerationRequest.model_validate_json(row.request)
        if row.fitted:  # what was bought is what the vendor was asked for
            request = Fitting.model_validate_json(row.fitted).applied_to(request)
        return ReservationEnd(row.id, "settle", price.final_cost(request, result.files, result.usage))
    reported = price.reported_cost(word.usage)
    if reported is not None:
        return ReservationEnd(row.id, "settle", reported)
    return ReservationEnd(row.id, "settle", row.reserved) if word.made else ReservationEnd(row.id, "release")


def _task_cost(row: Any, closing: ReservationEnd) -> TaskCost:
    estimate = row.reserved if _agreed_price(row).has_estimate else None
    return TaskCost(closing, row.key_id, row.model, row.account_id or "", estimate)


def _agreed_price(row: Any) -> ModelPrice:
    return ModelPrice.model_validate(json.loads(row.agreed)["price"])


async def _record_ends(
    connection: AsyncConnection, ends: Sequence[tuple[Any, ReservationEnd | None]]
) -> None:
    """Write costs into the rows of tasks, and a usage row for each that was completed, charged or failed."""
    rows = []
    for row, closing in ends:
        cost = closing.amount if closing else NOTHING
        if closing is not None:
            values = {"cost": cost, "money": MONEY_WORDS[closing.kind]}
            await connection.execute(sa.update(tasks).where(tasks.c.id == row.id).values(values))
        if row.state in REPORTED_STATES or cost:
            rows.append(_usage_row(row, cost))
    if rows:
        await connection.execute(_INSERT_USAGE, rows)
        await add_usage(connection, rows)


def _usage_row(row: Any, cost: Decimal) -> dict[str, Any]:
    reported = TaskResult.model_validate_json(row.result).usage if row.result else {}
    return {
        "at": _usage_time(row),
        "key_id": row.key_id,
        "account_id": row.account_id or "",
        "model": row.model,
        "path": f"tasks/{row.kind}",
        "status": FAILED_TASK if row.state == "failed" else 200,
        "input_tokens": token_count(reported, INPUT_TOKENS) or None,
        "output_tokens": token_count(reported, OUTPUT_TOKENS) or None,
        "milliseconds": max(_end_time(row) - row.created_at, 0.0) * 1000,
        "cost": cost,
        "task_id": row.id,
        "request_id": row.request_id,
    }


def _usage_time(row: Any) -> float:
    """In the period whose budget paid for it."""
    return float(row.reserved_at if row.reserved_at is not None else row.created_at)


def _end_time(row: Any) -> float:
    return float(row.finished_at or clock.now())


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
