"""What each end of a task does with its money: charged, given back on the vendor's word only, or held."""

import time
from decimal import Decimal
from typing import Any

import pytest

from app.errors import InsufficientQuota
from app.tasks.held_money import mark_unmarked_holds
from app.tasks.task import Task
from app.usage.settlement_options import SettlementOptions
from tests.tasks.conftest import KEY, Bench
from tests.tasks.test_billing import kinds, money, priced
from tests.tasks.test_lifecycle import set_task

PRICE, NOTHING = Decimal("0.5"), Decimal(0)
REFUSED: dict[str, Any] = {"on": "delete", "do": "status", "status": 409, "times": None}


async def running(bench: Bench, *, worker: bool = True, **told: Any) -> Task:
    """A priced task that its vendor works on, for as long as the script says."""
    await bench.account()
    await priced(bench, per_call="0.5")
    if worker:
        await bench.work()
    return await bench.reaches(await bench.create(**told), "running")


async def end_of(bench: Bench, task: Task) -> tuple[str, str | None, str | None]:
    found = await bench.ended(task)
    return found.state, found.error_code, found.money


@pytest.mark.parametrize("delete", [False, True], ids=["cancel", "delete"])
async def test_a_key_with_one_dollar_cannot_buy_by_cancelling_what_is_in_progress(
    bench: Bench, *, delete: bool
) -> None:
    bench.upstream.script(job_seconds=600)
    bench.upstream.fault(**REFUSED)
    await bench.account()
    await priced(bench, per_call="0.5")
    await bench.work()
    purse, refused = KEY.model_copy(update={"budget_total": Decimal(1)}), 0
    for number in range(20):
        try:
            task = await bench.create(str(number), key=purse)
        except InsufficientQuota:
            refused += 1
            continue
        await bench.reaches(task, "running")
        await (bench.components.tasks.delete(task) if delete else bench.components.tasks.cancel(task))
        assert await end_of(bench, task) == ("cancelled", "cancelled", "settled")
        assert await kinds(bench, task) == ["reserve", "settle"]
    assert (refused, bench.upstream.counters().jobs) == (18, 2)
    assert await money(bench) == (NOTHING, Decimal(1))


@pytest.mark.parametrize(
    ("fault", "became", "spent"),
    [
        (None, "released", NOTHING),
        (REFUSED, "settled", PRICE),
        (REFUSED | {"do": "reset"}, "settled", PRICE),
    ],
    ids=["agreed", "refused", "no answer"],
)
async def test_only_the_vendors_yes_to_a_cancel_is_free(
    bench: Bench, fault: dict[str, Any] | None, became: str, spent: Decimal
) -> None:
    bench.upstream.script(job_seconds=600)
    if fault:
        bench.upstream.fault(**fault)
    task = await running(bench)
    await bench.components.tasks.cancel(task)
    assert await end_of(bench, task) == ("cancelled", "cancelled", became)
    assert await money(bench) == (NOTHING, spent)


async def test_a_vendor_that_deletes_what_it_has_made_is_paid(bench: Bench) -> None:
    """Its "yes" to DELETE is about the file: the film was made between two polls."""
    bench.upstream.script(statuses=["in_progress", "in_progress", "completed"], poll_after_ms=600_000)
    task = await running(bench)
    await bench.upstream.until(lambda counters: counters.polls and max(counters.polls.values()) >= 1)
    bench.upstream.script(statuses=["completed"])
    await bench.components.tasks.delete(task)
    assert await end_of(bench, task) == ("cancelled", "cancelled", "settled")
    assert await money(bench) == (NOTHING, PRICE)


async def test_what_is_cancelled_while_it_is_copied_was_made(bench: Bench) -> None:
    bench.upstream.fault("content", do="status", status=503, times=None)
    await bench.account()
    await priced(bench, per_call="0.5")
    await bench.work()
    task = await bench.reaches(await bench.create(), "storing")
    await bench.components.tasks.cancel(task)
    assert await end_of(bench, task) == ("cancelled", "cancelled", "settled")


async def test_cancelled_on_its_way_with_a_lost_answer_is_held(bench: Bench) -> None:
    bench.upstream.script(latency=0.5, job_seconds=600)
    bench.upstream.fault("create", do="reset", accepts=True)
    await bench.account()
    await priced(bench, per_call="0.5")
    await bench.work()
    task = await bench.is_on_its_way(await bench.create())
    await bench.components.tasks.delete(task)
    assert await end_of(bench, task) == ("failed", "submission_unknown", "held")
    assert await money(bench) == (PRICE, NOTHING)


async def test_cancelled_while_its_worker_is_dead(bench: Bench) -> None:
    bench.upstream.script(job_seconds=600)
    bench.upstream.fault(**REFUSED)
    task = await running(bench)
    await bench.workers[0].stop()
    await bench.components.repository.request_cancel(task.id, delete=True)
    assert await bench.components.repository.cancel_requeued() == []
    assert await money(bench) == (PRICE, NOTHING)
    await bench.work()
    assert await end_of(bench, task) == ("cancelled", "cancelled", "settled")


async def test_a_failure_costs_what_the_vendor_says_that_it_used(bench: Bench) -> None:
    bench.upstream.script(final="failed", error={"message": "out of memory"}, failed_usage={"credits": 3})
    await bench.account()
    await priced(bench, per_call="0.5", per_unit={"credits": "0.01"})
    await bench.work()
    task = await bench.create()
    assert await end_of(bench, task) == ("failed", "upstream_error", "settled")
    assert await money(bench) == (NOTHING, Decimal("0.03"))


async def overdue(bench: Bench) -> Task:
    bench.upstream.fault(**REFUSED)
    task = await running(bench)
    await set_task(bench, task, deadline_at=time.time() - 1)
    await bench.workers[0].stop()
    await bench.work()
    return task


async def without_account(bench: Bench) -> Task:
    task = await running(bench)
    await bench.workers[0].stop()
    await bench.components.accounts.remove("upstream", force=True)
    await bench.work()
    return task


async def expired(bench: Bench) -> Task:
    bench.upstream.script(statuses=["in_progress", "expired"])
    await bench.account()
    await priced(bench, per_call="0.5")
    await bench.work()
    return await bench.create()


@pytest.mark.parametrize(
    ("policy", "became", "after"),
    [
        ("hold", "held", (PRICE, NOTHING)),
        ("charge", "settled", (NOTHING, PRICE)),
        ("release", "released", (NOTHING, NOTHING)),
    ],
)
async def test_an_end_without_a_word_follows_the_operators_policy(
    bench: Bench, policy: str, became: str, after: tuple[Decimal, Decimal]
) -> None:
    bench.upstream.script(job_seconds=600)
    await bench.components.options.write(SettlementOptions, {"account_removed": policy})
    task = await without_account(bench)
    assert await end_of(bench, task) == ("failed", "account_removed", became)
    assert await money(bench) == after


@pytest.mark.parametrize(
    ("ends", "code"),
    [(overdue, "deadline_exceeded"), (expired, "expired")],
    ids=["overdue", "expired"],
)
async def test_money_is_held_unless_the_operator_says_otherwise(bench: Bench, ends: Any, code: str) -> None:
    bench.upstream.script(job_seconds=600)
    task = await ends(bench)
    assert await end_of(bench, task) == ("failed", code, "held")
    assert await money(bench) == (PRICE, NOTHING)
    billing = bench.components.money.billing
    assert [each["id"] for each in await billing.held_tasks()] == [task.id]
    assert (await billing.held_money()).amount == PRICE
    timeline = await bench.components.repository.read_timeline(task.id)
    assert timeline[-1]["detail"]["money"] == "held"
    await billing.settle_held(task.id, Decimal("0.2"))
    assert await money(bench) == (NOTHING, Decimal("0.2"))
    assert (await bench.ended(task)).money == "settled"
    assert (await billing.held_money()).tasks == 0


async def test_whoever_ends_a_task_with_a_receipt_keeps_its_money(bench: Bench) -> None:
    """Sweeps end tasks that wait. One of them that has a receipt after all, as a late worker leaves it, is held."""
    bench.upstream.script(job_seconds=600)
    first = await running(bench)
    await bench.workers[0].stop()
    made = [first, *[await bench.create(str(number)) for number in range(3)]]
    receipt = (await bench.components.repository.get(first.id)) or first
    assert receipt.operation is not None
    for task in made:
        await set_task(bench, task, state="queued", account_id=None)
    repository = bench.components.repository
    await set_task(bench, first, cancel_requested=True)
    assert await repository.cancel_requeued() == [first.id]
    assert len(await repository.fail_overdue(time.time() + 10**6)) == 3
    ends = [(await bench.ended(task)).money for task in made]
    assert ends == ["held", "released", "released", "released"]


async def test_what_an_older_version_left_reserved_is_held(bench: Bench) -> None:
    bench.upstream.fault(on="create", do="reset")
    await bench.account()
    await priced(bench, per_call="0.5")
    await bench.work()
    task = await bench.create()
    assert await end_of(bench, task) == ("failed", "submission_unknown", "held")
    await bench.workers[0].stop()  # it does the same, every minute
    await set_task(bench, task, money=None)
    assert await mark_unmarked_holds(bench.components.database) == 1
    assert [each["id"] for each in await bench.components.money.billing.held_tasks()] == [task.id]
    assert await mark_unmarked_holds(bench.components.database) == 0
