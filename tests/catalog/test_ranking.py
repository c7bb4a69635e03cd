"""The explanation names the account that admission and the relay take next, on both stores."""

from collections import Counter
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.accounts.status import CooldownCode
from app.catalog.catalog import Catalog
from app.catalog.explanation import chosen_text, explain_accounts
from app.db.tables import slots
from app.generation import Kind
from tests.accounts.waiting import admission, create_tasks, let_time_pass
from tests.relay.gateway import running_gateway
from tests.tasks.conftest import Bench
from tests.upstream import FakeUpstream


async def chosen_accounts(catalog: Catalog, kind: Kind, model: str) -> list[str]:
    explained = await explain_accounts(catalog, kind, model)
    assert [each.rank for each in explained if each.verdict == "chosen"] == [1] * sum(
        each.rank == 1 for each in explained
    )
    return [each.account for each in explained if each.verdict == "chosen"]


async def tasks_by_account(bench: Bench) -> Counter[str]:
    names = {each.account.id: each.account.name for each in await bench.components.pool.current_statuses()}
    async with bench.components.database.read() as connection:
        return Counter(names[row[0]] for row in await connection.execute(sa.select(slots.c.account_id)))


async def test_eight_tasks_go_where_the_explanation_says(bench: Bench) -> None:
    for name in ("one", "two"):
        await bench.account(name)
    by, named = admission(bench), []
    for _ in range(8):
        named.append(await chosen_accounts(bench.components.catalog, "video", "sora-2"))
        before = await tasks_by_account(bench)
        await create_tasks(bench, 1)
        assert await by.admit() == 1
        [taken] = await tasks_by_account(bench) - before
        assert taken in named[-1]
    assert await tasks_by_account(bench) == {"one": 4, "two": 4}
    # Equal accounts: either may be next; after one has a task, the other is.
    assert [len(each) for each in named] == [2, 1] * 4


async def test_unequal_accounts_go_by_order_tier_and_share(bench: Bench) -> None:
    await bench.account("heavy", weight=3.0, slots=3)
    await bench.account("light")
    await bench.account("spare", tier=1)
    by = admission(bench)
    for _ in range(8):
        named = await chosen_accounts(bench.components.catalog, "video", "sora-2")
        before = await tasks_by_account(bench)
        await create_tasks(bench, 1)
        await by.admit()
        [taken] = await tasks_by_account(bench) - before
        assert taken in named
        assert "spare" not in named


async def test_where_all_cool_down_one_request_each_tests_them(bench: Bench) -> None:
    pool, catalog, by = bench.components.pool, bench.components.catalog, admission(bench)
    accounts = [await bench.account(name) for name in ("one", "two")]
    await create_tasks(bench, 8)
    for _ in range(4):
        for account in accounts:
            await pool.start_cooldown(account.id, seconds=600, reason="503", code="busy", model="sora-2")
        assert await chosen_accounts(catalog, "video", "sora-2") == []  # not in the first seconds
        assert await by.admit() == 0
        await let_time_pass(bench, 6)
        before = await tasks_by_account(bench)
        assert await chosen_accounts(catalog, "video", "sora-2") == ["one", "two"]
        assert await by.admit() == 2
        assert await tasks_by_account(bench) - before == {"one": 1, "two": 1}
        # Both are being tested now.
        assert await chosen_accounts(catalog, "video", "sora-2") == []
        assert await by.admit() == 0
        for account in accounts:
            await bench.components.accounts.clear_cooldown(account.id)
    assert sum((await tasks_by_account(bench)).values()) == 8


@pytest.mark.parametrize("code", [None, "failing", "forbidden", "busy", "rate_limited"])
async def test_eight_calls_go_where_the_explanation_says(
    tmp_path: Path, database_url: str, upstream: FakeUpstream, code: CooldownCode | None
) -> None:
    async with running_gateway(tmp_path, database_url=database_url) as gateway:
        catalog = Catalog(gateway.pool)
        for name in ("one", "two"):
            account = await gateway.add_account(upstream.url, name=name)
            if code is not None:
                await gateway.pool.start_cooldown(
                    account.id, seconds=600, reason="x", code=code, model="vendor-bot"
                )
        for _ in range(8):
            named = await chosen_accounts(catalog, "text", "bot")
            before = Counter(upstream.counters().keys)
            response = await gateway.send_chat()
            taken = [key.removeprefix("sk-up-") for key in Counter(upstream.counters().keys) - before]
            assert (response.status_code == 200) == bool(taken)
            assert set(taken) <= set(named)
            assert bool(taken) == bool(named)


async def test_the_sentence_names_all_that_are_equal(bench: Bench) -> None:
    assert chosen_text(await explain_accounts(bench.components.catalog, "video", "sora-2")) is None
    await bench.account("one")
    assert (
        chosen_text(await explain_accounts(bench.components.catalog, "video", "sora-2"))
        == "one would be used."
    )
    await bench.account("two")
    explained = await explain_accounts(bench.components.catalog, "video", "sora-2")
    assert chosen_text(explained) == "One of one, two would be used."
    assert {each.text for each in explained} == {"one of 2 that would be used now"}
