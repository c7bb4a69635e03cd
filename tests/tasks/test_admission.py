"""Admission: slots are never overbooked, keys take turns, cooling and excluded accounts get no tasks."""

import asyncio
import json
import time
from collections import Counter
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.db.tables import slots, tasks
from app.keys.key import ClientKey
from app.tasks.admission.admission import AdmissionController
from app.tasks.admission.waiting import waiting_by_key
from app.tasks.task import Task
from tests.tasks.conftest import Bench, dispatcher_for, replica, settings_for
from tests.upstream import FakeUpstream


def admission(bench: Bench) -> AdmissionController:
    components = bench.components
    dispatcher = dispatcher_for(components.database)
    return AdmissionController(
        components.database, catalog=components.catalog, dispatcher=dispatcher, events=components.events
    )


async def given(bench: Bench) -> dict[str, str | None]:
    async with bench.components.database.read() as connection:
        rows = await connection.execute(sa.select(tasks.c.id, tasks.c.account_id))
        return {row.id: row.account_id for row in rows}


async def set_task(bench: Bench, task: Task, **values: object) -> None:
    async with bench.components.database.write() as connection:
        await connection.execute(sa.update(tasks).where(tasks.c.id == task.id).values(**values))


async def test_a_task_whose_time_is_over_is_not_bought(bench: Bench) -> None:
    """Also in the moment before the sweep ends it."""
    await bench.account()
    task, other = await bench.create(), await bench.create("another")
    await set_task(bench, task, deadline_at=time.time() - 0.001)
    assert await admission(bench).admit() == 1
    assert {task_id for task_id, account_id in (await given(bench)).items() if account_id} == {other.id}


async def test_slots_are_never_overfilled(tmp_path: Path, database_url: str, upstream: FakeUpstream) -> None:
    settings = settings_for(tmp_path, database_url)
    async with replica(settings, upstream) as one, replica(settings, upstream) as other:
        first = await one.account("first", slots=3)
        second = await one.account("second", slots=2)
        for number in range(12):
            await one.create(str(number))
        await other.components.pool.refresh()
        passes = [admission(one), admission(other), admission(one), admission(other)]
        counts = await asyncio.gather(*(each.admit() for each in passes))
        assert sum(counts) == 5
        async with one.components.database.read() as connection:
            held = Counter((await connection.execute(sa.select(slots.c.account_id))).scalars())
        assert held == {first.id: 3, second.id: 2}
        assert Counter((await given(one)).values()) == {first.id: 3, second.id: 2, None: 7}


async def test_keys_take_turns(bench: Bench) -> None:
    await bench.account(slots=4)
    greedy = ClientKey(id="greedy", name="g", owner="key:greedy")
    modest = ClientKey(id="modest", name="m", owner="key:modest")
    for number in range(10):
        await bench.create(f"many {number}", key=greedy)
    for number in range(2):
        await bench.create(f"few {number}", key=modest)
    assert await admission(bench).admit() == 4
    async with bench.components.database.read() as connection:
        query = sa.select(tasks.c.key_id).where(tasks.c.account_id.is_not(None))
        assert Counter((await connection.execute(query)).scalars()) == {"greedy": 2, "modest": 2}


async def test_resting_disabled_and_excluded_accounts_get_nothing(bench: Bench) -> None:
    resting, disabled = await bench.account("resting"), await bench.account("disabled")
    refusing, able = await bench.account("refusing"), await bench.account("able")
    await bench.components.pool.start_cooldown(resting.id, seconds=60, reason="429")
    await bench.components.pool.disable(disabled.id, reason="401")
    task = await bench.create()
    await set_task(bench, task, excluded=json.dumps([refusing.id]))
    assert await admission(bench).admit() == 1
    assert await given(bench) == {task.id: able.id}


async def test_a_task_is_not_looked_at_before_its_time(bench: Bench) -> None:
    await bench.account()
    task = await bench.create()
    await set_task(bench, task, not_before=time.time() + 60)
    assert await admission(bench).admit() == 0
    await set_task(bench, task, not_before=time.time() - 1)
    assert await admission(bench).admit() == 1


async def test_a_remix_waits_for_the_account_that_made_its_source(bench: Bench) -> None:
    maker = await bench.account("maker", slots=1)
    await bench.account("other", slots=5)
    source = await bench.create("source")
    await set_task(bench, source, account_id=maker.id, state="completed")
    remix = await bench.create("remix", action="remix", remix_of=source.id)
    await bench.components.pool.start_cooldown(maker.id, seconds=60, reason="429")
    assert await admission(bench).admit() == 0
    await bench.components.accounts.enable("maker")
    assert await admission(bench).admit() == 1
    assert (await given(bench))[remix.id] == maker.id


@pytest.mark.parametrize("disabled", ["before it is asked for", "while it waits"])
async def test_a_remix_goes_to_its_maker_also_when_that_is_out_of_use(bench: Bench, disabled: str) -> None:
    maker, other = await bench.account("maker", slots=1), await bench.account("other")
    source = await bench.create("source")
    await set_task(bench, source, account_id=maker.id, state="completed")
    if disabled == "before it is asked for":
        await bench.components.accounts.disable("maker")
    remixes = [
        await bench.create(f"remix {number}", action="remix", remix_of=source.id) for number in range(2)
    ]
    await bench.components.accounts.disable("maker")
    plain = await bench.create("plain")
    assert await admission(bench).admit() == 2
    found = await given(bench)
    assert [found[task.id] for task in (*remixes, plain)] == [maker.id, None, other.id]


async def test_a_remix_runs_elsewhere_when_its_maker_has_refused_it_or_is_gone(bench: Bench) -> None:
    maker, other = await bench.account("maker"), await bench.account("other")
    source = await bench.create("source")
    await set_task(bench, source, account_id=maker.id, state="completed")
    refused = await bench.create("refused", action="remix", remix_of=source.id)
    await set_task(bench, refused, excluded=json.dumps([maker.id]))
    await bench.components.pool.disable(maker.id, reason="401")
    assert await admission(bench).admit() == 1
    await bench.components.accounts.remove("maker", force=True)
    late = await bench.create("late", action="remix", remix_of=source.id)
    assert await admission(bench).admit() == 1
    found = await given(bench)
    assert (found[refused.id], found[late.id]) == (other.id, other.id)


async def test_those_who_wait_for_a_busy_account_hold_up_nobody(bench: Bench) -> None:
    maker = await bench.account("maker", slots=1)
    await bench.account("other", slots=1)
    source = await bench.create("source")
    await set_task(bench, source, account_id=maker.id, state="completed")
    for number in range(5):
        await bench.create(f"remix {number}", action="remix", remix_of=source.id)
    plain = await bench.create("plain")
    assert await admission(bench).admit() == 2
    assert (await given(bench))[plain.id] is not None


async def test_an_account_that_can_not_do_it_does_not_get_it(bench: Bench) -> None:
    short = await bench.account("short", options={"capabilities": {"seconds": [1, 5]}})
    long = await bench.account("long", options={"capabilities": {"seconds": [1, 20]}})
    tasks_made = [await bench.create(str(number), seconds=12) for number in range(3)]
    assert await admission(bench).admit() == 3
    assert set((await given(bench)).values()) == {long.id}
    assert short.id not in (await given(bench)).values()
    assert len(tasks_made) == 3


async def test_one_badly_set_up_account_stops_nobody(bench: Bench) -> None:
    await bench.account("bad", options={"capabilities": {"seconds": "long"}})
    good = await bench.account("good")
    task = await bench.create()
    assert await admission(bench).admit() == 1
    assert await given(bench) == {task.id: good.id}


async def test_of_a_long_queue_only_as_many_are_counted_as_matter(bench: Bench) -> None:
    await bench.account()
    for name, count in (("anna", 3), ("bert", 1), ("carla", 2)):
        key = ClientKey(id=name, name=name, owner=f"key:{name}")
        for number in range(count):
            await bench.create(f"film {number}", key=key)
    async with bench.components.database.read() as connection:
        assert await waiting_by_key(connection, ("video", "sora-2")) == {"anna": 3, "bert": 1, "carla": 2}
        few = await waiting_by_key(connection, ("video", "sora-2"), most=2)
        assert few == {"anna": 2, "bert": 1, "carla": 2}
        assert await waiting_by_key(connection, ("image", "sora-2"), most=2) == {}
