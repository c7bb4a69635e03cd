"""The cheapest, fastest or most reliable accounts of a step first, by our own tasks, on both stores."""

import time
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from app.catalog.explanation import AccountExplanation, explain_accounts
from app.catalog.route_documents import read_route
from app.db.operator_tables import usage_days
from app.db.session import add_to_sums
from app.db.tables import tasks
from app.errors import InvalidRequest
from app.tasks.task import new_id
from tests.accounts.waiting import admission, create_tasks
from tests.tasks.conftest import KEY, Bench

DAY = 86_400


async def step(bench: Bench, prefer: str, *more: dict[str, Any]) -> None:
    document = {"model": "sora-2", "candidates": [{"any": True, "prefer": prefer}, *more]}
    await bench.components.catalog.routes.put(read_route(document))


async def past(
    bench: Bench,
    account: str,
    *,
    seconds: float = 10.0,
    completed: int = 5,
    failed: int = 0,
    code: str = "upstream_error",
) -> None:
    """Tasks that ended there a minute ago."""
    end = time.time() - 60
    rows = [
        {
            "id": new_id(end - seconds), "owner": KEY.owner, "key_id": KEY.id, "dialect": "test", "kind": "video",
            "model": "sora-2", "request": "{}", "state": "completed" if number < completed else "failed",
            "account_id": account, "upstream_model": "sora-2", "fingerprint": "f", "created_at": end - seconds,
            "started_at": end - seconds, "finished_at": end, "deadline_at": end + DAY,
            "error_code": None if number < completed else code,
        }
        for number in range(completed + failed)
    ]  # fmt: skip
    async with bench.components.database.write() as connection:
        await connection.execute(sa.insert(tasks), rows)
    bench.components.catalog.figures.expire()


async def charged(bench: Bench, account: str, dollars: str, *, unknown: int = 0) -> None:
    """Five films of ten seconds together."""
    row = {
        "day": int(time.time() // DAY), "key_id": KEY.id, "account_id": account, "model": "sora-2", "requests": 5,
        "failed": 0, "input_tokens": 0, "output_tokens": 0, "cost": Decimal(0), "films": 5,
        "film_milliseconds": 10_000, "vendor_cost": Decimal(dollars), "unknown_costs": unknown,
    }  # fmt: skip
    async with bench.components.database.write() as connection:
        await add_to_sums(connection, usage_days, [row])
    bench.components.catalog.figures.expire()


async def explained(bench: Bench) -> dict[str, AccountExplanation]:
    found = await explain_accounts(bench.components.catalog, "video", "sora-2")
    return {each.account: each for each in found}


async def ranks(bench: Bench) -> dict[str, int | None]:
    return {name: each.rank for name, each in (await explained(bench)).items()}


async def test_the_fastest_gets_the_tasks_while_it_has_a_slot(bench: Bench) -> None:
    slow, quick = await bench.account("slow", tier=-1), await bench.account("quick", slots=2)
    await step(bench, "fastest")
    await past(bench, slow.id, seconds=90)
    await past(bench, quick.id, seconds=30)
    assert await ranks(bench) == {"quick": 1, "slow": 2}
    found = await explained(bench)
    assert (found["quick"].prefer, round(found["quick"].figure or 0)) == ("fastest", 30)
    by, names = admission(bench), {slow.id: "slow", quick.id: "quick"}
    await create_tasks(bench, 3)
    assert await by.admit() == 3
    async with bench.components.database.read() as connection:
        query = sa.select(tasks.c.account_id).where(tasks.c.state == "queued")
        taken = sorted(names[row[0]] for row in await connection.execute(query))
    assert taken == ["quick", "quick", "slow"]


async def test_the_most_reliable_is_who_fails_least_by_its_own_fault(bench: Bench) -> None:
    shaky, sure = await bench.account("shaky"), await bench.account("sure")
    await step(bench, "most_reliable")
    await past(bench, shaky.id, completed=5, failed=5)
    await past(bench, sure.id, completed=5, failed=0)
    await past(bench, sure.id, completed=0, failed=9, code="content_policy_violation")
    assert await ranks(bench) == {"sure": 1, "shaky": 2}
    found = await explained(bench)
    assert (found["shaky"].figure, found["sure"].figure) == (0.5, 1.0)


async def test_the_cheapest_is_by_what_was_charged_else_by_list_price_and_factor(bench: Bench) -> None:
    one, two = await bench.account("one"), await bench.account("two")
    listed = {"provider": "runway", "models": {"sora-2": "gen4.5"}, "url": bench.upstream.url}
    await bench.account("full price", **listed)
    await bench.account("discount", **listed, cost_factor=0.5)
    await bench.account("own", cost_factor=0)
    await step(bench, "cheapest")
    await charged(bench, one.id, "0.9")
    await charged(bench, two.id, "0.3")
    found = await explained(bench)
    figures = {name: round(each.figure, 4) for name, each in found.items() if each.figure is not None}
    assert figures == {"own": 0, "two": 0.03, "discount": 0.06, "one": 0.09, "full price": 0.12}
    assert sorted(found, key=lambda name: found[name].rank or 0) == list(figures)


async def test_of_whom_too_little_is_known_shares_with_the_best(bench: Bench) -> None:
    known, other, new = [await bench.account(name) for name in ("known", "other", "new")]
    await step(bench, "fastest")
    await past(bench, known.id, seconds=30)
    await past(bench, other.id, seconds=31)  # nearly equal
    await past(bench, new.id, seconds=500, completed=4)
    assert await ranks(bench) == {"known": 1, "other": 1, "new": 1}
    assert (await explained(bench))["new"].figure is None
    await past(bench, new.id, seconds=500, completed=1)
    assert await ranks(bench) == {"known": 1, "other": 1, "new": 3}
    # A part of what was charged is not known: no price.
    await step(bench, "cheapest")
    await charged(bench, known.id, "0.9", unknown=1)
    assert {each.figure for each in (await explained(bench)).values()} == {None}
    assert await ranks(bench) == {"known": 1, "other": 1, "new": 1}


async def test_without_it_nothing_is_read_and_all_is_as_before(bench: Bench) -> None:
    slow, quick = await bench.account("slow"), await bench.account("quick")
    await past(bench, slow.id, seconds=90)
    await past(bench, quick.id, seconds=30)
    assert await ranks(bench) == {"slow": 1, "quick": 1}
    assert bench.components.catalog.figures.revision == 0


def test_lines_of_one_order_prefer_the_same() -> None:
    one = {"account": "a", "order": 0, "prefer": "cheapest"}
    agreed = read_route({"model": "m", "candidates": [one, {"account": "b", "order": 0}, {"any": True}]})
    assert [agreed.preference_at(order) for order in (0, 1)] == ["cheapest", None]
    with pytest.raises(InvalidRequest):
        read_route({"model": "m", "candidates": [one, {"account": "b", "order": 0, "prefer": "fastest"}]})
    with pytest.raises(InvalidRequest) as told:
        read_route({"model": "m", "candidates": [one | {"prefer": "dearest"}]})
    assert told.value.param == "candidates.0.prefer"
