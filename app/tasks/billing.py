"""A task's money: reserved when it is created; settled, released or held when it ends.

Money is what was bought. A task that may have reached a vendor is released only on the vendor's own word that it made
nothing (``VendorWord``); where the vendor said nothing, ``SettlementOptions`` decide, and hold the money by default.

Crash points. Each of these is one transaction with the task's own row, so there is nothing in between:

- ``check_and_reserve`` with the insert of the task: before its commit there is neither task nor reservation;
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

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, NamedTuple

import sqlalchemy as sa

from app import clock
from app.catalog.fitting import Fitting
from app.catalog.price import ModelPrice
from app.catalog.prices import PriceRepository
from app.db.among import among
from app.db.connection import AsyncConnection
from app.db.joined_writes import JoinedWrites
from app.db.operator_tables import rollup, usage_days, usage_hours
from app.db.session import Database
from app.db.tables import accounts, ledger, receipts, round_money, tasks, usage
from app.errors import InvalidRequest, NotFound
from app.generation import GenerationRequest
from app.keys.key import ClientKey
from app.options import read_without_secrets
from app.tasks.budget_hold import BudgetHold, agreed_price
from app.tasks.cost_limits import TaskCost, limit_costs, promised_bound
from app.tasks.held_money import HeldMoney, held_rows, sum_held_money
from app.tasks.made_films import VendorTold, film_figures
from app.tasks.states import JOINED, TERMINAL
from app.tasks.task import TaskResult, add_timeline_row, read_result
from app.usage.attempt_charges import charge_attempt
from app.usage.budgets import BudgetTracker
from app.usage.ledger import (
    NOTHING,
    EndKind,
    ReservationEnd,
    ReservedMoney,
    close_reserves,
    end_reservations,
)
from app.usage.recorder import (
    COMPLETED,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    EndedTask,
    count_ended,
    hourly_sums,
    token_count,
)
from app.usage.settlement_options import SettlementOptions
from app.usage.sums import ATTEMPT_PATH, daily_sums, fold_usage, remove_usage, sums_by_hour
from app.webhooks.outbox import TELLS

MONEY_WORDS: Mapping[EndKind, str] = {"settle": "settled", "release": "released"}
"""What the column ``money`` says once a reservation is closed."""
REPORTED_STATES = frozenset({COMPLETED, "failed"})
"""Tasks that ended so have a row of usage, with or without a cost."""
FAILED_TASK = 502
"""The status in the row of usage of a task that failed."""
_ENDED_COLUMNS = (
    tasks.c.id,
    tasks.c.key_id,
    tasks.c.kind,
    tasks.c.model,
    tasks.c.account_id,
    tasks.c.dialect,
    *(tasks.c[name] for name in ("state", "error_code", "created_at", "finished_at")),
    tasks.c.request,
    tasks.c.fitted,
    tasks.c.result,
    *(tasks.c[name] for name in ("request_id", "started_at", "upstream_model", "end_user", "tags")),
    accounts.c.provider,
    accounts.c.cost_factor,
    ledger.c.detail.label("agreed"),
    ledger.c.at.label("reserved_at"),
    ledger.c.owner.label("reserved_owner"),
    ledger.c.key_id.label("reserved_key"),
    ledger.c.model.label("reserved_model"),
    ledger.c.amount.label("reserved"),
    ledger.c.project_id,
    TELLS.label("tells"),
    tasks.c.cost.label("paid_before"),
    sa.exists()
    .where(receipts.c.task_id == tasks.c.id, receipts.c.epoch >= tasks.c.attempt_epoch)
    .label("accepted"),
)
_ENDED = sa.select(*_ENDED_COLUMNS).select_from(
    tasks.outerjoin(ledger, sa.and_(ledger.c.task_id == tasks.c.id, ledger.c.kind == "reserve")).outerjoin(
        accounts, accounts.c.id == tasks.c.account_id
    )
)
_ENDED_BY_ID = _ENDED.where(among(tasks.c.id, "ids"))


@dataclass(frozen=True, slots=True)
class VendorWord:
    """What the vendor said about a task that ends without a film. ``made``: whether it was made, or goes on being made;
    None: nothing was said. ``usage``: what it cost, in the vendor's units."""

    made: bool | None = None
    usage: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TaskOutcome:
    """What decides about the money of a task that ends. ``sent``: whether it may have reached the vendor, which a receipt
    shows too."""

    word: VendorWord
    sent: bool


SILENT = VendorWord()
NOT_MADE = VendorWord(made=False)
MADE = VendorWord(made=True)
UNSENT = TaskOutcome(SILENT, sent=False)
"""Of a task that waits: it was not sent, or was surely not accepted."""


class TaskBilling:
    """Estimates costs of new tasks, and settles held money as the operator decides."""

    def __init__(self, database: Database, prices: PriceRepository, budgets: BudgetTracker) -> None:
        self._database = database
        self._prices = prices
        self._budgets = budgets

    async def current_price(self, model: str) -> ModelPrice | None:
        return await self._prices.current_price(model)

    def prepare_hold(
        self,
        request: GenerationRequest,
        key: ClientKey,
        *,
        price: ModelPrice | None,
        fittings: Collection[Fitting | None] = (None,),
    ) -> BudgetHold:
        """``fittings``: what the accounts that may get it would be asked for. The dearest is reserved."""
        forms = [each.applied_to(request) if each else request for each in fittings]
        amount = max(price.estimate_request(form) for form in forms) if price else NOTHING
        return BudgetHold(key, request.model, price, amount, self._budgets)

    async def held_tasks(self, *, limit: int = 100) -> list[dict[str, Any]]:
        """Ended tasks whose money is held, oldest first."""
        columns = tasks.c.id, tasks.c.key_id, tasks.c.model, tasks.c.account_id, tasks.c.state
        query = (
            held_rows(*columns, tasks.c.error_code, tasks.c.finished_at, ledger.c.amount)
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
            stated = await remove_usage(connection, row.id, row.key_id, at=_usage_time(row))
            writes = JoinedWrites()
            _record_ends(writes, [(row, closing)], {row.id: stated})
            await writes.write(connection)
            await count_ended(connection, [_ended_outcome(row, cost)], tasks=0)
            await add_timeline_row(
                connection, task_id, epoch=0, event=closing.kind, detail={"by": "operator"}
            )


class SettledTask(NamedTuple):
    """A task that has just ended. ``row``: of ``_ENDED``; ``money``: what became of it, None where none was reserved;
    ``cost``: None where nothing was settled or released."""

    row: Any
    money: str | None
    cost: Decimal | None


async def settle_ended_tasks(
    connection: AsyncConnection, outcomes: Mapping[str, TaskOutcome], writes: JoinedWrites
) -> dict[str, SettledTask]:
    """Settle, release or hold the reservations of tasks, by id, and record their usage. Call in the transaction that ends
    them, after their rows have changed; ``writes`` are to be written in it too."""
    if not outcomes:
        return {}
    rows = (await connection.execute(_ENDED_BY_ID, {"ids": list(outcomes)})).all()
    reserved = [row for row in rows if row.agreed is not None]
    silent = {row.id for row in reserved if _is_undecided(row, outcomes[row.id])}
    options = await read_without_secrets(connection, SettlementOptions) if silent else SettlementOptions()
    ends: list[tuple[Any, ReservationEnd]] = []
    held = []
    for row in reserved:
        closing = (
            _unconfirmed_end(row, options) if row.id in silent else _confirmed_end(row, outcomes[row.id].word)
        )
        if closing is None:
            held.append(row.id)
        else:
            ends.append((row, closing))
    limited = await limit_costs(connection, [_task_cost(row, closing) for row, closing in ends])
    ends = [(row, limited[row.id]) for row, _ in ends]
    reserves = [_reserved_money(row) for row, _ in ends]
    closed = await close_reserves(connection, reserves, [closing for _, closing in ends], sums=writes)
    ends = [(row, closing) for row, closing in ends if row.id in closed]
    if held:
        await connection.execute(sa.update(tasks).where(tasks.c.id.in_(held)).values(money="held"))
    costs = {row.id: closing.amount for row, closing in ends}
    unpriced = [(row, None) for row in rows if row.id not in closed]
    _record_ends(writes, [*ends, *unpriced], {name: each.word.usage for name, each in outcomes.items()})
    writes.add_to_sums(rollup, hourly_sums(_ended_outcome(row, costs.get(row.id, NOTHING)) for row in rows))
    money = dict.fromkeys(held, "held") | {row.id: MONEY_WORDS[closing.kind] for row, closing in ends}
    return {row.id: SettledTask(row, money.get(row.id), costs.get(row.id)) for row in rows}


async def read_money_of(connection: AsyncConnection, task_id: str) -> Any:
    """For ``charge_failed_attempt``, before the task leaves its account."""
    return (await connection.execute(_ENDED_BY_ID, {"ids": [task_id]})).one()


async def charge_failed_attempt(
    connection: AsyncConnection, row: Any, word: VendorWord, *, code: str
) -> Decimal | None:
    """Charge what the vendor says that an attempt cost, whose task goes on: the reservation stays for the next one. None where
    nothing is reserved. Call in the transaction in which it goes on. Raises ``InsufficientQuota``."""
    cost = None
    if row.agreed is not None:
        reported = round_money(_agreed_price(row).reported_cost(word.usage) or NOTHING)
        closing = ReservationEnd(row.id, "settle", reported)
        cost = (await limit_costs(connection, [_task_cost(row, closing)]))[row.id].amount
    if cost:
        promised = promised_bound(row.request, row.paid_before)
        await charge_attempt(connection, _reserved_money(row), cost, promised=promised)
        paid = (row.paid_before or NOTHING) + cost
        await connection.execute(sa.update(tasks).where(tasks.c.id == row.id).values(cost=paid))
    used = _usage_row(row, cost or NOTHING, word.usage)
    if cost or used["vendor_cost"]:
        writes = JoinedWrites()
        _record_usage(writes, [used | {"path": f"{ATTEMPT_PATH}{row.kind}", "status": FAILED_TASK}])
        counted = replace(_ended_outcome(row, cost or NOTHING), outcome=code)
        writes.add_to_sums(rollup, hourly_sums([counted], tasks=0))
        await writes.write(connection)
    return cost


async def recount_as_open(connection: AsyncConnection, task_id: str) -> None:
    """Take back the count of an ended task that is about to run again, in that transaction."""
    rows = (await connection.execute(_ENDED.where(tasks.c.id == task_id))).all()
    await count_ended(connection, [_ended_outcome(row, NOTHING) for row in rows], tasks=-1)
    for row in rows:
        await remove_usage(connection, row.id, row.key_id, at=_usage_time(row))


def _is_undecided(row: Any, outcome: TaskOutcome) -> bool:
    """Whether it may have cost money, and the vendor did not say."""
    is_silent = row.state != COMPLETED and outcome.word.made is None
    return is_silent and (outcome.sent or bool(row.accepted))


def _unconfirmed_end(row: Any, options: SettlementOptions) -> ReservationEnd | None:
    """None: the money is held."""
    settlement = options.settlement_for(row.error_code)
    if settlement == "hold":
        return None
    return _confirmed_end(row, MADE if settlement == "charge" else NOT_MADE)


def _confirmed_end(row: Any, word: VendorWord) -> ReservationEnd:
    price = _agreed_price(row)
    if row.state == COMPLETED:
        result = read_result(row.result) if row.result else TaskResult(files=())
        request = GenerationRequest.model_validate_json(row.request)
        if row.fitted:  # what was bought is what the vendor was asked for
            request = Fitting.model_validate_json(row.fitted).applied_to(request)
        return ReservationEnd(row.id, "settle", price.final_cost(request, result.files, result.usage))
    reported = price.reported_cost(word.usage)
    if reported is not None:
        return ReservationEnd(row.id, "settle", reported)
    return ReservationEnd(row.id, "settle", row.reserved) if word.made else ReservationEnd(row.id, "release")


def _reserved_money(row: Any) -> ReservedMoney:
    place = row.reserved_at, row.reserved_owner, row.reserved_key, row.reserved_model
    return ReservedMoney(row.id, *place, row.reserved, row.project_id)


def _task_cost(row: Any, closing: ReservationEnd) -> TaskCost:
    estimate = row.reserved if _agreed_price(row).has_estimate else None
    return TaskCost(
        closing,
        row.key_id,
        row.model,
        row.account_id or "",
        estimate,
        promised_bound(row.request, row.paid_before),
        row.project_id,
    )


def _agreed_price(row: Any) -> ModelPrice:
    return agreed_price(row.agreed)


def _record_ends(
    writes: JoinedWrites,
    ends: Sequence[tuple[Any, ReservationEnd | None]],
    told: Mapping[str, VendorTold],
) -> None:
    """Write costs into the rows of tasks, and a usage row for each that was completed, charged or failed, or that its
    vendor charged. ``told``: what vendors said of tasks without a film, by task id."""
    rows, costs = [], []
    for row, closing in ends:
        cost = closing.amount if closing else NOTHING
        if closing is not None:
            whole = cost + (row.paid_before or NOTHING)
            costs.append({"id": row.id, "cost": whole, "money": MONEY_WORDS[closing.kind]})
        used = _usage_row(row, cost, told.get(row.id))
        if row.state in REPORTED_STATES or cost or used["vendor_cost"]:
            rows.append(used)
    writes.change(tasks, costs)
    _record_usage(writes, rows)


def _record_usage(writes: JoinedWrites, rows: Sequence[dict[str, Any]]) -> None:
    writes.insert(usage, rows)
    folded = fold_usage(rows)
    writes.add_to_sums(usage_days, daily_sums(folded))
    writes.add_to_sums(usage_hours, sums_by_hour(folded))


def _usage_row(row: Any, cost: Decimal, told: VendorTold) -> dict[str, Any]:
    reported = read_result(row.result).usage if row.result else {}
    return {
        "at": _usage_time(row),
        "key_id": row.key_id,
        "account_id": "" if row.account_id in (None, JOINED) else row.account_id,
        "model": row.model,
        "path": f"tasks/{row.kind}",
        "status": FAILED_TASK if row.state == "failed" else 200,
        "input_tokens": token_count(reported, INPUT_TOKENS) or None,
        "output_tokens": token_count(reported, OUTPUT_TOKENS) or None,
        "milliseconds": max(_end_time(row) - row.created_at, 0.0) * 1000,
        "cost": cost,
        "task_id": row.id,
        **{name: getattr(row, name) for name in ("request_id", "project_id", "end_user", "tags")},
        **film_figures(row, told),
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
