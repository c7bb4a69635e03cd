"""Tasks as clients see them: created once, visible to their owner alone, in pages."""

import asyncio

import pytest

from app import clock
from app.errors import IdempotencyConflict, InvalidRequest, NoAvailableAccount, NotFound, UnknownModel
from app.keys.key import ClientKey
from app.tasks.service import RequestContext
from app.tasks.task import new_id, parse_task_id
from tests.tasks.conftest import KEY, Bench

MATE = ClientKey(id="mate", name="mate", owner=KEY.owner)
STRANGER = ClientKey(id="stranger", name="stranger", owner="key:stranger")


async def test_the_same_key_and_body_is_the_same_task_and_another_body_a_conflict(bench: Bench) -> None:
    await bench.account()
    first = await bench.create("one", context=RequestContext("test", "key"))
    assert (await bench.create("one", context=RequestContext("other dialect", "key"))).id == first.id
    with pytest.raises(IdempotencyConflict):
        await bench.create("two", context=RequestContext("test", "key"))
    assert (await bench.create("two", key=STRANGER, context=RequestContext("test", "key"))).id != first.id


async def test_a_repetition_by_an_sdk_is_the_same_task_and_a_second_wish_is_not(bench: Bench) -> None:
    await bench.account()
    first = await bench.create("one")
    assert (await bench.create("one", context=RequestContext("test", is_retry=True))).id == first.id
    assert (await bench.create("one")).id != first.id


async def test_a_task_is_found_by_every_form_of_its_id_and_by_its_owner_alone(bench: Bench) -> None:
    await bench.account()
    task = await bench.create()
    bare = task.id
    for name in (bare, f"video_{bare}", f"task_{bare}", f"chatcmpl-{bare}", f"img_{bare}"):
        assert (await bench.components.tasks.get(name, MATE)).id == bare
    dashed = f"{bare[:8]}-{bare[8:12]}-{bare[12:16]}-{bare[16:20]}-{bare[20:]}"
    assert (await bench.components.tasks.get(dashed, KEY)).id == bare
    for name in (bare, "video_nothing", "", "video_" + "0" * 32, "x" * 5000, "\0"):
        with pytest.raises(NotFound):
            await bench.components.tasks.get(name, STRANGER)


async def test_pages_follow_one_another_in_both_directions(bench: Bench) -> None:
    await bench.account()
    made = [(await bench.create(str(number))).id for number in range(5)]
    await bench.create("hidden", key=STRANGER)
    ordered = sorted(made)
    service, after, seen = bench.components.tasks, None, []
    while True:
        page, more = await service.page(KEY, after=after, limit=2, ascending=True)
        seen += [task.id for task in page]
        if not more:
            break
        after = f"video_{page[-1].id}"
    assert seen == ordered
    newest, more = await service.page(KEY, limit=3)
    assert ([task.id for task in newest], more) == (ordered[:1:-1], True)
    assert await service.page(KEY, states=("failed",)) == ([], False)
    with pytest.raises(InvalidRequest):
        await service.page(KEY, after="nonsense")


async def test_a_deleted_task_is_nowhere(bench: Bench) -> None:
    await bench.account()
    task = await bench.create()
    await bench.components.tasks.delete(task)
    with pytest.raises(NotFound):
        await bench.components.tasks.get(task.id, KEY)
    with pytest.raises(NotFound):
        await bench.components.tasks.by_link(task.id)
    assert await bench.components.tasks.page(KEY) == ([], False)


async def test_nothing_is_written_for_what_nobody_serves(bench: Bench) -> None:
    with pytest.raises(NoAvailableAccount, match=r"^No available tokens for video generation\."):
        await bench.create()
    await bench.account(models={"mine": "theirs"})
    with pytest.raises(UnknownModel, match="Invalid model: nobodys"):
        await bench.create(model="nobodys")
    assert await bench.components.tasks.page(KEY) == ([], False)


async def test_waiting_for_an_end_that_comes_while_nobody_tells(bench: Bench) -> None:
    """A notice can be lost: the watcher looks by itself now and then."""
    await bench.account()
    task = await bench.create()

    async def last() -> str:
        seen = ""
        async for one in bench.components.tasks.watch(task, keep_alive=0.1):
            seen = one.state
        return seen

    waiting = asyncio.create_task(last())
    await asyncio.sleep(0.2)
    await bench.components.repository.request_cancel(task.id, delete=False)
    assert await asyncio.wait_for(waiting, 60) == "cancelled"


async def test_waiting_ends_in_time_also_when_the_task_does_not(bench: Bench) -> None:
    await bench.account()
    task = await bench.create()
    assert (await bench.components.tasks.wait_until_ended(task, within=0.1)).state == "queued"


def test_ids_are_ordered_by_time_and_never_the_same() -> None:
    ids = [new_id(clock.now()) for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert ids == sorted(ids)  # also those of one millisecond: tasks of a key wait in the order of their ids
    assert all(parse_task_id(one, prefixes=()) == one for one in ids)
