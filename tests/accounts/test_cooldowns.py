"""Cooldowns: what each refusal starts, how they grow and end, and that faults of our own network start none."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path

import pytest

from app.accounts import cooldown_rules
from app.accounts.status import WHOLE_ACCOUNT, AccountStatus, Cooldown, Quota
from app.errors import (
    LocalConnectionsExhausted,
    NetworkDown,
    NoAvailableAccount,
    OutcomeUnknown,
    UpstreamAuthFailed,
    UpstreamBusy,
    UpstreamError,
    UpstreamFailed,
    UpstreamModelForbidden,
    UpstreamQuotaExhausted,
    UpstreamRejected,
    UpstreamUnreachable,
)
from app.providers.base import Account
from tests.accounts.waiting import (
    account_status,
    accounts_by_task,
    admission,
    collect_notices,
    create_tasks,
    let_time_pass,
)
from tests.tasks.conftest import Bench, replica, settings_for
from tests.upstream import FakeUpstream

BUSY, FAILED = UpstreamBusy("429"), UpstreamFailed("500")
ONE = AccountStatus(Account(id="a", provider="p", name="a"), enabled=True)
NAMED = AccountStatus(Account(id="a", provider="p", name="a", models={"public": "m"}), enabled=True)
COUNTED = AccountStatus(
    ONE.account, enabled=True, quota=Quota("count", Decimal(9), Decimal(1), "day", resets_at=1500.0)
)


@pytest.mark.parametrize(
    ("error", "of", "started"),
    [
        (UpstreamBusy("429", retry_after=7), ONE, ("m", "rate_limited", 7)),
        (UpstreamBusy("429", retry_after=0), ONE, ("m", "rate_limited", 1)),
        (UpstreamBusy("429", retry_after=1e12), ONE, ("m", "rate_limited", 3600)),
        (BUSY, ONE, ("m", "busy", 1)),
        (UpstreamQuotaExhausted("402"), ONE, (WHOLE_ACCOUNT, "quota_exhausted", 3600)),
        (UpstreamQuotaExhausted("402", retry_after=30), ONE, (WHOLE_ACCOUNT, "quota_exhausted", 30)),
        (UpstreamQuotaExhausted("402", retry_after=30), COUNTED, (WHOLE_ACCOUNT, "quota_exhausted", 500)),
        (UpstreamUnreachable("refused"), ONE, (WHOLE_ACCOUNT, "unreachable", 2)),
        (UpstreamModelForbidden("403"), NAMED, ("m", "forbidden", 3600)),
        (UpstreamModelForbidden("403"), ONE, None),
        (FAILED, ONE, ("m", "failing", 0)),
        (OutcomeUnknown("502"), ONE, ("m", "failing", 0)),
        (UpstreamRejected("no such size"), ONE, None),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_a_refusal_means(
    error: UpstreamError, of: AccountStatus, started: tuple[str, str, float] | None
) -> None:
    found = cooldown_rules.cooldowns_after(error, of, "m", before={}, now=1000.0)
    cooldowns = [(place, each.code, each.until - 1000.0) for place, each in found.items()]
    assert cooldowns == ([] if started is None else [started])


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (BUSY, [1, 2, 4, 8, 16, 32, 60, 60]),
        (FAILED, [0, 0, 30, 60, 120, 240, 480, 960, 1800, 1800]),
        (UpstreamUnreachable("refused"), [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]),
    ],
    ids=["busy", "failing", "unreachable"],
)
def test_each_refusal_in_a_row_cools_longer(error: UpstreamError, seconds: list[float]) -> None:
    now, before, found = 1000.0, dict[str, Cooldown](), []
    for _ in seconds:
        before |= cooldown_rules.cooldowns_after(error, ONE, "m", before=before, now=now)
        [cooldown] = before.values()
        found.append(cooldown.until - now)
        now = cooldown.until + 1.0
    assert found == seconds
    [again] = cooldown_rules.cooldowns_after(error, ONE, "m", before=before, now=now + 3000.0).values()
    assert again.strikes == 1  # so long after, it is another story


def test_ten_simultaneous_refusals_are_one_strike() -> None:
    before: dict[str, Cooldown] = {}
    for number in range(10):
        before |= cooldown_rules.cooldowns_after(BUSY, ONE, "m", before=before, now=1000.0 + number / 100)
    assert (before["m"].strikes, round(before["m"].until, 2)) == (1, 1001.09)


async def test_a_cooldown_is_of_one_model_and_an_empty_account_of_all(bench: Bench) -> None:
    account = await bench.account()
    pool = bench.components.pool
    await pool.record_refusal(account.id, "sora-2", UpstreamBusy("429", retry_after=60))
    await create_tasks(bench, 1, model="sora-2")
    [other] = await create_tasks(bench, 1, model="veo3")
    assert await admission(bench).admit() == 1
    assert list(await accounts_by_task(bench)) == [other.id]
    await pool.record_refusal(account.id, "sora-2", UpstreamQuotaExhausted("402"))
    assert {"sora-2", "veo3"} == {m for m in ("sora-2", "veo3") if await pool.blocked_by(account.id, m)}


async def test_an_answer_ends_a_series_of_failures(bench: Bench) -> None:
    account = await bench.account()
    pool = bench.components.pool
    for error in (FAILED, FAILED, None, FAILED, FAILED):
        if error is None:
            await pool.record_answer(account.id, "sora-2")
        else:
            await pool.record_refusal(account.id, "sora-2", error)
    assert await pool.blocked_by(account.id, "sora-2") is None
    await pool.record_refusal(account.id, "sora-2", FAILED)
    obstacle = await pool.blocked_by(account.id, "sora-2")
    assert obstacle is not None
    assert (obstacle.code, obstacle.text) == ("cooling", "500")


async def failing(bench: Bench, name: str = "upstream") -> Account:
    account = await bench.account(name)
    for _ in range(3):
        await bench.components.pool.record_refusal(account.id, "sora-2", FAILED)
    return account


async def test_a_series_of_failures_ends_by_one_real_request(bench: Bench) -> None:
    account = await failing(bench)
    await create_tasks(bench, 5)
    by = admission(bench)
    await let_time_pass(bench, 31)
    assert [await by.admit(), await by.admit(), await admission(bench).admit()] == [1, 0, 0]
    await bench.components.pool.record_answer(account.id, "sora-2")
    assert await by.admit() == 4
    assert (await account_status(bench, "upstream")).cooldowns == {}


async def test_two_replicas_send_one_trial(tmp_path: Path, database_url: str, upstream: FakeUpstream) -> None:
    settings = settings_for(tmp_path, database_url)
    async with replica(settings, upstream) as one, replica(settings, upstream) as other:
        await failing(one)
        await create_tasks(one, 5)
        await let_time_pass(one, 31)
        await other.components.pool.refresh()
        counts = await asyncio.gather(*(admission(each).admit() for each in (one, other, one, other)))
        assert sum(counts) == 1
        # The one that did not send it hears the answer.
        account = (await account_status(other, "upstream")).account
        await other.components.pool.record_answer(account.id, "sora-2")
        await one.components.pool.refresh()
        assert await admission(one).admit() == 4


async def test_a_failed_trial_starts_a_longer_cooldown(bench: Bench) -> None:
    account = await failing(bench)
    await create_tasks(bench, 1)
    await let_time_pass(bench, 31)
    assert await admission(bench).admit() == 1
    await bench.components.pool.record_refusal(account.id, "sora-2", FAILED)
    cooldown = (await account_status(bench, "upstream")).cooldowns["sora-2"]
    assert (cooldown.strikes, round(cooldown.until - cooldown.since)) == (4, 60)


async def test_a_trial_that_fails_for_another_reason_ends(bench: Bench) -> None:
    account = await failing(bench)
    await create_tasks(bench, 2)
    await let_time_pass(bench, 31)
    by = admission(bench)
    assert await by.admit() == 1
    await bench.components.pool.record_refusal(account.id, "sora-2", BUSY)
    assert [each.code for each in (await account_status(bench, "upstream")).cooldowns.values()] == ["busy"]
    await let_time_pass(bench, 2)
    assert await by.admit() == 1


async def test_a_trial_without_an_outcome_times_out(bench: Bench) -> None:
    await failing(bench)
    await create_tasks(bench, 3)
    by = admission(bench)
    await let_time_pass(bench, 31)
    assert await by.admit() == 1
    await let_time_pass(bench, 119)
    assert await by.admit() == 0
    await let_time_pass(bench, 2)
    assert await by.admit() == 1


@pytest.mark.parametrize(
    ("error", "tried"),
    [
        (UpstreamBusy("503"), True),
        (UpstreamUnreachable("refused"), True),
        (UpstreamBusy("429", retry_after=600), False),
        (UpstreamQuotaExhausted("402"), False),
    ],
    ids=["busy", "unreachable", "named pause", "quota"],
)
async def test_where_all_cool_down_estimated_cooldowns_are_tested_and_named_ones_are_not(
    bench: Bench, error: UpstreamError, tried: bool
) -> None:
    account = await bench.account()
    await create_tasks(bench, 5)  # before: nobody may wait for an account that has no credit
    for _ in range(7):
        await bench.components.pool.record_refusal(account.id, "sora-2", error)
        await let_time_pass(bench, 0.5 if error.retry_after else 300)
        await bench.components.pool.record_refusal(account.id, "sora-2", error)
    by = admission(bench)
    assert await by.admit() == 0  # not in the first moments
    await let_time_pass(bench, 5.1)
    assert await by.admit() == int(tried)
    assert await by.admit() == 0


async def test_a_cooling_account_is_not_tested_while_another_is_usable(bench: Bench) -> None:
    cooling = await bench.account("cooling")
    await bench.account("well", slots=1)
    await bench.components.pool.record_refusal(cooling.id, "sora-2", BUSY)
    await bench.components.pool.start_cooldown(
        cooling.id, seconds=60, reason="503", model="sora-2", code="busy"
    )
    await create_tasks(bench, 3)
    await let_time_pass(bench, 10)
    assert await admission(bench).admit() == 1
    assert list((await accounts_by_task(bench)).values()) == ["well"]


CLEARING: dict[str, Callable[[Bench], Awaitable[object]]] = {
    "clear": lambda bench: bench.components.accounts.clear_cooldown("upstream"),
    "clear one model": lambda bench: bench.components.accounts.clear_cooldown("upstream", model="sora-2"),
    "enable": lambda bench: bench.components.accounts.enable("upstream"),
    "time": lambda bench: let_time_pass(bench, 61),
}


@pytest.mark.parametrize("way", CLEARING)
async def test_a_cooldown_can_be_cleared_and_ends_by_itself(bench: Bench, way: str) -> None:
    account = await bench.account()
    await bench.components.pool.record_refusal(account.id, "sora-2", UpstreamBusy("too fast", retry_after=60))
    await create_tasks(bench, 1)
    by = admission(bench)
    assert await by.admit() == 0
    found = (await account_status(bench, "upstream")).cooldowns["sora-2"]
    assert (found.reason, found.code, round(found.until - found.since)) == ("too fast", "rate_limited", 60)
    assert abs(found.since - time.time()) < 30
    await CLEARING[way](bench)
    assert await by.admit() == 1


async def test_work_goes_on_when_a_cooldown_ends(bench: Bench) -> None:
    bench.upstream.fault("create", status=429, headers={"Retry-After": "1"})
    await bench.account()
    await bench.work()
    assert (await bench.ended(await bench.create())).state == "completed"
    assert bench.upstream.counters().requests["create"] == 2


async def test_a_refused_secret_disables_the_account_with_one_notice(bench: Bench) -> None:
    account = await bench.account()
    notices = collect_notices(bench)
    for _ in range(5):
        await bench.components.pool.record_refusal(
            account.id, "sora-2", UpstreamAuthFailed("401: no such key")
        )
    found = await account_status(bench, "upstream")
    assert (found.enabled, found.disabled_reason) == (False, "401: no such key")
    assert [(each.topic, each.data["name"], each.data["reason"]) for each in notices] == [
        ("account_disabled", "upstream", "401: no such key")
    ]


async def test_notices_of_a_cooldown_and_of_refused_clients(bench: Bench) -> None:
    account = await bench.account()
    notices = collect_notices(bench)
    for seconds in (50, 20):  # the shorter one changes nothing
        await bench.components.pool.record_refusal(
            account.id, "sora-2", UpstreamBusy("429", retry_after=seconds)
        )
    assert [(each.topic, each.data["code"], each.data["model"]) for each in notices] == [
        ("account_cooling_down", "rate_limited", "sora-2")
    ]
    assert round(notices[0].data["until"] - time.time(), -1) == 50
    del notices[:]
    await bench.components.accounts.disable("upstream")
    with pytest.raises(NoAvailableAccount, match=r"1 disabled\.$"):
        await bench.create()
    assert [(each.topic, each.data["model"]) for each in notices] == [("no_available_account", "sora-2")]
    assert notices[0].data["reason"].endswith("1 disabled.")


def other_host(number: int) -> str:
    return f"http://127.0.0.{number}:9/v1"


@pytest.mark.parametrize(
    ("errors", "cooling"),
    [
        ([(1, UpstreamUnreachable("x"))], {"1"}),
        ([(1, UpstreamUnreachable("x")), (2, UpstreamUnreachable("x"))], set()),
        ([(1, UpstreamUnreachable("x")), (1, UpstreamUnreachable("x"))], {"1"}),
        ([(1, UpstreamUnreachable("x")), (3, BUSY), (2, UpstreamUnreachable("x"))], {"1", "2", "3"}),
        ([(1, LocalConnectionsExhausted("no file left"))], set()),
        ([(1, NetworkDown("no route"))], set()),
        ([(3, BUSY), (1, NetworkDown("no route"))], {"1", "3"}),
    ],
    ids=["one host", "two hosts", "one twice", "others answer", "here", "no way out", "only there"],
)
async def test_faults_of_our_own_network_start_no_cooldown(
    bench: Bench, errors: list[tuple[int, UpstreamError]], cooling: set[str]
) -> None:
    made = {number: await bench.account(str(number), url=other_host(number)) for number in (1, 2, 3)}
    for number, error in errors:
        await bench.components.pool.record_refusal(made[number].id, "sora-2", error)
    found = {
        s.account.name for s in await bench.components.accounts.list_all() if s.active_cooldowns(time.time())
    }
    assert found == cooling
