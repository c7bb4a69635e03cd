"""What is told of a task that went on elsewhere: one task that never failed, to clients, receivers and the operator."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from app.catalog.route_documents import RetryRule, read_route
from app.configuration.toml_file import parse_text
from app.db.tables import webhook_deliveries
from app.dialects.account_api.answer import task_object
from app.dialects.openai_videos.answer import video_object
from app.dialects.unified.answer import unified_object
from app.tasks.service import RequestContext
from app.tasks.task import Task
from tests.tasks.conftest import Bench
from tests.tasks.test_attempts import BROKEN, house, run
from tests.tasks.test_billing import rows
from tests.upstream import FakeUpstream


@pytest.fixture
def second() -> Iterator[FakeUpstream]:
    with FakeUpstream() as server:
        yield server


def answers(task: Task) -> list[dict[str, Any]]:
    return [video_object(task, url=None), unified_object(task, []), task_object(task, [])]


async def test_the_answers_count_attempts_from_the_second_on(bench: Bench, second: FakeUpstream) -> None:
    bench.upstream.script(final="failed", error=BROKEN)
    await house(bench, second, failed=1)
    ended = await run(bench)
    assert [answer["attempt"] for answer in answers(ended)] == [2, 2, 2]
    bench.upstream.script()
    plain = await bench.ended(await bench.create("another"))
    assert ["attempt" in answer for answer in answers(plain)] == [False, False, False]


async def test_nobody_is_told_that_it_failed(bench: Bench, second: FakeUpstream) -> None:
    bench.upstream.script(final="failed", error=BROKEN)
    await house(bench, second, failed=1)
    task = await bench.create(context=RequestContext("unified", hook_url="https://hooks.example/told"))
    async with bench.components.events.subscribe(task.id) as news:
        await bench.work()
        await bench.ended(task)
        states = [each.state for each in iter_now(news) if each.kind == "state"]
    assert "failed" not in states and "queued" in states
    assert states[-1] == "completed"
    [told] = await rows(bench, webhook_deliveries)
    assert (told.task_id, "failed" in told.event) == (task.id, False)


def iter_now(queue: Any) -> Iterator[Any]:
    while not queue.empty():
        yield queue.get_nowait()


async def test_a_route_keeps_its_retry_in_the_store(bench: Bench) -> None:
    routes = bench.components.catalog.routes
    for retry in ({"failed": 2, "retired": 1}, {}, None):
        document = {"model": "sora-2", "candidates": [{"any": True}], "retry": retry}
        await routes.put(read_route(document))
        kept = (await routes.get("sora-2")).document.retry
        assert kept == (None if retry is None else RetryRule(**retry))


def test_the_file_says_it_too() -> None:
    text = (
        '[[routes]]\nmodel = "sora-2"\ncandidates = [{ any = true }]\nretry = { failed = 2, moderated = 1 }\n'
    )
    [route] = parse_text(text, {}).routes
    assert route.retry == RetryRule(failed=2, moderated=1)
    assert json.loads(route.retry.model_dump_json()) == {"failed": 2, "moderated": 1, "retired": 0}
