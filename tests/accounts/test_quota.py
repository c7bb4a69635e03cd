"""Counted quotas: taken at dispatch, returned for tasks that were not accepted, refilled by period."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from app.accounts.definition import AccountChange, QuotaDraft
from app.accounts.rows import next_reset
from app.catalog.explanation import explain_accounts
from app.catalog.price import ModelPrice
from app.errors import NoAvailableAccount
from app.providers.base import Account
from app.validation import validate_document
from tests.accounts.waiting import account_status, admission, create_tasks, let_time_pass
from tests.tasks.conftest import Bench


async def limited(bench: Bench, **quota: object) -> Account:
    account = await bench.account(slots=50)
    draft = validate_document(QuotaDraft, quota, whole="quota")
    await bench.components.accounts.update("upstream", AccountChange(quota=draft))
    return account


async def left(bench: Bench) -> Decimal:
    quota = (await account_status(bench, "upstream")).quota
    assert quota is not None
    return quota.left


async def test_only_what_the_quota_allows_is_dispatched_in_a_period(
    bench: Bench,
) -> None:
    await limited(bench, limit=5, left=3, period="day")
    await create_tasks(bench, 10)
    by = admission(bench)
    assert [await by.admit(), await by.admit(), await left(bench)] == [3, 0, 0]
    [reason] = await explain_accounts(bench.components.catalog, "video", "sora-2")
    assert (reason.verdict, reason.until is not None) == ("quota_exhausted", True)
    await let_time_pass(bench, 86_400)
    assert [await by.admit(), await left(bench)] == [5, 0]


async def test_parallel_passes_never_take_more_than_is_left(bench: Bench) -> None:
    await limited(bench, limit=4)
    await create_tasks(bench, 12)
    counts = await asyncio.gather(*(admission(bench).admit() for _ in range(4)))
    assert (sum(counts), await left(bench)) == (4, 0)


@pytest.mark.parametrize(
    ("fault", "taken"),
    [
        (None, 1),
        ({"status": 429, "headers": {"Retry-After": "1"}}, 1),
        ({"status": 400}, 0),
        ({"status": 500}, 1),
        ({"status": 502}, 1),
    ],
    ids=["made", "refused and made later", "refused", "its own failure", "nobody knows"],
)
async def test_quota_of_tasks_that_were_not_accepted_is_returned(
    bench: Bench, fault: dict[str, object] | None, taken: int
) -> None:
    if fault is not None:
        bench.upstream.fault("create", **fault)
    await limited(bench, limit=10)
    await bench.work()
    await bench.ended(await bench.create())
    assert await left(bench) == 10 - taken


async def test_money_is_held_by_the_estimate_and_settled_by_the_cost(bench: Bench) -> None:
    await bench.components.money.prices.set_price("sora-2", ModelPrice(per_call=Decimal("0.4")))
    await limited(bench, limit=1, unit="usd")
    made = await create_tasks(bench, 5)
    by = admission(bench)
    # The third begins while something is left; nothing begins after it.
    assert [await by.admit(), await left(bench)] == [3, Decimal("-0.2")]
    await bench.components.repository.request_cancel(made[4].id, delete=False)
    await bench.work()
    for task in made[:3]:
        await bench.ended(task)
    assert await left(bench) == Decimal("-0.2")


async def test_tasks_do_not_wait_for_a_quota_without_a_period(bench: Bench) -> None:
    await limited(bench, limit=1, left=0)
    with pytest.raises(NoAvailableAccount, match=r"1 quota exhausted\.$"):
        await bench.create()


@pytest.mark.parametrize("status", [402, 429])
async def test_an_empty_account_is_left_until_its_reset_and_others_go_on(bench: Bench, status: int) -> None:
    body = {"error": {"code": "insufficient_quota", "message": "no credit left"}}
    bench.upstream.fault("create", status=status, body=body, key="secret-of-empty", times=None)
    await bench.account("empty")
    other = await bench.account("other", tier=1)
    await bench.work()
    ended = [await bench.ended(await bench.create(str(number))) for number in range(3)]
    assert {(task.state, task.account_id) for task in ended} == {("completed", other.id)}
    assert bench.upstream.counters().keys["secret-of-empty"] == 1
    [(place, rest)] = (await account_status(bench, "empty")).cooldowns.items()
    assert (place, rest.code, round(rest.until - rest.since)) == ("*", "quota_exhausted", 3600)


@pytest.mark.parametrize(
    ("period", "now", "reset"),
    [
        ("day", "2026-02-28T23:59:59", "2026-03-01"),
        ("day", "2028-02-28T12:00:00", "2028-02-29"),
        ("month", "2026-01-31T00:00:00", "2026-02-01"),
        ("month", "2026-12-31T23:59:59", "2027-01-01"),
    ],
)
def test_periods_begin_at_midnight_utc(period: str, now: str, reset: str) -> None:
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC).timestamp()
    found = next_reset(period, moment)  # type: ignore[arg-type]
    assert found == datetime.fromisoformat(reset).replace(tzinfo=UTC).timestamp()
    assert next_reset("none", moment) is None
