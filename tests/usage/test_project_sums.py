"""Money of a project's keys: reserved, settled, released and charged in both sums, and never beyond the project's budget."""

import asyncio
from dataclasses import dataclass, replace
from decimal import Decimal

import pytest
import sqlalchemy as sa

from app.db.operator_tables import projects
from app.db.session import Database
from app.db.tables import keys
from app.errors import InsufficientQuota
from app.keys.project import ProjectLimits
from app.tasks.pruning import prune_ledger
from app.usage.attempt_charges import charge_attempt
from app.usage.balance import LedgerImbalance, find_differences, find_imbalances
from app.usage.budgets import BudgetTracker
from app.usage.ledger import ReservationEnd, ReservedMoney, end_reservations, read_spending
from app.usage.recorder import UsageRecorder, UsageRow, delete_old_rows
from app.usage.reserving import KeyReservations, Reservation, reserve_for_keys
from tests.usage.test_ledger import NOW, Purse

CENT = Decimal("0.01")
TEAM = ProjectLimits("prj_aaaaaaaaaaaa", "films", budget_total=Decimal(1), budget_daily=Decimal("0.80"))


@dataclass(frozen=True)
class Mate(Purse):
    owner: str = TEAM.owner


ALICE, BOB, ZOE = Mate("alice"), Mate("bob", budget_total=Decimal("0.30")), Mate("zoe")
"""Two of them sort before the project's id, one behind it."""


async def hold(database: Database, *given: tuple[Mate, str, str], team: ProjectLimits = TEAM) -> bool:
    claims = [
        KeyReservations(key, [Reservation(task, "film", Decimal(amount), NOW, {})], team)
        for key, task, amount in given
    ]
    try:
        async with database.write() as connection:
            await reserve_for_keys(connection, claims, besides={})
    except InsufficientQuota as error:
        assert ("the project's" in error.message) != ("the key's" in error.message)
        return False
    return True


async def end(database: Database, *closings: ReservationEnd) -> None:
    async with database.write() as connection:
        await end_reservations(connection, closings)


async def sums(database: Database, holder: str = TEAM.id) -> tuple[Decimal, Decimal]:
    async with database.read() as connection:
        assert await find_imbalances(connection) == []
        assert await find_differences(connection) == []
        return (await read_spending(connection, holder, ["total"]))["total"]


async def test_a_task_is_reserved_and_closed_in_both(database: Database) -> None:
    assert await hold(database, (ALICE, "a", "0.40"), (BOB, "b", "0.30"))
    assert await sums(database) == (Decimal("0.70"), 0)
    assert not await hold(database, (BOB, "c", "0.01"))  # its own budget
    assert not await hold(database, (ZOE, "d", "0.11"))  # the project's day
    assert await sums(database, ZOE.id) == (0, 0)
    await end(database, ReservationEnd("a", "settle", Decimal("0.10")), ReservationEnd("b", "release"))
    await end(database, ReservationEnd("a", "release"))
    assert await sums(database) == (0, Decimal("0.10"))
    assert await sums(database, ALICE.id) == (0, Decimal("0.10"))
    assert await sums(database, BOB.id) == (0, 0)


async def test_a_group_is_reserved_as_a_whole_or_not_at_all(database: Database) -> None:
    assert not await hold(database, (ALICE, "a", "0.50"), (ZOE, "z", "0.40"))
    assert await sums(database) == await sums(database, ALICE.id) == (0, 0)


async def test_parallel_keys_never_exceed_the_project_and_never_wait_for_each_other_in_a_ring(
    database: Database,
) -> None:
    async def one(number: int) -> bool:
        order = (ALICE, ZOE) if number % 2 else (ZOE, ALICE)
        return await hold(database, *((key, f"{key.id} {number}", "0.05") for key in order))

    done = await asyncio.gather(*(one(number) for number in range(16)))
    assert sum(done) == 8
    assert await sums(database) == (Decimal("0.80"), 0)


async def test_what_was_reserved_without_a_project_is_closed_without_it(database: Database) -> None:
    async with database.write() as connection:
        wanted = [Reservation("old", "film", CENT, NOW, {})]
        await reserve_for_keys(connection, [KeyReservations(ALICE, wanted)], besides={})
    await end(database, ReservationEnd("old", "settle", CENT))
    assert await sums(database) == (0, 0)


async def test_a_row_that_was_changed_by_hand_is_found(database: Database) -> None:
    assert await hold(database, (ALICE, "a", "0.40"))
    async with database.write() as connection:
        await connection.execute(sa.text(f"UPDATE spending SET spent = 5 WHERE key_id = '{TEAM.id}'"))
        found = await find_imbalances(connection)
        assert found == [LedgerImbalance(TEAM.id, Decimal(0), Decimal("-0.000000005"))]


async def test_an_attempt_is_charged_in_both_within_the_projects_budget(database: Database) -> None:
    row = {"id": TEAM.id, "name": TEAM.name, "budget_total": Decimal("0.20"), "credited": Decimal("0.30")}
    async with database.write() as connection:
        await connection.execute(sa.insert(projects).values(**row, created_at=NOW))
    async with database.write() as connection:
        rich = {
            "id": ALICE.id,
            "name": "k",
            "project": TEAM.name,
            "hash": "h",
            "budget_daily": Decimal("0.50"),
        }
        await connection.execute(sa.insert(keys).values(**rich, created_at=NOW))
    assert await hold(database, (ALICE, "a", "0.40"))
    reserved = ReservedMoney("a", NOW, ALICE.owner, ALICE.id, "film", Decimal("0.40"), TEAM.id)
    async with database.write() as connection:
        await charge_attempt(connection, reserved, Decimal("0.10"), promised=None)
    with pytest.raises(InsufficientQuota, match="budget does not cover another attempt"):
        async with database.write() as connection:
            await charge_attempt(connection, reserved, CENT, promised=None)
    await end(database, ReservationEnd("a", "settle", Decimal("0.35")))
    assert await sums(database) == await sums(database, ALICE.id) == (0, Decimal("0.45"))


async def test_calls_are_booked_in_both_and_what_is_deleted_still_counts(database: Database) -> None:
    recorder = UsageRecorder(database)
    given = {"cost": CENT, "project_id": TEAM.id, "end_user": "u-1", "tags": '["blue"]'}
    for key in (ALICE, BOB):
        recorder.add_row(UsageRow(NOW, key.id, "x", "bot", "/v1/x", 200, 1.0, **given))
    await recorder.close()
    assert await sums(database) == (0, 2 * CENT)
    assert await hold(database, (ALICE, "a", "0.40"))
    await end(database, ReservationEnd("a", "settle", Decimal("0.40")))
    later = NOW + 1000 * 86_400.0
    await delete_old_rows(database, now=later, request_days=1, audit_days=1)
    await prune_ledger(database, now=later * 2, days=1)
    async with database.read() as connection:
        assert (await connection.execute(sa.text("SELECT count(*) FROM ledger"))).scalar() == 0
        assert (await connection.execute(sa.text("SELECT count(*) FROM usage"))).scalar() == 0
        assert await find_imbalances(connection) == []
        total = (await read_spending(connection, TEAM.id, ["total"]))["total"]
    assert total == (0, Decimal("0.42"))


async def test_a_call_is_held_for_both_or_for_none(database: Database) -> None:
    budgets = BudgetTracker(database)
    key, poor = Mate("alice", budget_total=Decimal(9)), replace(TEAM, budget_total=2 * CENT)
    await budgets.hold_for_all((key, poor), 2 * CENT)
    with pytest.raises(InsufficientQuota, match="project's total"):
        await budgets.hold_for_all((key, poor), CENT)
    assert budgets.outside_store(key.id) == budgets.outside_store(poor.id) == 2 * CENT
    with pytest.raises(InsufficientQuota):
        budgets.raise_holds((poor, key), CENT)
    assert budgets.outside_store(key.id) == budgets.outside_store(poor.id) == 3 * CENT
    for holder in (key, poor):
        budgets.release_hold(holder.id, estimate=3 * CENT, cost=CENT)
    recorder = UsageRecorder(database, budgets=budgets)
    recorder.add_row(UsageRow(NOW, key.id, "x", "bot", "/", 200, 1.0, cost=CENT, project_id=poor.id))
    await recorder.close()
    assert budgets.outside_store(key.id) == budgets.outside_store(poor.id) == 0
    await budgets.close()
