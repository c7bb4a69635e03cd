"""A refusal of one request is no verdict about an account: who is taken out, for whom, and how each comes back."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from app.accounts.recovery import AccountRecovery
from app.accounts.status import WHOLE_ACCOUNT
from app.errors import (
    NoAvailableAccount,
    RequestBlocked,
    UpstreamAuthFailed,
    UpstreamBusy,
    UpstreamQuotaExhausted,
)
from app.providers.base import Account
from tests.accounts.waiting import (
    account_status,
    accounts_by_task,
    admission,
    collect_notices,
    create_tasks,
    key,
    let_time_pass,
)
from tests.tasks.conftest import Bench, until

NAMES = ("a", "b", "c", "d", "e")
POISON = "UNION SELECT"
WALL = "<html><title>403 Forbidden</title>error code: 1010</html>"
BAD_KEY = {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}
MINUTES = 60.0


async def five_accounts(bench: Bench) -> list[Account]:
    return [await bench.account(name) for name in NAMES]


async def disabled(bench: Bench) -> list[str]:
    return [each.account.name for each in await bench.components.accounts.list_all() if not each.enabled]


async def look_again(bench: Bench) -> int:
    return await AccountRecovery(bench.components.pool).look_at_due()


@pytest.mark.parametrize(
    "wall",
    [
        {"status": 403, "text": WALL},
        {"status": 401, "text": WALL},
        {"status": 402, "text": ""},
        {"status": 407},
    ],
    ids=["403", "401", "402", "407"],
)
async def test_a_prompt_that_a_firewall_refuses_costs_nobody_an_account(
    bench: Bench, wall: dict[str, Any]
) -> None:
    await five_accounts(bench)
    bench.upstream.fault("create", prompt=POISON, times=None, **wall)
    await bench.work()
    poison = await bench.ended(await bench.create(f"{POISON} password", key=key("one")))
    others = [await bench.create(f"kite {number}", key=key("other")) for number in range(4)]
    assert {(await bench.ended(task)).state for task in others} == {"completed"}
    assert (poison.state, poison.error_code) == ("failed", "upstream_error")
    assert bench.upstream.counters().requests["create"] == 2 + len(others)
    assert await disabled(bench) == []
    assert not any(each.cooldowns for each in await bench.components.accounts.list_all())


async def test_the_only_account_answers_a_blocked_request_at_once(bench: Bench) -> None:
    await bench.account()
    bench.upstream.fault("create", prompt=POISON, status=403, text=WALL, times=None)
    await bench.work()
    assert (await bench.ended(await bench.create(POISON))).error_code == "upstream_error"
    assert (await bench.ended(await bench.create("a kite"))).state == "completed"


async def test_one_bad_key_is_taken_out_after_a_look_and_comes_back(bench: Bench) -> None:
    await five_accounts(bench)
    notices = collect_notices(bench)
    good = [f"secret-of-{name}" for name in NAMES]
    bench.upstream.script(keys=good[1:])
    await bench.work()
    tasks = [await bench.create(f"kite {number}") for number in range(8)]
    assert {(await bench.ended(task)).state for task in tasks} == {"completed"}
    found = await account_status(bench, "a")
    assert found.suspension is not None
    assert (found.enabled, found.suspension.by, found.suspension.key_id) == (False, "look", "tester")
    assert await look_again(bench) == 0  # not yet
    await let_time_pass(bench, 6 * MINUTES)
    assert await look_again(bench) == 0  # its key is still bad
    found = await account_status(bench, "a")
    assert found.suspension is not None
    assert found.suspension.looks == 1
    bench.upstream.script(keys=good)
    await let_time_pass(bench, 6 * MINUTES)
    assert await look_again(bench) == 0  # the second pause is longer
    await let_time_pass(bench, 6 * MINUTES)
    await until(lambda: _is_enabled(bench, "a", look=True))
    assert {each.topic for each in notices} >= {"account_disabled", "account_recovered"}


async def _is_enabled(bench: Bench, name: str, *, look: bool = False) -> bool:
    if look:
        await look_again(bench)
    return (await account_status(bench, name)).enabled


async def test_an_incident_of_the_vendor_takes_half_and_all_come_back(bench: Bench) -> None:
    made = await five_accounts(bench)
    bench.upstream.fault("any", status=401, body=BAD_KEY, times=None)
    cause = bench.components.catalog.cause_for("tester", "video", "sora-2")
    assert len(cause.account_ids) == 5
    pool = bench.components.pool
    onward = [
        await pool.record_refusal(account.id, "sora-2", UpstreamAuthFailed("401"), cause=cause)
        for account in made * 2
    ]
    assert Counter(onward[:5]) == {"any": 2, "one": 3}
    assert len(await disabled(bench)) == 2
    # Another key finds its own half only after the first one's is back.
    bench.upstream.script()
    await let_time_pass(bench, 6 * MINUTES)
    assert await look_again(bench) == 2
    assert await disabled(bench) == []


async def test_a_vendor_that_lists_its_models_to_anybody_is_tried_with_one_request(bench: Bench) -> None:
    await bench.account()
    notices = collect_notices(bench)
    bench.upstream.fault("create", status=401, body=BAD_KEY)
    await bench.work()
    assert (await bench.ended(await bench.create())).error_code == "no_available_account"
    found = await account_status(bench, "upstream")
    assert found.suspension is not None
    assert found.suspension.by == "refusal"
    await let_time_pass(bench, 6 * MINUTES)
    assert await look_again(bench) == 1
    trial = (await account_status(bench, "upstream")).cooldowns[WHOLE_ACCOUNT]
    assert (trial.code, trial.trial_at) == ("refused", 0.0)
    assert "account_recovered" not in {each.topic for each in notices}
    assert (await bench.ended(await bench.create())).state == "completed"
    await until(lambda: _has_no_cooldowns(bench))
    assert "account_recovered" in {each.topic for each in notices}


async def _has_no_cooldowns(bench: Bench) -> bool:
    return not (await account_status(bench, "upstream")).cooldowns


async def test_pauses_between_looks_grow_to_six_hours(bench: Bench) -> None:
    account = await bench.account()
    bench.upstream.script(keys=[])
    await bench.components.pool.record_refusal(account.id, "sora-2", UpstreamAuthFailed("401"))
    pauses = []
    for _ in range(9):
        found = (await account_status(bench, "upstream")).suspension
        assert found is not None
        assert found.next_look_at is not None
        pauses.append(found.next_look_at)
        await let_time_pass(bench, 7 * 3600.0)
        assert await look_again(bench) == 0
    begin = pauses[0] - 300.0
    assert [round((pause - begin) / 60) for pause in pauses[:4]] == [5, 10, 20, 40]
    assert round((pauses[-1] - begin) / 3600) == 6


async def test_looks_never_touch_what_the_operator_disabled(bench: Bench) -> None:
    account = await bench.account()
    await bench.components.pool.disable(account.id, reason="upstream answered 401")
    await bench.components.accounts.disable("upstream", reason="too dear")
    await let_time_pass(bench, 7 * 3600.0)
    assert await look_again(bench) == 0
    await bench.components.pool.record_refusal(account.id, "sora-2", UpstreamAuthFailed("401"))
    found = await account_status(bench, "upstream")
    assert found.suspension is not None
    assert (found.enabled, found.disabled_reason, found.suspension.by) == (False, "too dear", "operator")


async def test_another_secret_is_looked_at_at_once(bench: Bench) -> None:
    account = await bench.account()
    bench.upstream.script(keys=["new"])
    await bench.components.pool.record_refusal(account.id, "sora-2", UpstreamAuthFailed("401"))
    assert await disabled(bench) == ["upstream"]
    await bench.components.accounts.rotate_secret("upstream", "new")
    assert await look_again(bench) == 1


async def test_a_refusal_that_our_own_look_disproves_takes_nobody_out(bench: Bench) -> None:
    account = await bench.account()
    bench.upstream.script(keys=["secret-of-upstream"])
    pool = bench.components.pool
    for _ in range(2):
        assert await pool.record_refusal(account.id, "sora-2", UpstreamAuthFailed("403")) == "one"
    assert await pool.blocked_by(account.id, "sora-2") is None
    await pool.record_refusal(account.id, "sora-2", UpstreamAuthFailed("403"))
    cooldown = (await account_status(bench, "upstream")).cooldowns["sora-2"]
    assert (cooldown.code, round(cooldown.until - cooldown.since)) == ("blocked", 5)


@pytest.mark.parametrize(
    "error",
    [
        UpstreamBusy("429", retry_after=1800),
        UpstreamQuotaExhausted("402"),
        RequestBlocked("403"),
    ],
    ids=["named pause", "empty", "blocked"],
)
async def test_beyond_half_an_account_rests_for_one_key_alone(bench: Bench, error: Any) -> None:
    made = await five_accounts(bench)
    pool = bench.components.pool
    cause = bench.components.catalog.cause_for("tester", "video", "sora-2")
    for account in made * 3:
        await pool.record_refusal(account.id, "sora-2", error, cause=cause)
    out = [each for each in await bench.components.accounts.list_all() if each.is_out_because_of("tester", 0)]
    assert len(out) == 2
    await create_tasks(bench, 4)
    mine = await admission(bench).admit()
    assert mine == 0
    await create_tasks(bench, 3, of="other")
    assert await admission(bench).admit() == 3
    assert not {each.account.name for each in out} & set((await accounts_by_task(bench)).values())


async def test_many_refusals_at_once_need_one_look(bench: Bench) -> None:
    account = await bench.account()
    bench.upstream.script(keys=[], latency=0.2)
    pool = bench.components.pool
    error = UpstreamAuthFailed("401")
    await asyncio.gather(*(pool.record_refusal(account.id, "sora-2", error) for _ in range(20)))
    assert bench.upstream.counters().requests["models"] == 1
    assert await disabled(bench) == ["upstream"]


async def test_a_named_pause_of_an_hour_is_tested_after_ten_minutes(bench: Bench) -> None:
    account = await bench.account()
    await create_tasks(bench, 3)
    await bench.components.pool.record_refusal(account.id, "sora-2", UpstreamQuotaExhausted("402"))
    assert await admission(bench).admit() == 0
    with pytest.raises(NoAvailableAccount):  # an hour is too long to wait for
        await create_tasks(bench, 1)
    await let_time_pass(bench, 11 * MINUTES)
    await create_tasks(bench, 1)
    assert await admission(bench).admit() == 1


async def test_a_thousand_edits_of_an_account_keep_one_provider(bench: Bench) -> None:
    account = await bench.account()
    pool = bench.components.pool
    in_use = await pool.provider_by_id(account.id)
    for number in range(1000):
        pool.provider_for(Account(**{**_fields(account), "weight": number + 2.0}))
    providers = pool._providers
    assert len(providers._retired) <= 2  # the one that a run still uses, and the last
    assert in_use in providers._retired


def _fields(account: Account) -> dict[str, Any]:
    return {name: getattr(account, name) for name in account.__dataclass_fields__}
