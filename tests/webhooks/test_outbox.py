"""The end of a task inserts its deliveries in the same transaction, once."""

import time

import pytest
import sqlalchemy as sa

from app.db.tables import tasks
from app.errors import IdempotencyConflict, InvalidRequest
from app.tasks.service import RequestContext
from app.webhooks import outbox
from tests.webhooks.conftest import Post, one_store
from tests.webhooks.receiver import Receiver

URL = "https://receiver.example/hook"
HOOKED = RequestContext("test", hook_url="http://hook.example/x?y=1", hook_base="http://gateway.example")
MALFORMED = (
    "ftp://example.com",
    "example.com/x",
    "http://",
    "http://user:password@example.com",
    "https://example.com/" + "x" * 2048,
    "http://exa mple.com",
    "http://exa%20mple.com",
    "http://[::1",
    "http://example.com:99999",
    "http://example.com:0",
    "http://example.com/\x00",
    "javascript:alert(1)",
)


async def test_a_cancelled_task_has_failed(post: Post) -> None:
    endpoint, _ = await post.endpoint(URL)
    task_id = await post.end_a_task()
    [found] = await post.all()
    assert (found.task_id, found.endpoint_id, found.event) == (task_id, endpoint.id, "video.failed")
    assert (found.state, found.attempts, found.url, found.receiver) == ("pending", 0, URL, "receiver.example")
    assert found.body is not None and f"video_{task_id}" in found.body


async def test_an_overdue_task_has_failed(post: Post) -> None:
    await post.endpoint(URL)
    task = await post.bench.create()
    await post.bench.components.repository.fail_overdue(task.deadline_at + 1)
    assert [found.event for found in await post.all(task_id=task.id)] == ["video.failed"]
    await post.bench.components.repository.fail_overdue(task.deadline_at + 1)
    assert len(await post.all()) == 1


async def test_what_was_cancelled_while_an_account_refused_it(post: Post) -> None:
    await post.endpoint(URL)
    task = await post.bench.create()
    mark = sa.update(tasks).where(tasks.c.id == task.id).values(cancel_requested=True)
    async with post.bench.components.database.write() as connection:
        await connection.execute(mark)
    await post.bench.components.repository.cancel_requeued()
    assert [found.task_id for found in await post.all()] == [task.id]


async def test_nobody_is_told_of_what_was_deleted(post: Post) -> None:
    await post.endpoint(URL)
    task = await post.bench.create(context=HOOKED)
    await post.bench.components.repository.request_cancel(task.id, delete=True)
    assert await post.all() == []


async def test_no_end_without_its_word_and_no_word_without_its_end(post: Post) -> None:
    await post.endpoint(URL)
    task = await post.bench.create()
    ended = sa.update(tasks).where(tasks.c.id == task.id).values(state="completed")
    with pytest.raises(ZeroDivisionError):
        async with post.bench.components.database.write() as connection:
            await connection.execute(ended)
            await outbox.task_ended(connection, [task.id])
            raise ZeroDivisionError
    assert await post.all() == []
    async with post.bench.components.database.write() as connection:
        await connection.execute(ended)
        await outbox.task_ended(connection, [task.id])
    assert [found.event for found in await post.all()] == ["video.completed"]


async def test_only_who_wants_it_is_told(post: Post) -> None:
    await post.endpoint(URL, owner="key:other")
    await post.endpoint(URL, event_types=["video.completed"])
    gone, _ = await post.endpoint(URL)
    await post.bench.components.endpoints.disable(gone.id, reason="test")
    first, _ = await post.endpoint(URL)
    second, _ = await post.endpoint("https://second.example/")
    await post.end_a_task()
    assert {found.endpoint_id for found in await post.all()} == {first.id, second.id}


async def test_a_hook_is_called_once_beside_the_endpoints(post: Post) -> None:
    for _ in range(2):
        await post.endpoint(URL)
    task_id = await post.end_a_task(context=HOOKED)
    found = await post.all()
    assert len(found) == 3
    [hook] = [one for one in found if one.endpoint_id is None]
    assert (hook.task_id, hook.url, hook.body) == (task_id, HOOKED.hook_url, None)
    assert (hook.base_url, hook.receiver) == ("http://gateway.example", "hook.example")


@one_store
async def test_without_receivers_nothing_is_written(post: Post) -> None:
    await post.end_a_task()
    assert await post.all() == []


@one_store
async def test_a_malformed_hook_is_refused_at_once(post: Post) -> None:
    for url in MALFORMED:
        with pytest.raises(InvalidRequest) as refused:
            await post.bench.create(context=RequestContext("test", hook_url=url))
        assert refused.value.param == "notify_hook", url
        assert refused.value.message.startswith("notify_hook must be")


@one_store
async def test_another_hook_is_another_request(post: Post) -> None:
    first = RequestContext("test", idempotency_key="k", hook_url=URL)
    task = await post.bench.create(context=first)
    assert (await post.bench.create(context=first)).id == task.id
    with pytest.raises(IdempotencyConflict):
        await post.bench.create(context=RequestContext("test", idempotency_key="k", hook_url=URL + "2"))


async def test_a_whole_life_ends_with_a_word(post: Post, receiver: Receiver) -> None:
    _, secret = await post.endpoint(receiver.url)
    await post.bench.work()
    task = await post.bench.ended(await post.bench.create())
    assert task.state == "completed"
    [delivery] = await post.reach("delivered")
    assert (delivery.event, delivery.attempts) == ("video.completed", 1)
    assert receiver.seen[0].event["data"] == {"id": f"video_{task.id}"}
    assert delivery.delivered_at is not None and delivery.delivered_at <= time.time()
    assert secret.startswith("whsec_")
