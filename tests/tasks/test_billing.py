"""A task's money on both stores: reserved, settled or released, each once."""

import asyncio
import time
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from app.catalog.price import ModelPrice, read_price
from app.db.operator_tables import rollup
from app.db.tables import ledger, spending, tasks, usage
from app.errors import InsufficientQuota, InvalidRequest, ModelNotAllowed, NotFound, RateLimited
from app.keys.key import ClientKey
from app.tasks.repository import StaleRun
from app.tasks.service import RequestContext
from app.tasks.task import Task
from app.usage.balance import find_differences
from tests.tasks.conftest import KEY, Bench
from tests.tasks.test_lifecycle import picture

DOLLAR = Decimal(1)
PURSE = KEY.model_copy(update={"budget_total": Decimal("0.5")})


async def priced(bench: Bench, **fields: Any) -> None:
    await bench.components.money.prices.set_price("sora-2", read_price(fields or {"per_call": "0.15"}))


async def money(bench: Bench, key: ClientKey = KEY) -> tuple[Decimal, Decimal]:
    """Reserved and spent in all, once the books are seen to be right."""
    async with bench.components.database.read() as connection:
        assert await find_differences(connection) == []
        rows = await connection.execute(
            sa.select(spending).where(spending.c.key_id == key.id, spending.c.period == "total")
        )
        row = rows.first()
    return (row.reserved, row.spent) if row else (Decimal(0), Decimal(0))


async def rows(bench: Bench, table: sa.Table) -> list[Any]:
    async with bench.components.database.read() as connection:
        return list((await connection.execute(sa.select(table))).all())


async def kinds(bench: Bench, task: Task) -> list[str]:
    return [row.kind for row in await rows(bench, ledger) if row.task_id == task.id]


async def test_held_at_creation_and_taken_from_what_came_back(bench: Bench) -> None:
    await bench.account()
    await priced(bench, per_second={"*": "0.1"})
    task = await bench.create(seconds=8)
    assert await money(bench) == (Decimal("0.8"), Decimal(0))
    # A new price is for new tasks.
    await priced(bench, per_second={"*": "100"})
    await bench.work()
    ended = await bench.ended(task)
    assert ended.result is not None
    seconds = ended.result.usage.get("seconds") or round(ended.result.files[0].seconds or 0)
    assert ended.cost == Decimal(str(seconds)) * Decimal("0.1") > 0
    assert await money(bench) == (Decimal(0), ended.cost)
    assert await kinds(bench, task) == ["reserve", "settle"]
    [used] = await rows(bench, usage)
    assert (used.task_id, used.cost, used.model, used.account_id) == (
        task.id, ended.cost, "sora-2", ended.account_id,
    )  # fmt: skip
    assert used.at == task.created_at
    [counted] = await rows(bench, rollup)
    assert (counted.outcome, counted.tasks, counted.cost) == ("completed", 1, ended.cost)


async def test_nothing_is_taken_for_a_failed_task(bench: Bench) -> None:
    bench.upstream.script(final="failed", error={"code": "moderation_blocked", "message": "no"})
    await bench.account()
    await priced(bench)
    await bench.work()
    task = await bench.ended(await bench.create())
    assert (task.state, task.cost) == ("failed", Decimal(0))
    assert await money(bench) == (Decimal(0), Decimal(0))
    assert await kinds(bench, task) == ["reserve", "release"]
    assert [(used.status, used.cost) for used in await rows(bench, usage)] == [(502, 0)]


async def test_nothing_is_given_back_twice(bench: Bench) -> None:
    """Cancelled again and again, by clients, the sweep and a run that was overtaken."""
    await bench.account()
    await priced(bench)
    other = await bench.create("stays")
    task = await bench.create()
    repository = bench.components.repository
    await asyncio.gather(*(repository.request_cancel(task.id, delete=n % 2 == 0) for n in range(6)))
    assert await repository.cancel_requeued() == []
    assert await repository.fail_overdue(time.time()) == []
    for code in ("failed", "cancelled"):
        with pytest.raises(StaleRun):
            await repository.move(task, "queued", code)  # type: ignore[arg-type]
    assert await kinds(bench, task) == ["reserve", "release"]
    assert await money(bench) == (Decimal("0.15"), Decimal(0))
    assert await kinds(bench, other) == ["reserve"]


async def test_overdue_and_requeued_tasks_give_their_money_back(bench: Bench) -> None:
    await bench.account()
    await priced(bench)
    purses = [KEY.model_copy(update={"id": f"k{n}", "owner": f"key:k{n}"}) for n in range(3)]
    made = [await bench.create(str(n), key=purses[n % 3]) for n in range(6)]
    assert sorted(await bench.components.repository.fail_overdue(time.time() + 10**6)) == sorted(
        t.id for t in made
    )
    for purse in purses:
        assert await money(bench, purse) == (Decimal(0), Decimal(0))
    [*counted] = await rows(bench, rollup)
    assert [(row.outcome, row.tasks) for row in counted] == [("deadline_exceeded", 6)]


async def test_a_budget_that_is_spent_stops_creation_and_nothing_else(bench: Bench) -> None:
    await bench.account()
    await priced(bench)
    made = [
        await bench.create(str(n), key=PURSE, context=RequestContext("test", f"key-{n}")) for n in range(3)
    ]
    with pytest.raises(InsufficientQuota):
        await bench.create("one more", key=PURSE, media=(picture(),))
    assert len(await rows(bench, tasks)) == 3
    files = bench.components.settings.data_dir / "files"
    assert [path for path in files.rglob("*") if path.is_file()] == []
    # Who asks again for what was made gets it, and may look at it and stop it.
    again = await bench.create("0", key=PURSE, context=RequestContext("test", "key-0"))
    assert again.id == made[0].id
    assert (await bench.components.tasks.get(made[0].id, PURSE)).state == "queued"
    assert (await bench.components.tasks.cancel(made[0])).state == "cancelled"
    assert (await bench.create("room again", key=PURSE)).state == "queued"
    # A model that costs nothing is there for a key that has nothing left.
    broke = PURSE.model_copy(update={"budget_total": Decimal(0)})
    assert (await bench.create("free", key=broke, model="free")).state == "queued"


async def test_parallel_creations_never_pass_a_budget_or_the_tasks_in_flight(bench: Bench) -> None:
    await bench.account()
    await priced(bench, per_call="0.01")
    purse = KEY.model_copy(update={"budget_total": Decimal("0.07")})
    busy = KEY.model_copy(update={"id": "busy", "owner": "key:busy", "tasks_limit": 5})
    many = [bench.create(str(n), key=key) for n in range(60) for key in (purse, busy)]
    done = await asyncio.gather(*many, return_exceptions=True)
    refused = [type(one) for one in done if not isinstance(one, Task)]
    assert refused.count(InsufficientQuota) == 53
    assert refused.count(RateLimited) == 55
    assert len(refused) == 108
    assert await money(bench, purse) == (Decimal("0.07"), Decimal(0))
    assert await money(bench, busy) == (Decimal("0.05"), Decimal(0))


async def test_one_task_in_flight_is_the_same_task_when_asked_for_twice(bench: Bench) -> None:
    await bench.account()
    single = KEY.model_copy(update={"tasks_limit": 1})
    asked = RequestContext("test", "the key")
    made = await asyncio.gather(*(bench.create(key=single, context=asked) for _ in range(10)))
    assert len({task.id for task in made}) == 1
    with pytest.raises(RateLimited) as told:
        await bench.create("another", key=single)
    assert told.value.retry_after
    await bench.components.tasks.cancel(made[0])
    await bench.create("another", key=single)


async def test_a_request_that_is_repeated_is_paid_for_once(bench: Bench) -> None:
    await bench.account()
    await priced(bench)
    asked = RequestContext("test", "the key")
    made = await asyncio.gather(*(bench.create(context=asked) for _ in range(5)))
    assert await money(bench) == (Decimal("0.15"), Decimal(0))
    await bench.work()
    await bench.ended(made[0])
    again = await bench.create(context=asked)
    assert (again.id, again.cost) == (made[0].id, Decimal("0.15"))
    assert await money(bench) == (Decimal(0), Decimal("0.15"))
    assert await kinds(bench, again) == ["reserve", "settle"]
    assert bench.upstream.counters().jobs == 1


async def test_a_model_that_a_key_may_not_use(bench: Bench) -> None:
    await bench.account()
    task = await bench.create()
    narrow = KEY.model_copy(update={"models": ("veo*",)})
    with pytest.raises(ModelNotAllowed):
        await bench.create("more", key=narrow)
    assert (await bench.create(model="veo3", key=narrow)).model == "veo3"
    assert (await bench.components.tasks.get(task.id, narrow)).id == task.id


@pytest.mark.parametrize("amount", [None, Decimal("0.11")])
async def test_what_nobody_knows_stays_held_until_the_operator_says(
    bench: Bench, amount: Decimal | None
) -> None:
    bench.upstream.fault("create", do="reset", times=1)
    await bench.account()
    await priced(bench)
    await bench.work()
    task = await bench.ended(await bench.create())
    assert (task.error_code, task.cost) == ("submission_unknown", None)
    assert await money(bench) == (Decimal("0.15"), Decimal(0))
    billing = bench.components.money.billing
    assert [row["id"] for row in await billing.held_tasks()] == [task.id]
    settled = await asyncio.gather(
        *(billing.settle_held(task.id, amount) for _ in range(4)), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in settled) == ["InvalidRequest"] * 3 + ["NoneType"]
    assert await money(bench) == (Decimal(0), amount or Decimal(0))
    found = await bench.components.repository.get(task.id)
    assert found is not None
    assert found.cost == (amount or Decimal(0))
    assert [used.cost for used in await rows(bench, usage)] == [amount or Decimal(0)]
    [counted] = await rows(bench, rollup)
    assert (counted.outcome, counted.tasks, counted.cost) == ("submission_unknown", 1, amount or Decimal(0))
    assert await billing.held_tasks() == []


async def test_the_operator_settles_only_what_is_unknown(bench: Bench) -> None:
    await bench.account()
    await priced(bench)
    billing, task = bench.components.money.billing, await bench.create()
    with pytest.raises(InvalidRequest):
        await billing.settle_held(task.id, None)
    with pytest.raises(NotFound):
        await billing.settle_held("nothing", None)
    with pytest.raises(InvalidRequest):
        await billing.settle_held(task.id, Decimal(-1))
    assert await money(bench) == (Decimal("0.15"), Decimal(0))


async def test_a_free_task_leaves_no_books_but_is_counted(bench: Bench) -> None:
    await bench.account()
    await bench.work()
    task = await bench.ended(await bench.create())
    assert (task.state, task.cost) == ("completed", None)
    assert await rows(bench, ledger) == await rows(bench, spending) == []
    [used] = await rows(bench, usage)
    assert (used.task_id, used.cost) == (task.id, Decimal(0))
    # Made while it was free, it stays free.
    early = await bench.create("early", model="other")
    await bench.components.money.prices.set_price("other", ModelPrice(per_call=DOLLAR))
    ended = await bench.ended(early)
    assert (ended.cost, await rows(bench, ledger)) == (None, [])
