"""Failed tasks are made again once for a batch, whoever asks, and however often; what may have been bought is left alone."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from app.catalog.price import ModelPrice
from app.db.tables import ledger, tasks
from app.generation import MediaInput
from app.ops.access import RequestNotes
from app.tasks.replay import ReplayOutcome, ReplayParts, replay_failed
from app.tasks.repository import LISTED, task_of
from app.tasks.service import RequestContext
from app.tasks.task import Task
from tests.tasks.conftest import KEY, Bench
from tests.tasks.test_admission import set_task


async def all_tasks(bench: Bench) -> list[Task]:
    async with bench.components.database.read() as connection:
        rows = await connection.execute(sa.select(*LISTED).order_by(tasks.c.id.desc()))
        return [task_of(row) for row in rows]


async def replay(bench: Bench, *, batch: str = "b", most: int = 100) -> ReplayOutcome:
    async def found() -> AsyncIterator[list[Task]]:
        yield await all_tasks(bench)

    parts = bench.components
    given = ReplayParts(parts.database, parts.tasks, parts.keys, parts.store)
    return await replay_failed(given, found(), batch=batch, most=most)


async def failed(bench: Bench, prompt: str, *, context: RequestContext | None = None, **told: Any) -> Task:
    task = await bench.create(prompt, context=context, **told)
    await set_task(bench, task, state="failed", error_code="upstream_error", money="released")
    return task


async def test_each_is_made_once_for_a_batch(bench: Bench) -> None:
    await bench.account()
    await bench.components.money.prices.set_price("sora-2", ModelPrice(per_call=Decimal(1)))
    notes = RequestNotes(end_user="u-1", tags='["blue"]')
    context = RequestContext("test", hook_url="http://127.0.0.1:9/", hook_base="http://x", notes=notes)
    picture = MediaInput(role="first_frame", content_type="image/png", content=b"png", sha256="0" * 64)
    old = [await failed(bench, "one", context=context, media=(picture,)), await failed(bench, "two")]
    await bench.create("open")
    first = await replay(bench, most=1)
    assert (len(first.made), first.left) == (1, True)
    rest, same = await asyncio.gather(replay(bench), replay(bench))
    again = {**first.made, **rest.made, **same.made}
    assert set(again) == {task.id for task in old}
    rows = {row.id: row for row in await all_tasks(bench)}
    assert len(rows) == 5
    made = rows[again[old[0].id]]
    assert made.request.prompt == "one" and made.request.media[0].key.startswith(f"inputs/{made.id}/")
    assert (made.owner, made.dialect) == (KEY.owner, old[0].dialect)
    async with bench.components.database.read() as connection:
        kept = (await connection.execute(sa.select(tasks).where(tasks.c.id == made.id))).one()
        held = (await connection.execute(sa.select(ledger.c.task_id))).scalars().all()
    assert (kept.hook_url, kept.end_user, kept.tags) == ("http://127.0.0.1:9/", "u-1", '["blue"]')
    assert sorted(held) == sorted(rows)


async def test_a_batch_does_not_make_its_own_tasks_again(bench: Bench) -> None:
    await bench.account()
    old = await failed(bench, "one")
    new = (await replay(bench)).made[old.id]
    await set_task(bench, next(task for task in await all_tasks(bench) if task.id == new), state="failed")
    again = await replay(bench)
    assert (again.made, again.repeated) == ({}, 1)
    assert len((await replay(bench, batch="another")).made) == 2


async def test_what_holds_money_or_is_gone_is_told(bench: Bench) -> None:
    await bench.account()
    held, gone = await failed(bench, "held"), await failed(bench, "gone")
    await set_task(bench, held, money="held", error_code="submission_unknown")
    await set_task(bench, gone, prompt_removed=True)
    outcome = await replay(bench)
    assert (outcome.made, outcome.held) == ({}, [held.id])
    assert [(task_id, error.reason) for task_id, error in outcome.refused.items()] == [
        (gone.id, "prompts_not_kept")
    ]
