"""Budgets of relayed calls: held in memory, so that parallel calls can't exceed them."""

import asyncio
import time
from decimal import Decimal

import pytest

from app.db.session import Database
from app.errors import InsufficientQuota
from app.usage.budgets import BudgetTracker
from app.usage.recorder import UsageRecorder, UsageRow
from app.usage.reserving import Reservation, reserve_money
from tests.usage.test_ledger import Purse, hold, sums, wrong

CENT = Decimal("0.01")
PURSE = Purse(budget_total=Decimal(1))


async def test_parallel_calls_stop_at_the_budget(database: Database) -> None:
    budgets = BudgetTracker(database)
    done = await asyncio.gather(
        *(budgets.hold_estimate(PURSE, CENT) for _ in range(1000)), return_exceptions=True
    )
    assert sum(one is None for one in done) == 100
    assert {type(one) for one in done} <= {InsufficientQuota, type(None)}
    await budgets.close()


async def test_what_a_call_did_not_use_is_released(database: Database) -> None:
    budgets = BudgetTracker(database)
    await budgets.hold_estimate(PURSE, Decimal(1))
    with pytest.raises(InsufficientQuota):
        await budgets.hold_estimate(PURSE, CENT)
    budgets.release_hold(PURSE.id, estimate=Decimal(1), cost=Decimal("0.4"))
    await budgets.hold_estimate(PURSE, Decimal("0.6"))
    with pytest.raises(InsufficientQuota):
        await budgets.hold_estimate(PURSE, CENT)
    await budgets.close()


async def test_written_costs_are_counted_once(database: Database) -> None:
    budgets = BudgetTracker(database)
    recorder = UsageRecorder(database, budgets=budgets)
    for _ in range(3):
        await budgets.hold_estimate(PURSE, CENT)
        budgets.release_hold(PURSE.id, estimate=CENT, cost=Decimal("0.3"))
        recorder.add_row(UsageRow(time.time(), PURSE.id, "a", "bot", "/v1/x", 200, 1.0, cost=Decimal("0.3")))
        assert await recorder.flush()
    await budgets.hold_estimate(PURSE, Decimal("0.1"))
    with pytest.raises(InsufficientQuota):
        await budgets.hold_estimate(PURSE, CENT)
    assert await sums(database, PURSE) == (Decimal(0), Decimal("0.9"))
    assert await wrong(database) == []
    await budgets.close()


async def test_reservations_of_tasks_reduce_the_budget_of_calls(database: Database) -> None:
    assert await hold(database, PURSE, "task", "0.99", moment=time.time())
    budgets = BudgetTracker(database)
    await budgets.hold_estimate(PURSE, CENT)
    with pytest.raises(InsufficientQuota):
        await budgets.hold_estimate(PURSE, CENT)
    await budgets.close()


async def test_after_a_pause_a_call_waits_for_the_spending_of_others(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.usage.budgets.FRESH_SECONDS", 0.0)
    budgets = BudgetTracker(database)
    await budgets.hold_estimate(PURSE, Decimal(0))
    assert await hold(database, PURSE, "elsewhere", "1", moment=time.time())
    with pytest.raises(InsufficientQuota):
        await budgets.hold_estimate(PURSE, CENT)
    await budgets.close()


async def test_a_thousand_parallel_tasks_and_calls_never_pass_a_budget_together(database: Database) -> None:
    budgets, now = BudgetTracker(database), time.time()
    at_once = asyncio.Semaphore(100)  # on a busy machine, 500 writers would wait too long for a connection

    async def task(number: int) -> None:
        with budgets.announce_amount(PURSE, CENT, at=now):
            async with at_once, database.write() as connection:
                wanted = Reservation(str(number), "film", CENT, now, {})
                await reserve_money(connection, PURSE, [wanted], besides=budgets.outside_store(PURSE.id))

    async def call() -> None:
        await budgets.hold_estimate(PURSE, CENT)
        await asyncio.sleep(0)

    many = [work for number in range(500) for work in (task(number), call())]
    done = await asyncio.gather(*many, return_exceptions=True)
    assert {type(one) for one in done} <= {InsufficientQuota, type(None)}
    reserved, spent = await sums(database, PURSE)
    assert (reserved, spent) == (done[::2].count(None) * CENT, 0)
    assert reserved + budgets.outside_store(PURSE.id) == done.count(None) * CENT
    assert Decimal("0.9") < done.count(None) * CENT <= 1
    await budgets.close()


async def test_a_session_stops_when_the_budget_is_used_up(database: Database) -> None:
    budgets = BudgetTracker(database)
    await budgets.hold_estimate(PURSE, CENT)
    budgets.raise_holds([PURSE], Decimal("0.5"))
    with pytest.raises(InsufficientQuota):
        await budgets.hold_estimate(PURSE, Decimal("0.5"))
    with pytest.raises(InsufficientQuota):
        budgets.raise_holds([PURSE], Decimal("0.5"))
    budgets.release_hold(PURSE.id, estimate=Decimal("1.01"), cost=Decimal("0.2"))
    await budgets.hold_estimate(PURSE, Decimal("0.8"))
    await budgets.close()


async def test_spending_through_another_process_is_noticed(database: Database) -> None:
    budgets = BudgetTracker(database)
    await budgets.hold_estimate(PURSE, Decimal(0))
    assert await hold(database, PURSE, "elsewhere", "1", moment=time.time())

    async with asyncio.timeout(60):
        with pytest.raises(InsufficientQuota):
            while True:
                await budgets.hold_estimate(PURSE, CENT)
                budgets.release_hold(PURSE.id, estimate=CENT, cost=Decimal(0))
                await asyncio.sleep(0.05)
    await budgets.close()
