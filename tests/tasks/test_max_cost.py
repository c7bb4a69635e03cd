"""``max_cost``: refused before anything is written, kept when a task moves on, and never exceeded by what is charged."""

import hashlib
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from app.catalog.price import read_price
from app.db.tables import ledger, tasks
from app.errors import InvalidRequest
from app.generation import GenerationRequest
from app.tasks.creation import request_fingerprint
from app.tasks.task import Task
from app.usage.balance import find_differences
from tests.tasks.conftest import KEY, Bench, until

CHEAP = {"capabilities": {"seconds": [1, 8]}}
DEAR = {"capabilities": {"seconds": [10, 20]}}


async def priced(bench: Bench, **fields: Any) -> None:
    await bench.components.money.prices.set_price("sora-2", read_price(fields))


async def written(bench: Bench) -> int:
    async with bench.components.database.read() as connection:
        counts = [
            (await connection.execute(sa.select(sa.func.count()).select_from(each))).scalar_one()
            for each in (tasks, ledger)
        ]
    return sum(counts)


async def two_accounts(bench: Bench) -> tuple[str, str]:
    """A cheap one that makes what is asked, and a dear one that makes longer films only."""
    cheap = await bench.account("cheap", options=CHEAP, tier=1)
    dear = await bench.account("dear", options=DEAR, lengths="at_least")
    return cheap.id, dear.id


async def account_of(bench: Bench, task: Task) -> str | None:
    found = await bench.components.repository.get(task.id)
    return found.account_id if found else None


async def test_what_costs_more_everywhere_is_refused_and_nothing_is_written(bench: Bench) -> None:
    await bench.account()
    await priced(bench, per_second={"*": "0.1"})
    with pytest.raises(InvalidRequest) as told:
        await bench.create(seconds=8, max_cost=Decimal("0.79"))
    assert told.value.param == "max_cost"
    assert "$0.80" in told.value.message and "$0.79" in told.value.message
    assert await written(bench) == 0
    assert (await bench.create(seconds=8, max_cost=Decimal("0.8"))).state == "queued"


async def test_an_account_that_is_dearer_is_passed_over(bench: Bench) -> None:
    cheap, dear = await two_accounts(bench)
    await priced(bench, per_second={"*": "0.1"})
    await bench.work()
    plain = await bench.ended(await bench.create(seconds=8))
    assert await account_of(bench, plain) == dear  # its tier is lower
    bounded = await bench.ended(await bench.create(seconds=8, max_cost=Decimal("0.9")))
    assert (bounded.state, await account_of(bench, bounded)) == ("completed", cheap)


async def test_it_holds_when_the_task_moves_on_to_an_account_that_came_later(bench: Bench) -> None:
    cheap = await bench.account("cheap", options=CHEAP)
    await priced(bench, per_second={"*": "0.1"})
    task = await bench.create(seconds=8, max_cost=Decimal("0.9"))
    # Judged when the task was created; this one was not there then, and comes first.
    dear = await bench.account("dear", options=DEAR, lengths="at_least", tier=-1)
    await bench.work()
    ended = await bench.ended(task)
    assert (ended.state, await account_of(bench, ended)) == ("completed", cheap.id)
    assert dear.id in ended.excluded_text
    assert set(bench.upstream.counters().jobs_by_key) == {"secret-of-cheap"}


async def test_a_vendors_figures_charge_no_more_than_was_promised(bench: Bench) -> None:
    bench.upstream.script(fields={"seconds": "20"})
    await bench.account()
    await priced(bench, per_second={"*": "0.1"})
    await bench.work()
    task = await bench.ended(await bench.create(seconds=8, max_cost=Decimal("0.85")))
    assert (task.state, task.cost) == ("completed", Decimal("0.85"))
    assert "cost.limited" in await bench.timeline(task)
    free = await bench.ended(await bench.create("no bound", seconds=8))
    assert free.cost == Decimal(2)
    async with bench.components.database.read() as connection:
        assert await find_differences(connection) == []


async def test_a_price_that_is_known_only_afterwards_is_bounded_too(bench: Bench) -> None:
    bench.upstream.script(fields={"usage": {"credits": 400}})
    await bench.account()
    await priced(bench, per_unit={"credits": "0.01"})
    await bench.work()
    task = await bench.ended(await bench.create(max_cost=Decimal("1.5")))
    assert (task.state, task.cost) == ("completed", Decimal("1.5"))


async def test_a_free_model_has_no_bound(bench: Bench) -> None:
    await bench.account()
    assert (await bench.create(max_cost=Decimal(0))).state == "queued"


async def test_requests_of_before_keep_their_fingerprints(bench: Bench) -> None:
    await bench.account()
    plain = (await bench.create()).request
    assert request_fingerprint(plain, None, "") != request_fingerprint(
        plain.model_copy(update={"max_cost": Decimal(1)}), None, ""
    )
    before = hashlib.sha256(plain.model_dump_json(exclude={"max_cost"}).encode()).hexdigest()
    assert request_fingerprint(plain, None, "") == before


async def test_a_quote_says_what_would_be_made_and_writes_nothing(bench: Bench) -> None:
    cheap, dear = await two_accounts(bench)
    await priced(bench, per_second={"*": "0.1"})
    service = bench.components.tasks

    async def quoted(**told: Any) -> Any:
        request = {"kind": "video", "model": "sora-2", "prompt": "p", "seconds": 8} | told
        return await service.quote(GenerationRequest.model_validate(request), key=KEY)

    found = await quoted()
    assert (found.candidate.account.id, found.price, found.reserved) == (dear, Decimal(1), Decimal(1))
    assert found.made.seconds == 10 and found.seconds is None
    bounded = await quoted(max_cost=Decimal("0.9"))
    assert (bounded.candidate.account.id, bounded.price, bounded.fitting) == (cheap, Decimal("0.8"), None)
    with pytest.raises(InvalidRequest) as told:
        await quoted(max_cost=Decimal("0.1"))
    assert told.value.param == "max_cost"
    assert await written(bench) == 0
    # Once enough have been made there, it says how long they take.
    await bench.work()
    for number in range(5):
        await bench.ended(await bench.create(str(number), seconds=8))
    bench.components.catalog.figures.expire()

    async def timed() -> bool:
        return (await quoted()).seconds is not None

    await until(timed)
