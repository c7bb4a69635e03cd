"""The ledger: in every order of events, sums are what rows add up to, and budgets hold."""

import asyncio
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import pytest
import sqlalchemy as sa

from app.db.session import Database
from app.db.tables import ledger, spending
from app.errors import InsufficientQuota
from app.usage.balance import LedgerImbalance, find_differences, find_imbalances
from app.usage.ledger import (
    ReservationEnd,
    budgets_by_period,
    end_reservations,
    period_names,
    read_spending,
    record_spending,
    seconds_to_next,
)
from app.usage.recorder import UsageRecorder, UsageRow
from app.usage.reserving import Reservation, reserve_money


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


NOW = at("2026-11-21T12:00:00")
MOMENTS = [at(text) for text in ("2026-11-30T23:59:59.9", "2026-12-01T00:00:00", "2026-12-01T12:00:00")]


@dataclass(frozen=True)
class Purse:
    id: str = "alice"
    owner: str = "key:alice"
    budget_total: Decimal | None = None
    budget_monthly: Decimal | None = None
    budget_daily: Decimal | None = None


async def hold(
    database: Database, purse: Purse, task: str, amount: str | Decimal, *, moment: float = NOW
) -> bool:
    try:
        async with database.write() as connection:
            wanted = Reservation(task, "film", Decimal(amount), moment, {})
            await reserve_money(connection, purse, [wanted])
    except InsufficientQuota:
        return False
    return True


async def end(database: Database, *closings: ReservationEnd) -> set[str]:
    async with database.write() as connection:
        return await end_reservations(connection, closings)


async def sums(database: Database, purse: Purse, period: str = "total") -> tuple[Decimal, Decimal]:
    async with database.read() as connection:
        return (await read_spending(connection, purse.id, [period]))[period]


async def wrong(database: Database) -> list[str]:
    async with database.read() as connection:
        assert await find_imbalances(connection) == []
        return await find_differences(connection)


async def test_rows_that_were_changed_by_hand_are_found(database: Database) -> None:
    for name in ("a", "b"):
        assert await hold(database, Purse(name), f"task of {name}", "1.5")
    assert await wrong(database) == []
    async with database.write() as connection:
        await connection.execute(
            sa.update(spending).where(spending.c.key_id == "b").values(spent=Decimal("0.2"))
        )
    async with database.read() as connection:
        assert await find_imbalances(connection) == [LedgerImbalance("b", Decimal(0), Decimal("-0.2"))]


async def test_reserved_settled_and_released_once(database: Database) -> None:
    purse = Purse(budget_total=Decimal(1))
    assert await hold(database, purse, "a", "0.40")
    assert await hold(database, purse, "b", "0.60")
    assert not await hold(database, purse, "c", "0.000000001")
    assert await sums(database, purse) == (Decimal(1), Decimal(0))
    assert await end(database, ReservationEnd("a", "settle", Decimal("0.15"))) == {"a"}
    assert await end(database, ReservationEnd("b", "release")) == {"b"}
    assert await sums(database, purse) == (Decimal(0), Decimal("0.15"))
    for again in (
        ReservationEnd("a", "release"),
        ReservationEnd("a", "settle", Decimal(1)),
        ReservationEnd("b", "release"),
    ):
        assert await end(database, again) == set()
    assert await end(database, ReservationEnd("nobody", "release")) == set()
    assert await sums(database, purse) == (Decimal(0), Decimal("0.15"))
    assert await wrong(database) == []


async def test_a_refused_reservation_leaves_no_trace(database: Database) -> None:
    purse = Purse(budget_daily=Decimal("0.10"), budget_monthly=Decimal(1))
    assert not await hold(database, purse, "too dear", "0.11")
    assert await hold(database, purse, "fits", "0.06")
    assert not await hold(database, purse, "no longer", "0.06")
    async with database.read() as connection:
        assert [row.task_id for row in await connection.execute(sa.select(ledger))] == ["fits"]
    # The month had room; what the day refused is not counted there either.
    assert await sums(database, purse, "2026-11") == (Decimal("0.06"), Decimal(0))


async def test_a_reservation_belongs_to_the_day_it_was_made_on(database: Database) -> None:
    purse = Purse(budget_daily=Decimal(1))
    before, after = MOMENTS[:2]
    assert await hold(database, purse, "late", "1", moment=before)
    assert not await hold(database, purse, "later", "1", moment=before)
    assert await hold(database, purse, "next day", "1", moment=after)
    assert await end(database, ReservationEnd("late", "release")) == {"late"}
    assert await sums(database, purse, "2026-11-30") == (Decimal(0), Decimal(0))
    assert await sums(database, purse, "2026-12-01") == (Decimal(1), Decimal(0))
    assert await wrong(database) == []


async def test_the_refusal_says_how_much_is_left_and_when_there_is_more(database: Database) -> None:
    purse = Purse(budget_daily=Decimal("1.5"), budget_total=Decimal(100))
    assert await hold(database, purse, "a", "1.25")
    with pytest.raises(
        InsufficientQuota, match=r"about \$0\.30, and \$0\.25 is left of the key's daily budget of \$1\.50"
    ) as told:
        async with database.write() as connection:
            await reserve_money(connection, purse, [Reservation("b", "m", Decimal("0.3"), NOW, {})])
    assert told.value.retry_after == 12 * 3600
    assert told.value.should_retry is False


async def test_a_thousand_parallel_reservations_never_pass_a_budget(database: Database) -> None:
    purse = Purse(budget_total=Decimal(10), budget_daily=Decimal("7.77"))
    at_once = asyncio.Semaphore(100)  # on a busy machine, a thousand would wait too long for a connection

    async def reserve(number: int) -> bool:
        async with at_once:
            return await hold(database, purse, f"t{number}", "0.1")

    done = await asyncio.gather(*(reserve(number) for number in range(1000)))
    assert sum(done) == 77
    assert await sums(database, purse) == (Decimal("7.7"), Decimal(0))
    assert await wrong(database) == []


async def test_parallel_ends_take_effect_once(database: Database) -> None:
    purse = Purse()
    assert await hold(database, purse, "a", "1")
    ways = [ReservationEnd("a", "settle", Decimal(1)), ReservationEnd("a", "release")] * 10
    closed = await asyncio.gather(*(end(database, way) for way in ways))
    assert sorted(map(len, closed)) == [0] * 19 + [1]
    reserved, spent = await sums(database, purse)
    assert reserved == 0
    assert spent in (0, 1)
    assert await wrong(database) == []


@pytest.mark.parametrize("seed", [1, 2])
async def test_sums_are_what_rows_add_up_to_whatever_happens(database: Database, seed: int) -> None:
    chance = random.Random(seed)
    purses = [Purse("a", budget_daily=Decimal(3), budget_total=Decimal(5)), Purse("b")]
    recorder = UsageRecorder(database)
    open_tasks: dict[str, Decimal] = {}
    for step in range(120):
        purse, moment = chance.choice(purses), chance.choice(MOMENTS)
        amount = Decimal(chance.randrange(0, 2_000_000_000)) / 1_000_000_000
        ids = sorted(open_tasks)
        match chance.choice(["hold", "hold", "settle", "release", "again", "relay"]):
            case "hold":
                if await hold(database, purse, f"t{step}", amount, moment=moment):
                    open_tasks[f"t{step}"] = amount
            case "settle" if ids:
                task = chance.choice(ids)
                cost = open_tasks.pop(task) * chance.randrange(0, 101) / 100
                assert await end(database, ReservationEnd(task, "settle", cost))
            case "release" if ids:
                task = chance.choice(ids)
                del open_tasks[task]
                assert await end(database, ReservationEnd(task, "release"))
            case "again":
                ended = f"t{chance.randrange(step + 1)}"
                if ended not in open_tasks:
                    assert not await end(database, ReservationEnd(ended, "settle", amount))
            case "relay" if purse.budget_total is None:
                recorder.add_row(UsageRow(moment, purse.id, "x", "bot", "/v1/x", 200, 1.0, cost=amount))
                assert await recorder.flush()
        async with database.read() as connection:
            rows = (await connection.execute(sa.select(spending))).all()
        assert all(row.reserved >= 0 and row.spent >= 0 for row in rows)
        for row in rows:
            budgets = {b for one in purses if one.id == row.key_id for m in MOMENTS
                       for p, b in budgets_by_period(one, m).items() if p == row.period}  # fmt: skip
            assert all(row.reserved + row.spent <= budget for budget in budgets)
    assert await wrong(database) == []
    async with database.read() as connection:
        held = {
            row.period: row.reserved
            for row in await connection.execute(sa.select(spending))
            if row.period == "total"
        }
    assert sum(held.values(), Decimal(0)) <= sum(open_tasks.values(), Decimal(0))


async def test_a_task_may_cost_more_than_was_reserved(database: Database) -> None:
    purse = Purse(budget_total=Decimal(1))
    assert await hold(database, purse, "a", "0.9")
    await end(database, ReservationEnd("a", "settle", Decimal("1.2")))
    assert await sums(database, purse) == (Decimal(0), Decimal("1.2"))
    assert not await hold(database, purse, "b", "0")
    assert await wrong(database) == []


async def test_relayed_costs_of_many_keys_are_summed(database: Database) -> None:
    async with database.write() as connection:
        await record_spending(
            connection, [("a", NOW, Decimal("0.1")), ("b", NOW, Decimal(2)), ("a", NOW, Decimal("0.2"))]
        )
        await record_spending(connection, [("a", NOW, Decimal(0))])
        await record_spending(connection, [])
    assert await sums(database, Purse("a")) == (Decimal(0), Decimal("0.3"))
    assert await sums(database, Purse("a"), "2026-11-21") == (Decimal(0), Decimal("0.3"))
    assert await sums(database, Purse("b")) == (Decimal(0), Decimal(2))


def test_periods_end_where_the_next_begin() -> None:
    assert period_names(NOW) == ("2026-11", "2026-11-21", "total")
    assert seconds_to_next("2026-11-21", NOW) == 12 * 3600
    assert seconds_to_next("2026-12", at("2026-12-31T00:00:00")) == 86400
    assert seconds_to_next("total", NOW) is None
