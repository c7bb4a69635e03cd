"""Rows of old tasks and of the ledger go; what is held or awaited stays, and no sum changes."""

from decimal import Decimal

import pytest
import sqlalchemy as sa

from app.db.operator_tables import webhook_attempts
from app.db.tables import (
    ledger,
    receipts,
    spending,
    tasks,
    timeline,
    usage,
    webhook_deliveries,
)
from app.errors import NotFound
from app.tasks import pruning
from app.tasks.pruning import prune_ledger, prune_tasks
from app.usage.balance import find_imbalances
from app.usage.ledger import ReservationEnd, end_reservations, record_spending
from app.usage.recorder import delete_old_rows
from app.usage.reserving import Reservation, reserve_money
from tests.tasks.conftest import KEY, Bench

DAY = 86_400.0
NOW = 1_800_000_000.0


async def add_task(bench: Bench, number: int, *, days: float, money: str = "settle", **told: object) -> str:
    """A task of so many days ago with what belongs to it."""
    task_id, at = f"{number:032x}", NOW - days * DAY
    row = {
        "id": task_id,
        "owner": KEY.owner,
        "key_id": KEY.id,
        "dialect": "test",
        "kind": "video",
        "model": "m",
        "request": "{}",
        "state": "completed",
        "fingerprint": "f",
        "created_at": at,
        "finished_at": at,
        "deadline_at": at,
        "purged": True,
    }
    delivery = {
        "id": f"wh_{number}",
        "task_id": task_id,
        "owner": KEY.owner,
        "receiver": "r",
        "url": "u",
        "event": "e",
        "next_at": at,
        "created_at": at,
    }
    async with bench.components.database.write() as connection:
        await connection.execute(sa.insert(tasks), row | told)
        note = {"task_id": task_id, "epoch": 1, "at": at}
        await connection.execute(sa.insert(timeline), note | {"event": "completed"})
        await connection.execute(sa.insert(receipts), note | {"account_id": "a", "operation": "{}"})
        state = "pending" if money == "awaited" else "delivered"
        await connection.execute(sa.insert(webhook_deliveries), delivery | {"state": state})
        attempt = {"delivery_id": f"wh_{number}", "at": at, "milliseconds": 1.0}
        await connection.execute(sa.insert(webhook_attempts), attempt)
        await reserve_money(connection, KEY, [Reservation(task_id, "m", Decimal(2), at, {})])
        if money != "held":
            await end_reservations(connection, [ReservationEnd(task_id, "settle", Decimal(1))])
            mine = ledger.c.task_id == task_id, ledger.c.kind == "settle"
            await connection.execute(sa.update(ledger).where(*mine).values(at=at))
    return task_id


async def count(bench: Bench, table: sa.Table) -> int:
    async with bench.components.database.read() as connection:
        return int((await connection.execute(sa.select(sa.func.count()).select_from(table))).scalar_one())


async def total(bench: Bench) -> tuple[Decimal, Decimal]:
    mine = spending.c.key_id == KEY.id, spending.c.period == "total"
    async with bench.components.database.read() as connection:
        assert await find_imbalances(connection) == []
        row = (await connection.execute(sa.select(spending).where(*mine))).one()
        return row.reserved, row.spent


async def test_old_tasks_go_with_all_that_belongs_to_them(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "BATCH_ROWS", 20)
    old = [await add_task(bench, number, days=100 + number / 100) for number in range(45)]
    kept = [
        await add_task(bench, 1000, days=100, money="held", state="failed"),
        await add_task(bench, 1001, days=100, money="awaited"),
        await add_task(bench, 1002, days=100, purged=False),
        await add_task(bench, 1003, days=80),
    ]
    before, database = await total(bench), bench.components.database
    assert await prune_tasks(database, now=NOW, days=90) == len(old)
    for table in (tasks, timeline, receipts, webhook_deliveries, webhook_attempts):
        assert await count(bench, table) == len(kept), table.name
    with pytest.raises(NotFound):
        await bench.components.tasks.get(old[0], KEY)
    assert (await bench.components.tasks.get(kept[3], KEY)).id == kept[3]
    assert await total(bench) == before


async def test_what_the_ledger_added_up_to_outlives_its_rows(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "BATCH_ROWS", 20)
    for number in range(45):
        await add_task(bench, number, days=500 - number / 100)
    held = await add_task(bench, 1000, days=500, money="held", state="failed")
    await add_task(bench, 1001, days=1)
    database = bench.components.database
    call = {
        "key_id": KEY.id,
        "account_id": "a",
        "model": "m",
        "path": "x",
        "status": 200,
        "milliseconds": 1.0,
    }
    async with database.write() as connection:
        await connection.execute(sa.insert(usage), [call | {"at": NOW - 200 * DAY, "cost": Decimal(3)}])
        await record_spending(connection, [(KEY.id, NOW - 200 * DAY, Decimal(3))])
    before = await total(bench)
    assert await prune_ledger(database, now=NOW, days=400) == 45
    await delete_old_rows(database, now=NOW, request_days=90, audit_days=365)
    assert (await count(bench, ledger), await count(bench, usage)) == (3, 0)
    assert await total(bench) == before == (Decimal(2), Decimal(49))
    async with database.write() as connection:  # the operator decides at last
        assert await end_reservations(connection, [ReservationEnd(held, "settle", Decimal(2))]) == {held}
    assert await total(bench) == (Decimal(0), Decimal(51))
    async with database.read() as connection:
        periods = set((await connection.execute(sa.select(spending.c.period))).scalars())
    assert {len(period) for period in periods} == {5, 6, 7, 10} and "pruned" in periods
    assert min(period for period in periods if len(period) == 10) > "2026-11"
