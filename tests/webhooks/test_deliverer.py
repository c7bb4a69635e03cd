"""Deliveries against real receivers that are down, slow, hostile or gone."""

import asyncio
import time

import openai
import pytest
import sqlalchemy as sa
from standardwebhooks import Webhook

from app.db.tables import tasks, webhook_endpoints
from app.tasks.service import RequestContext
from app.webhooks.endpoint_health import failing_endpoints
from tests.tasks.conftest import KEY, dispatcher_for, until
from tests.webhooks.conftest import Post, one_store
from tests.webhooks.receiver import Receiver, Reply


async def test_it_arrives_signed(post: Post, receiver: Receiver) -> None:
    _, secret = await post.endpoint(receiver.url)
    task_id = await post.end_a_task()
    async with post.delivering():
        [delivery] = await post.reach("delivered")
    [seen] = receiver.seen
    assert (seen.id, seen.path) == (delivery.id, "/hook")
    Webhook(secret).verify(seen.body, seen.headers)
    with openai.OpenAI(api_key="x", webhook_secret=secret) as client:
        event = client.webhooks.unwrap(seen.body, seen.headers)
    assert (event.type, event.data.id) == ("video.failed", f"video_{task_id}")
    assert seen.headers["content-type"] == "application/json"
    assert "cookie" not in seen.headers
    assert await post.statuses(delivery) == [200]


async def test_failures_are_repeated_with_the_same_id(post: Post, receiver: Receiver) -> None:
    _, secret = await post.endpoint(receiver.url)
    receiver.replies = [Reply(500), Reply(hang_up=True), Reply(429, headers={"retry-after": "0"})]
    await post.end_a_task()
    async with post.delivering():
        [delivery] = await post.reach("delivered")
    assert len(receiver.seen) == 4
    assert {(seen.id, seen.body) for seen in receiver.seen} == {(delivery.id, receiver.seen[0].body)}
    for seen in receiver.seen:
        Webhook(secret).verify(seen.body, seen.headers)
    assert await post.statuses(delivery) == [500, None, 429, 200]
    assert delivery.attempts == 4


async def test_an_endpoint_tells_what_fails_since_when(post: Post, receiver: Receiver) -> None:
    made, _ = await post.endpoint(receiver.url)
    endpoints = post.bench.components.endpoints
    assert made.failing is None
    receiver.replies = [Reply(502)] * 4 + [Reply(hang_up=True)]
    await post.end_a_task()
    before = time.time()
    async with post.delivering(delays=(0, 0, 0, 0, 0)):
        await post.reach("failed")
    failing = (await endpoints.get(made.id, owner=KEY.owner)).failing
    assert failing is not None and failing.error is not None
    assert (failing.calls, failing.status) == (5, None)
    assert before <= failing.since <= time.time()
    async with post.bench.components.database.read() as connection:
        assert await failing_endpoints(connection) == (1, "test")
    await post.end_a_task()
    async with post.delivering():
        await post.reach("delivered")
        assert (await endpoints.get(made.id, owner=KEY.owner)).failing is None
    async with post.bench.components.database.read() as connection:
        assert await failing_endpoints(connection) == (0, None)


async def test_a_new_address_has_not_failed_yet(post: Post, receiver: Receiver) -> None:
    made, _ = await post.endpoint(receiver.url)
    endpoints = post.bench.components.endpoints
    receiver.replies = [Reply(503)]
    await post.end_a_task()
    async with post.delivering(delays=(0,)):
        await post.reach("failed")
    failing = (await endpoints.get(made.id, owner=KEY.owner)).failing
    assert failing is not None and (failing.calls, failing.status, failing.error) == (1, 503, None)
    renamed = await endpoints.update(made.id, owner=KEY.owner, name="other")
    assert renamed.failing == failing
    moved = await endpoints.update(made.id, owner=KEY.owner, url=f"{receiver.url}2")
    assert moved.failing is None


@one_store
async def test_a_receiver_that_was_down_gets_it_later(post: Post) -> None:
    with Receiver() as down:
        port = down.port
    await post.endpoint(down.url)
    await post.end_a_task()
    async with post.delivering(delays=(0, *[0.05] * 100)):

        async def refused() -> bool:
            [delivery] = await post.all()
            return delivery.attempts >= 2

        await until(refused)
        with Receiver(port=port) as up:
            [delivery] = await post.reach("delivered")
            assert [seen.id for seen in up.seen] == [delivery.id]
    attempts = await post.deliveries.list_attempts(delivery.id)
    assert attempts[0].error == "The address could not be reached."


async def test_a_lasting_failure_is_given_up_and_can_be_sent_again(post: Post, receiver: Receiver) -> None:
    await post.endpoint(receiver.url)
    receiver.reply = Reply(500)
    await post.end_a_task()
    async with post.delivering(delays=(0, 0.01, 0.01)) as deliverer:
        [failed] = await post.reach("failed")
        assert (failed.attempts, len(receiver.seen)) == (3, 3)
        receiver.reply = Reply(200)
        await post.deliveries.resend(failed.id, now=time.time())
        deliverer.wake()
        [again] = await post.reach("delivered")
    assert (again.id, again.body) == (failed.id, failed.body)
    assert await post.statuses(again) == [500, 500, 500, 200]


@one_store
async def test_a_slow_receiver_holds_up_nobody(post: Post, receiver: Receiver) -> None:
    with Receiver() as slow:
        slow.reply = Reply(hold=True)
        hook = RequestContext("test", hook_url=slow.url.replace("127.0.0.1", "localhost"))
        for _ in range(25):
            await post.end_a_task(context=hook)
        await post.endpoint(receiver.url)
        late = await post.end_a_task()
        async with post.delivering():
            await post.came(receiver)
            assert receiver.seen[0].event["data"]["id"] == f"video_{late}"
            await post.came(slow, count=4)
            assert len(slow.seen) == 4  # more of it would only fill our hands
            slow.let_go()
            await post.reach("delivered", count=26)


@one_store
async def test_no_answer_in_time_is_a_failure(post: Post, receiver: Receiver) -> None:
    await post.endpoint(receiver.url)
    receiver.replies = [Reply(hold=True)]
    await post.end_a_task()
    async with post.delivering(seconds=1.5):
        [delivery] = await post.reach("delivered")
    [first, second] = await post.deliveries.list_attempts(delivery.id)
    assert (first.status, first.error) == (None, "No answer within 1.5 seconds.")
    assert second.status == 200


@one_store
async def test_redirects_are_failures(post: Post, receiver: Receiver) -> None:
    statuses = [301, 302, 303, 307, 308]
    with Receiver() as secret_place:
        receiver.replies = [Reply(status, headers={"location": secret_place.url}) for status in statuses]
        await post.endpoint(receiver.url)
        await post.end_a_task()
        async with post.delivering(delays=(0, 0.01, 0.01, 0.01, 0.01)):
            [delivery] = await post.reach("failed")
        assert await post.statuses(delivery) == statuses
        assert secret_place.seen == []


@one_store
async def test_a_private_host_is_not_called(post: Post, receiver: Receiver) -> None:
    task_id = await post.end_a_task(context=RequestContext("test", hook_url=receiver.url))
    async with post.delivering(delays=(0,), allow=()):
        [delivery] = await post.reach("failed")
    assert (delivery.task_id, receiver.seen) == (task_id, [])
    [attempt] = await post.deliveries.list_attempts(delivery.id)
    # The same words as for a host that is down: nobody maps our network with this.
    assert (attempt.status, attempt.error) == (None, "The address could not be reached.")


async def test_gone_disables_the_endpoint(post: Post, receiver: Receiver) -> None:
    endpoint, _ = await post.endpoint(receiver.url)
    receiver.replies = [Reply(503, headers={"retry-after": "1000"}), Reply(410)]
    endpoints = post.bench.components.endpoints

    async def first_tried() -> bool:
        return any(found.attempts for found in await post.all())

    async with post.delivering():
        waiting = await post.end_a_task()
        await until(first_tried)
        await post.end_a_task()
        await post.reach("failed", count=2)
        disabled = await endpoints.get(endpoint.id, owner=KEY.owner)
        assert (disabled.enabled, disabled.disabled_reason) == (False, "It answered 410 Gone.")
        assert [found.state for found in await post.all(task_id=waiting)] == ["failed"]
        await post.end_a_task()
        assert len(await post.all()) == 2
        assert (await endpoints.update(endpoint.id, owner=KEY.owner, name="back")).enabled
        await post.end_a_task()
        await post.reach("delivered")


@one_store
async def test_retry_after_is_honoured(post: Post, receiver: Receiver) -> None:
    await post.endpoint(receiver.url)
    receiver.replies = [Reply(503, headers={"retry-after": "1000"})]
    await post.end_a_task()
    began = time.time()

    async def tried() -> bool:
        return (await post.all())[0].attempts == 1

    async with post.delivering():
        await until(tried)
    [delivery] = await post.all()
    assert (delivery.state, delivery.next_at >= began + 1000) == ("pending", True)


@one_store
async def test_a_huge_answer_is_not_read(post: Post, receiver: Receiver) -> None:
    receiver.reply = Reply(200, body=b"x" * 50_000_000)
    await post.endpoint(receiver.url)
    await post.end_a_task()
    async with post.delivering():
        await post.reach("delivered")


@one_store
async def test_cookies_are_not_kept(post: Post, receiver: Receiver) -> None:
    receiver.reply = Reply(200, headers={"set-cookie": "who=first; Path=/"})
    await post.endpoint(receiver.url)
    async with post.delivering():
        for count in (1, 2):
            await post.end_a_task()
            await post.reach("delivered", count=count)
    assert [seen.headers.get("cookie") for seen in receiver.seen] == [None, None]


async def test_after_a_rotation_both_secrets_sign(post: Post, receiver: Receiver) -> None:
    endpoint, old = await post.endpoint(receiver.url)
    endpoints = post.bench.components.endpoints
    _, new = await endpoints.rotate_secret(endpoint.id, owner=KEY.owner, keep_old=True)
    assert await endpoints.valid_secrets(endpoint.id, owner=KEY.owner) == [new, old]
    await post.end_a_task()
    async with post.delivering():
        await post.reach("delivered")
    for secret in (old, new):
        Webhook(secret).verify(receiver.seen[0].body, receiver.seen[0].headers)
    late = sa.update(webhook_endpoints).values(old_until=time.time() - 1)
    async with post.bench.components.database.write() as connection:
        await connection.execute(late)
    assert await endpoints.valid_secrets(endpoint.id, owner=KEY.owner) == [new]
    _, newest = await endpoints.rotate_secret(endpoint.id, owner=KEY.owner, keep_old=False)
    assert await endpoints.valid_secrets(endpoint.id, owner=KEY.owner) == [newest]


async def test_a_secret_that_can_not_be_opened_hides_no_other_endpoint_and_is_mended_by_a_new_one(
    post: Post, receiver: Receiver
) -> None:
    endpoint, _ = await post.endpoint(receiver.url)
    await post.endpoint("https://other.example/")
    endpoints = post.bench.components.endpoints
    damaged = (
        sa.update(webhook_endpoints).where(webhook_endpoints.c.id == endpoint.id).values(secret="v1.AAAA")
    )
    async with post.bench.components.database.write() as connection:
        await connection.execute(damaged)
    listed, _ = await endpoints.page(KEY.owner, after=None, limit=10)
    assert sorted(each.hint.startswith("whsec_…") for each in listed) == [False, True]
    _, new = await endpoints.rotate_secret(endpoint.id, owner=KEY.owner, keep_old=True)
    assert await endpoints.valid_secrets(endpoint.id, owner=KEY.owner) == [new]
    assert (await endpoints.get(endpoint.id, owner=KEY.owner)).hint == f"whsec_…{new[-4:]}"


async def test_a_new_address_gets_what_the_old_one_missed(post: Post, receiver: Receiver) -> None:
    endpoint, _ = await post.endpoint("https://old.example/")
    await post.end_a_task()
    await post.bench.components.endpoints.update(endpoint.id, owner=KEY.owner, url=receiver.url)
    async with post.delivering():
        await post.reach("delivered")
    assert len(receiver.seen) == 1


async def test_a_deleted_endpoint_gets_nothing_more(post: Post, receiver: Receiver) -> None:
    endpoint, _ = await post.endpoint(receiver.url)
    await post.end_a_task()
    await post.bench.components.endpoints.delete(endpoint.id, owner=KEY.owner)
    [delivery] = await post.all()
    assert delivery.state == "failed"
    async with post.delivering() as deliverer:
        await post.deliveries.resend(delivery.id, now=time.time())
        deliverer.wake()
        await post.reach("failed")
    assert receiver.seen == []


async def test_a_hook_of_a_deleted_task_is_not_called(post: Post, receiver: Receiver) -> None:
    task_id = await post.end_a_task(context=RequestContext("test", hook_url=receiver.url))
    async with post.bench.components.database.write() as connection:
        await connection.execute(sa.update(tasks).where(tasks.c.id == task_id).values(deleted=True))
    async with post.delivering():
        [delivery] = await post.reach("failed")
    assert receiver.seen == []
    assert [one.error for one in await post.deliveries.list_attempts(delivery.id)] == ["The task is gone."]


@one_store
async def test_a_hook_is_told_in_its_dialect(post: Post, receiver: Receiver) -> None:
    secret = post.bench.components.endpoints.hook_secret(KEY.owner)
    known = RequestContext("openai_videos", hook_url=receiver.url, hook_base="http://gateway.example")
    video = await post.end_a_task(context=known)
    other = await post.end_a_task(context=RequestContext("some_dialect", hook_url=receiver.url))
    async with post.delivering():
        await post.reach("delivered", count=2)
    said = {seen.event["id"]: seen for seen in receiver.seen}
    told = said.pop(f"video_{video}")
    assert (told.event["object"], told.event["status"]) == ("video", "failed")
    [thin] = said.values()
    assert (thin.event["type"], thin.event["data"]) == ("video.failed", {"id": f"video_{other}"})
    for seen in (told, thin):
        Webhook(secret).verify(seen.body, seen.headers)


async def test_stopping_hands_back_what_is_under_way(post: Post, receiver: Receiver) -> None:
    await post.endpoint(receiver.url)
    receiver.replies = [Reply(hold=True)]
    await post.end_a_task()
    async with post.delivering():
        await post.came(receiver)
    [delivery] = await post.all()
    assert (delivery.state, delivery.claimed_at, delivery.attempts) == ("pending", None, 0)
    async with post.delivering():
        await post.reach("delivered")
    assert {seen.id for seen in receiver.seen} == {delivery.id}


async def test_what_a_dead_worker_had_claimed_is_claimed_again(post: Post, receiver: Receiver) -> None:
    await post.endpoint(receiver.url)
    await post.end_a_task()
    dead = dispatcher_for(post.bench.components.database)  # never runs what it was given
    claimed = await post.deliveries.claim_due(dead, at_once=20, per_receiver=4, now=time.time())
    assert claimed == 1
    async with post.delivering():
        await post.reach("delivered")


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_several_workers_share_one_outbox(post: Post, receiver: Receiver) -> None:
    await post.endpoint(receiver.url)
    for _ in range(30):
        await post.end_a_task()
    async with post.delivering(), post.delivering(), post.delivering():
        await post.reach("delivered", count=30)
    assert len({seen.id for seen in receiver.seen}) == len(receiver.seen) == 30


async def test_the_log_is_narrowed_paged_and_pruned(post: Post, receiver: Receiver) -> None:
    endpoint, _ = await post.endpoint(receiver.url)
    ids = [await post.end_a_task() for _ in range(3)]
    async with post.delivering():
        newest, middle, oldest = await post.reach("delivered", count=3)
    assert [newest.task_id, middle.task_id, oldest.task_id] == ids[::-1]
    assert await post.deliveries.page(after=newest.id, limit=1) == [middle]
    assert len(await post.all(owner=KEY.owner, endpoint_id=endpoint.id)) == 3
    assert await post.all(owner="key:other") == []
    await post.deliveries.prune(middle.created_at)
    assert await post.all() == [newest, middle]
    assert await post.deliveries.list_attempts(oldest.id) == []


async def test_a_database_that_is_away_only_delays(post: Post, receiver: Receiver) -> None:
    await post.endpoint(receiver.url)
    await post.end_a_task()
    away = sa.text("ALTER TABLE webhook_deliveries RENAME TO elsewhere")
    back = sa.text("ALTER TABLE elsewhere RENAME TO webhook_deliveries")
    async with post.bench.components.database.write() as connection:
        await connection.execute(away)
    async with post.delivering():
        await asyncio.sleep(0.1)
        async with post.bench.components.database.write() as connection:
            await connection.execute(back)
        await post.reach("delivered")
