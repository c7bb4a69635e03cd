"""What an SDK sends again finds its own task, and never the task of an equal wish."""

import asyncio

import pytest
import sqlalchemy as sa

from app.db.tables import tasks
from app.errors import IdempotencyConflict, NoAvailableAccount, RateLimited
from app.keys.key import ClientKey
from app.tasks.service import RequestContext
from app.tasks.task import Task
from tests.tasks.conftest import KEY, Bench

FEW = ClientKey(id="few", name="few", owner="key:few", tasks_limit=2)
MATE = ClientKey(id="mate", name="mate", owner=KEY.owner)


async def attempt(bench: Bench, number: int, *, of: ClientKey = KEY, prompt: str = "one") -> Task:
    context = RequestContext("test", is_retry=number > 0, attempt=number)
    return await bench.create(prompt, key=of, context=context)


async def attempt_or_none(bench: Bench, number: int, *, of: ClientKey) -> str | None:
    try:
        return (await attempt(bench, number, of=of)).id
    except RateLimited:
        return None


async def made(bench: Bench) -> int:
    async with bench.components.database.read() as connection:
        return int((await connection.execute(sa.select(sa.func.count()).select_from(tasks))).scalar_one())


async def test_an_answer_that_is_lost_again_and_again_is_one_task(bench: Bench) -> None:
    await bench.account()
    first = await attempt(bench, 0)
    assert [(await attempt(bench, number)).id for number in (1, 2, 3)] == [first.id] * 3
    assert await made(bench) == 1


async def test_an_attempt_that_never_arrived_is_skipped(bench: Bench) -> None:
    await bench.account()
    first = await attempt(bench, 0)
    assert (await attempt(bench, 2)).id == first.id


async def test_equal_wishes_at_once_stay_apart_when_a_limit_refuses_some(bench: Bench) -> None:
    await bench.account()
    answers = await asyncio.gather(*(attempt_or_none(bench, 0, of=FEW) for _ in range(4)))
    accepted = [answer for answer in answers if answer]
    assert len(set(accepted)) == len(accepted) == 2
    for number in (1, 2):
        assert [await attempt_or_none(bench, number, of=FEW) for _ in range(2)] == [None, None]
    assert await made(bench) == 2


async def test_a_refused_wish_that_comes_through_later_has_its_own_task(bench: Bench) -> None:
    await bench.account()
    first, second = await attempt(bench, 0, of=FEW), await attempt(bench, 0, of=FEW)
    for _ in range(2):
        assert await attempt_or_none(bench, 0, of=FEW) is None
    roomy = ClientKey(id="few", name="few", owner="key:few", tasks_limit=9)
    third = await attempt(bench, 1, of=roomy)
    fourth = await attempt(bench, 1, of=roomy)
    assert len({first.id, second.id, third.id, fourth.id}) == 4
    assert await made(bench) == 4


async def test_a_wish_that_was_refused_without_an_account_is_not_merged(bench: Bench) -> None:
    await bench.account()
    first = await attempt(bench, 0)
    await bench.components.accounts.disable("upstream")
    with pytest.raises(NoAvailableAccount):
        await attempt(bench, 0)
    await bench.components.accounts.enable("upstream")
    assert (await attempt(bench, 1)).id != first.id


async def test_a_retry_of_one_attempt_is_answered_once_with_a_task(bench: Bench) -> None:
    """Two first attempts, of which one never arrived here: its retry and that of a lost answer come together."""
    await bench.account()
    await attempt(bench, 0)
    both = await asyncio.gather(attempt(bench, 1), attempt(bench, 1))
    assert both[0].id != both[1].id
    assert await made(bench) == 2


async def test_of_two_equal_wishes_at_the_same_moment_none_is_given_to_a_retry(bench: Bench) -> None:
    await bench.account()
    ids = {(await attempt(bench, 0)).id, (await attempt(bench, 0)).id}
    assert (await attempt(bench, 1)).id not in ids


async def test_a_second_wish_some_time_later_finds_its_own(bench: Bench) -> None:
    await bench.account()
    first = await attempt(bench, 0)
    async with bench.components.database.write() as connection:
        await connection.execute(sa.update(tasks).values(created_at=tasks.c.created_at - 60))
    second = await attempt(bench, 0)
    assert first.id != second.id
    assert (await attempt(bench, 1)).id == second.id


async def test_other_keys_of_a_project_and_keyed_tasks_are_not_found(bench: Bench) -> None:
    await bench.account()
    first = await attempt(bench, 0)
    assert (await attempt(bench, 1, of=MATE)).id != first.id
    keyed = await bench.create("two", context=RequestContext("test", "a key"))
    assert (await attempt(bench, 1, prompt="two")).id != keyed.id


async def test_a_deleted_task_answers_no_retry(bench: Bench) -> None:
    await bench.account()
    first = await attempt(bench, 0)
    keyed = await bench.create("two", context=RequestContext("test", "a key"))
    for task in (first, keyed):
        await bench.components.tasks.delete(task)
    assert (await attempt(bench, 1)).id != first.id
    with pytest.raises(IdempotencyConflict, match="has been deleted"):
        await bench.create("two", context=RequestContext("test", "a key"))
    assert await made(bench) == 3
