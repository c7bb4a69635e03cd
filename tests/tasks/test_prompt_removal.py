"""A key that does not keep prompts: after its tasks have ended, nothing in the stores quotes what was asked."""

import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.catalog.price import read_price
from app.db.tables import keys, metadata, tasks, webhook_deliveries
from app.errors import NotFound
from app.tasks import prompt_removal
from app.tasks.prompt_removal import Quotations, mark_unmarked, remove_prompts
from app.tasks.service import RequestContext
from app.tasks.task import Task
from app.webhooks.outbox import delivery_row
from tests.tasks.conftest import KEY, Bench, until, upstream

__all__ = ["upstream"]
SAID = "a canary in a golden cage, sung to by Aunt Wilhelmina"
FORGETFUL = KEY.model_copy(update={"keep_prompts": False})
PICTURE = {
    "role": "first_frame",
    "content_type": "image/png",
    "content": b"\x89PNG",
    "url": f"https://e.com/?{SAID}",
}


async def everything(bench: Bench) -> str:
    found = []
    async with bench.components.database.read() as connection:
        for table in metadata.sorted_tables:
            found += [str(tuple(row)) for row in await connection.execute(sa.select(table))]
    return "\n".join(found)


async def removed(bench: Bench, task: Task) -> Task:
    async def there() -> Task | None:
        found = await bench.components.repository.get(task.id)
        return found if found and found.prompt_removed else None

    found: Task = await until(there)
    return found


async def test_nothing_quotes_an_ended_task(bench: Bench, tmp_path: Path) -> None:
    components = bench.components
    await bench.account()
    bench.upstream.script(statuses=["in_progress"])
    context = RequestContext("openai_videos", idempotency_key="once")
    wish = {"media": [PICTURE], "negative_prompt": f"no {SAID}", "extra": {"more": SAID}, "seconds": 4}
    task = await bench.create(SAID, key=FORGETFUL, context=context, **wish)
    [item] = task.request.media
    await bench.work()
    await bench.reaches(task, "running")
    assert await remove_prompts(components.database, components.store) == 0
    assert SAID in await everything(bench) and await components.store.get(item.key)
    async with components.database.write() as connection:
        body = json.dumps({"object": {"prompt": SAID, "note": "kept"}})
        row = delivery_row(KEY.owner, "video.completed", url="https://e.com", task_id=task.id, body=body)
        await connection.execute(sa.insert(webhook_deliveries), row | {"state": "delivered"})
    bench.upstream.script(statuses=["completed"])
    found = await removed(bench, task)
    bench.upstream.script(final="failed", error={"code": "bad", "message": f"I refuse: {SAID.upper()}!"})
    refused = await removed(bench, await bench.create(SAID.replace("canary", "parrot"), key=FORGETFUL))
    assert (refused.state, found.state) == ("failed", "completed")
    assert refused.error_message == prompt_removal.NOT_KEPT
    told = await everything(bench)
    assert "wilhelmina" not in told.lower() and '"note": "kept"' in told
    with pytest.raises(NotFound):
        await components.store.get(item.key)
    assert (found.request.prompt, found.request.media, found.request.seconds) == ("", (), 4)
    assert found.result is not None and await components.store.get(found.result.files[0].key)
    assert (await bench.create(SAID, key=FORGETFUL, context=context, **wish)).id == task.id
    shown = await components.repository.page(KEY.owner, after=None, limit=9, ascending=True, kind=None)
    assert [each.request.prompt for each in shown] == ["", ""]


async def test_a_prompt_stays_while_its_money_is_held(bench: Bench) -> None:
    components = bench.components
    await components.money.prices.set_price("sora-2", read_price({"per_call": "0.15"}))
    await bench.account()
    bench.upstream.fault("create", do="reset")
    task = await bench.create(SAID, key=FORGETFUL)
    await bench.work()
    assert (await bench.ended(task)).error_code == "submission_unknown"
    assert await remove_prompts(components.database, components.store) == 0
    assert SAID in await everything(bench)
    await components.money.billing.settle_held(task.id, None)
    assert (await removed(bench, task)).request.prompt == ""


async def test_what_was_made_before_is_removed_too(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_removal, "MARKED_TASKS", 2)
    await bench.account()
    components = bench.components
    key, _ = await components.keys.create_key({"name": "shop"})
    made = [await bench.create(f"{SAID} {number}", key=key) for number in range(5)]
    other = await bench.create("another key's wish")
    await components.keys.update(key.id, {"keep_prompts": False})
    await mark_unmarked(components.database)
    async with components.database.read() as connection:
        marked = (
            await connection.execute(sa.select(tasks.c.id).where(sa.text("NOT prompt_removed")))
        ).scalars()
        assert set(marked) == {task.id for task in made}
        assert (await connection.execute(sa.select(keys.c.keep_prompts))).scalar() in (False, 0)
    assert await remove_prompts(components.database, components.store) == 0  # they are open
    async with components.database.write() as connection:
        await connection.execute(sa.update(tasks).where(tasks.c.key_id == key.id).values(state="failed"))
        row = delivery_row(key.owner, "video.failed", url="https://e.com", task_id=made[0].id, body=SAID)
        await connection.execute(sa.insert(webhook_deliveries), row | {"claimed_at": 1.0})
    # An attempt is under way that will write the body it sends.
    assert await remove_prompts(components.database, components.store) == 4
    async with components.database.write() as connection:
        await connection.execute(sa.update(webhook_deliveries).values(claimed_at=None))
    assert await remove_prompts(components.database, components.store) == 1
    assert SAID not in await everything(bench)
    assert (await components.repository.get(other.id)) == other


@pytest.mark.parametrize(
    ("said", "text", "words", "whole"),
    [
        ("a fox", "model a fox-2 refused", True, False),
        ("a fox", "A  Fox", True, True),
        ("fox", "foxtrot", False, False),
        ("一只猫", "提示词“一只猫”违规", True, False),
        ("a long story about nothing", "… story about nothing much", True, True),
        ("a long story about nothing", "a long time", False, False),
        ("", "anything", False, False),
    ],
)
def test_what_counts_as_a_quotation(said: str, text: str, words: bool, whole: bool) -> None:
    assert (Quotations([said]).are_in(text, words=True), Quotations([said]).are_in(text)) == (words, whole)
