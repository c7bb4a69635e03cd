"""Priorities reorder a key's own line and starve nobody; ``start_after`` is waited for; what is paused holds."""

import time
from collections import Counter
from decimal import Decimal

import pytest
import sqlalchemy as sa

from app import clock
from app.catalog.pauses import PauseSide
from app.catalog.price import ModelPrice
from app.db.tables import tasks
from app.errors import InvalidRequest, NoAvailableAccount, NotFound
from app.keys.key import ClientKey, read_terms
from app.tasks.admission.held_back import LEFT_SECONDS, keep_held_tasks
from app.tasks.queueing import HEAD_START
from app.tasks.segments.rows import read_segments
from app.tasks.task import Task
from tests.accounts.test_fairness import served
from tests.tasks.conftest import KEY, Bench
from tests.tasks.test_admission import admission, given, set_task
from tests.tasks.test_segments import PROMPT, joining

FREE = KEY.model_copy(update={"most_priority": 1})


async def started(bench: Bench) -> list[str]:
    """The prompts of tasks that have an account, in the order of their slots."""
    async with bench.components.database.read() as connection:
        query = sa.select(tasks.c.request).where(tasks.c.account_id.is_not(None)).order_by(tasks.c.id)
        return [
            row.split('"prompt":"')[1].split('"')[0] for row in (await connection.execute(query)).scalars()
        ]


async def test_within_a_key_the_line_is_by_priority(bench: Bench) -> None:
    await bench.account(slots=2)
    await bench.create("later", key=FREE, priority=-1)
    plain = await bench.create("plain", key=FREE)
    soon = await bench.create("soon", key=FREE, priority=1)
    places = [await bench.components.tasks.queue_position(task) for task in (soon, plain)]
    assert [place.position for place in places if place] == [1, 2]
    assert await admission(bench).admit() == 2
    assert await started(bench) == ["plain", "soon"]


async def test_a_task_is_overtaken_only_by_those_that_come_soon_after(bench: Bench) -> None:
    await bench.account(slots=1)
    old = await bench.create("old", key=FREE, priority=-1)
    await set_task(bench, old, place=old.place - 2 * HEAD_START - 1)  # as if it had come then
    await bench.create("soon", key=FREE, priority=1)
    assert await admission(bench).admit() == 1
    assert await started(bench) == ["old"]


async def test_keys_keep_their_turns(bench: Bench) -> None:
    await bench.account(slots=1)
    keys = [
        ClientKey(id=name, name=name, owner=f"key:{name}", priority=step)
        for name, step in (("a", 1), ("b", 0), ("c", -1))
    ]
    for number in range(14):
        for key in keys:
            await bench.create(str(number), key=key)
    order = Counter(await served(bench, admission(bench), most=14))
    assert order == {"a": 8, "b": 4, "c": 2}


async def test_a_key_says_how_high_a_request_may_ask(bench: Bench) -> None:
    await bench.account()
    with pytest.raises(InvalidRequest, match="at most 0") as refused:
        await bench.create(priority=1)
    assert refused.value.param == "priority"
    assert (await bench.create(priority=-1)).priority == -1
    sooner = KEY.model_copy(update={"priority": 1})
    assert (await bench.create(key=sooner)).priority == 1
    assert read_terms({"name": "k", "priority": 1}).most_priority == 1
    with pytest.raises(InvalidRequest):
        read_terms({"name": "k", "priority": 2})


async def test_a_task_waits_for_its_start_with_its_money_and_says_so(bench: Bench) -> None:
    await bench.account()
    await bench.components.money.prices.set_price("sora-2", ModelPrice(per_call=Decimal(1)))
    start = clock.now() + 3600
    task, plain = await bench.create("later", start_after=start), await bench.create("now")
    assert task.deadline_at - plain.deadline_at == pytest.approx(3600, abs=5)
    wait = await bench.components.tasks.account_wait(task)
    assert wait is not None and wait.reason.startswith("It starts after 20") and wait.seconds is not None
    assert wait.seconds == pytest.approx(3600, abs=5)
    assert await admission(bench).admit() == 1
    assert (await given(bench))[task.id] is None
    await set_task(bench, task, not_before=clock.now() - 1)
    assert await admission(bench).admit() == 1
    over = await bench.create("over", start_after=clock.now() - 50)
    assert over.not_before == 0.0
    assert await admission(bench).admit() == 1


async def test_a_joined_film_begins_no_sooner(bench: Bench) -> None:
    await joining(bench)
    start = clock.now() + 3600
    film = await bench.create(PROMPT, seconds=25, start_after=start, priority=1, key=FREE)
    first = (await read_segments(bench.components.database, film.id))[0].task
    assert (first.not_before, first.priority, first.place) == (start, 1, film.place)
    assert first.deadline_at > start
    assert await admission(bench).admit() == 0


async def pause(bench: Bench, side: PauseSide, name: str) -> None:
    await bench.components.catalog.pauses.pause(side, name, by="me")


async def state_of(bench: Bench, task: Task) -> tuple[str, str | None]:
    wait = await bench.components.tasks.account_wait(task)
    found = await bench.components.repository.get(task.id)
    assert found is not None
    return found.state, wait.reason if wait else None


async def test_tasks_of_a_paused_model_are_taken_in_and_wait(bench: Bench) -> None:
    await bench.account(models={"sora-2": "sora-2", "veo3": "veo3"})
    await pause(bench, "model", "sora-2")
    held, other = await bench.create(), await bench.create(model="veo3")
    assert await admission(bench).admit() == 1
    assert (await given(bench))[held.id] is None and (await given(bench))[other.id]
    assert await state_of(bench, held) == ("queued", "1 paused by the operator")
    await bench.components.catalog.pauses.resume("model", "sora-2")
    assert await state_of(bench, held) == ("queued", None)
    assert await admission(bench).admit() == 1
    with pytest.raises(NotFound):
        await bench.components.catalog.pauses.resume("model", "sora-2")


async def test_a_paused_account_gets_nothing_new(bench: Bench) -> None:
    paused, other = await bench.account("paused"), await bench.account("other", slots=1)
    await pause(bench, "account", paused.id)
    made = [await bench.create(str(number)) for number in range(2)]
    assert await admission(bench).admit() == 1
    assert Counter((await given(bench)).values()) == {other.id: 1, None: 1}
    await pause(bench, "account", other.id)
    assert (await state_of(bench, made[1]))[1] == "2 paused by the operator"
    for name in (paused.id, other.id):
        await bench.components.catalog.pauses.resume("account", name)
    assert await admission(bench).admit() == 1


async def test_what_is_held_back_does_not_end_meanwhile(bench: Bench) -> None:
    account = await bench.account()
    held = await bench.create()
    await pause(bench, "account", account.id)
    await set_task(bench, held, deadline_at=time.time() - 5)
    now, parts = clock.now(), bench.components
    assert await keep_held_tasks(parts.database, parts.catalog, now=now) == 1
    assert await keep_held_tasks(parts.database, parts.catalog, now=now) == 0
    assert await parts.repository.fail_overdue(now, refused=parts.catalog.unavailable_error_or_none) == []
    found = await parts.repository.get(held.id)
    assert found is not None and found.deadline_at == pytest.approx(now + LEFT_SECONDS)
    await parts.catalog.pauses.resume("account", account.id)
    await set_task(bench, held, deadline_at=time.time() - 5)
    assert await keep_held_tasks(parts.database, parts.catalog, now=now) == 0
    assert await parts.repository.fail_overdue(clock.now()) == [held.id]


async def test_a_disabled_account_is_no_pause(bench: Bench) -> None:
    account = await bench.account()
    await pause(bench, "account", account.id)
    await bench.components.pool.disable(account.id, reason="bad key")
    with pytest.raises(NoAvailableAccount):
        await bench.create()
