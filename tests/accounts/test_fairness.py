"""Who is served next: keys alternate over all models, accounts share by weight, lower tiers go first."""

import time
from collections import Counter

import pytest
import sqlalchemy as sa

from app.db.tables import tasks
from app.tasks.admission.admission import AdmissionController
from tests.accounts.waiting import accounts_by_task, admission, create_tasks, end_tasks, key
from tests.tasks.conftest import Bench


async def served(bench: Bench, by: AdmissionController, *, most: int) -> list[str]:
    """Keys in the order in which their tasks start, each ending before the next one starts."""
    order: list[str] = []
    while len(order) < most and await by.admit():
        for task_id in sorted(now := await accounts_by_task(bench)):
            found = await bench.components.repository.get(task_id)
            assert found is not None
            order.append(found.key_id)
        await end_tasks(bench, list(now))
    return order


async def test_keys_alternate_on_a_single_slot(bench: Bench) -> None:
    await bench.account(slots=1)
    for name, count in (("a", 4), ("b", 2), ("c", 1)):
        await create_tasks(bench, count, of=name)
    assert await served(bench, admission(bench), most=9) == ["a", "b", "c", "a", "b", "a", "a"]


async def test_a_flood_for_one_model_does_not_starve_another(bench: Bench) -> None:
    await bench.account(slots=1)
    await create_tasks(bench, 6, of="flood", model="sora-2")
    await create_tasks(bench, 3, of="modest", model="veo3")
    order = await served(bench, admission(bench), most=6)
    assert Counter(order) == {"flood": 3, "modest": 3}
    assert order[:2] == ["flood", "modest"]


async def test_a_late_key_does_not_catch_up(bench: Bench) -> None:
    await bench.account(slots=1)
    by = admission(bench)
    await create_tasks(bench, 8, of="early")
    assert await served(bench, by, most=4) == ["early"] * 4
    await create_tasks(bench, 4, of="late")
    assert Counter(await served(bench, by, most=4)) == {"early": 2, "late": 2}


async def test_a_key_with_much_under_way_waits_for_one_with_less(bench: Bench) -> None:
    await bench.account(slots=6)
    by = admission(bench)
    await create_tasks(bench, 4, of="first")
    assert await by.admit() == 4
    await create_tasks(bench, 3, of="first")
    await create_tasks(bench, 3, of="second")
    assert await by.admit() == 2
    waiting = {
        name: (await bench.components.tasks.page(key(name), states=("queued",)))[0]
        for name in ("first", "second")
    }
    assert {name: sum(task.account_id is None for task in found) for name, found in waiting.items()} == {
        "first": 3,
        "second": 1,
    }


@pytest.mark.parametrize(
    ("accounts", "count", "shares"),
    [
        ({"heavy": {"weight": 3.0}, "light": {"weight": 1.0}}, 16, {"heavy": 12, "light": 4}),
        ({"paid": {"tier": 1}, "free": {"tier": 0}}, 5, {"free": 5}),
        ({"small": {"weight": 1.0}, "same": {"weight": 1.0}}, 6, {"small": 3, "same": 3}),
    ],
    ids=["by weight", "by tier", "equals alternate"],
)
async def test_tasks_that_never_overlap_are_shared(
    bench: Bench, accounts: dict[str, dict[str, float]], count: int, shares: dict[str, int]
) -> None:
    for name, told in accounts.items():
        await bench.account(name, slots=2, **told)
    by, found = admission(bench), Counter[str]()
    for number in range(count):
        await create_tasks(bench, 1, of=f"key{number % 3}")
        assert await by.admit() == 1
        now = await accounts_by_task(bench)
        found.update(now.values())
        await end_tasks(bench, list(now))
    assert found == shares


async def test_a_higher_tier_takes_what_does_not_fit_into_the_lower(bench: Bench) -> None:
    await bench.account("free", slots=2)
    await bench.account("paid", slots=5, tier=1)
    await create_tasks(bench, 4)
    assert await admission(bench).admit() == 4
    assert Counter((await accounts_by_task(bench)).values()) == {"free": 2, "paid": 2}


async def test_a_waiting_task_has_a_position_and_an_estimate(bench: Bench) -> None:
    await bench.account(slots=2)
    by = admission(bench)
    first = await create_tasks(bench, 2, of="a")
    await by.admit()
    a, b = await create_tasks(bench, 3, of="a"), await create_tasks(bench, 2, of="b")
    line = bench.components.tasks

    async def places() -> list[tuple[int, float | None]]:
        found = [await line.queue_position(task) for task in (*b, *a)]
        return [(each.position, each.seconds) for each in found if each]

    # b has nothing under way, so it is served before a, which has two.
    assert await places() == [(1, None), (2, None), (3, None), (4, None), (5, None)]
    assert await line.queue_position(await bench.reaches(first[0], "queued")) is None  # it has an account
    for task in first:
        await _completed(bench, task.id, seconds=8.0)
    await by.admit()
    line._queue_positions._snapshots.clear()
    found = await line.queue_position(a[0])
    assert found is not None
    # Two of b run side by side and such tasks took 8 s: a slot is free every 4 s.
    assert (found.position, found.waiting, found.seconds) == (1, 3, 4.0)


async def _completed(bench: Bench, task_id: str, *, seconds: float) -> None:
    await end_tasks(bench, [task_id])
    now = time.time()
    async with bench.components.database.write() as connection:
        where = tasks.c.id == task_id
        await connection.execute(
            sa.update(tasks).where(where).values(started_at=now - seconds, finished_at=now)
        )
