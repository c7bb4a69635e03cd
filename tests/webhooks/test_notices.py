"""Operator notices: from a real failure to a real receiver, once, and also after a restart."""

import asyncio
import base64
import json
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from app.db import marks
from app.errors import InvalidRequest
from app.keys.key import ClientKey
from app.tasks.budget_watch import BudgetWatch, low_budgets
from app.usage import ledger, reserving
from app.usage.ledger import period_names
from app.webhooks.deliveries import Delivery, DeliveryRepository
from app.webhooks.notice_options import NoticeOptions
from app.webhooks.notices import OPERATOR, OperatorNotice
from app.webhooks.signing import new_secret
from tests.tasks.conftest import replica, settings_for
from tests.upstream import FakeUpstream
from tests.webhooks.conftest import Post, one_store
from tests.webhooks.receiver import Receiver, Reply

TOKEN = "operator-token-canary"


@pytest.fixture
def other() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


async def listen(post: Post, *receivers: dict[str, Any], **told: Any) -> None:
    await post.bench.components.options.write(NoticeOptions, {"receivers": list(receivers), **told})


async def written(post: Post) -> list[Delivery]:
    """Every notice in the outbox, once what was told is written."""
    await post.bench.components.notices.close()
    await post.bench.components.notices.start()
    return await post.all(owner=OPERATOR)


async def test_a_refused_account_is_told_of_signed_and_with_the_token(post: Post, receiver: Receiver) -> None:
    secret = new_secret()
    await listen(post, {"name": "pager", "url": receiver.url, "token": TOKEN, "secret": secret})
    bench = post.bench
    bench.upstream.fault("create", status=401, times=None)
    await bench.work()
    task = await bench.ended(await bench.create())
    assert task.error_code == "no_available_account"
    await post.came(receiver, count=2)
    told = {seen.event["topic"]: seen for seen in receiver.seen}
    assert told.keys() == {"account_disabled", "no_available_account"}
    [standing] = await bench.components.pool.current_statuses()
    seen = told["account_disabled"]
    assert seen.event["data"]["account"] == standing.account.id
    assert seen.event["data"]["name"] == "upstream"
    assert seen.event["data"]["reason"]
    assert told["no_available_account"].event["data"]["model"] == "sora-2"
    for each in receiver.seen:
        assert each.headers["authorization"] == f"Bearer {TOKEN}"
        Webhook(secret).verify(each.body, each.headers)
        assert "secret-of-upstream" not in each.body.decode()
    for delivery in await post.reach("delivered", count=2):
        assert TOKEN not in repr(delivery) and secret not in repr(delivery)


@one_store
async def test_without_a_secret_nothing_is_signed(post: Post, receiver: Receiver) -> None:
    await listen(post, {"name": "plain", "url": receiver.url})
    post.bench.components.notices.notify("account_disabled", {"account": "a"})
    async with post.delivering():
        await post.came(receiver)
    [seen] = receiver.seen
    assert not {"webhook-signature", "authorization"} & seen.headers.keys()
    assert seen.event == {
        "topic": "account_disabled",
        "created_at": seen.event["created_at"],
        "data": {"account": "a"},
    }


async def test_the_same_is_held_down_also_over_a_restart(post: Post, receiver: Receiver) -> None:
    await listen(post, {"name": "pager", "url": receiver.url})
    pool = post.bench.components.pool
    [standing] = await pool.current_statuses()
    for model in ("a", "b", "c"):
        await pool.start_cooldown(standing.account.id, seconds=60, reason="busy", model=model)
    [delivery] = await written(post)
    assert json.loads(delivery.body or "")["data"]["model"] == "a"
    await pool.start_cooldown(standing.account.id, seconds=90, reason="busy")
    assert len(await written(post)) == 1
    await pool.disable(standing.account.id, reason="another matter")
    assert [found.event for found in await written(post)] == ["account_disabled", "account_cooling_down"]
    database = post.bench.components.database
    resting = OperatorNotice("account_cooling_down", {"account": standing.account.id})
    assert await post.bench.components.notices.write([resting]) == 0
    async with database.write() as connection:  # ten minutes later
        await marks.delete_expired_marks(connection, now=time.time() + 601)
    assert await post.bench.components.notices.write([resting]) == 1


async def test_two_processes_tell_once(post: Post, receiver: Receiver) -> None:
    await listen(post, {"name": "pager", "url": receiver.url})
    notice = OperatorNotice("account_disabled", {"account": "a"})
    told = await asyncio.gather(*(post.bench.components.notices.write([notice]) for _ in range(8)))
    assert sum(told) == 1
    assert len(await post.all(owner=OPERATOR)) == 1


@one_store
async def test_what_was_told_when_the_process_ended_arrives_after_it(
    tmp_path: Path, database_url: str, upstream: FakeUpstream, receiver: Receiver
) -> None:
    settings = settings_for(tmp_path, database_url)
    async with replica(settings, upstream) as bench:
        await bench.components.options.write(
            NoticeOptions, {"receivers": [{"name": "pager", "url": receiver.url}]}
        )
        bench.components.notices.notify("account_disabled", {"account": "a"})
    assert receiver.seen == []
    async with replica(settings, upstream) as bench:
        await bench.work()
        post = Post(bench, DeliveryRepository(bench.components.database))
        [delivery] = await post.reach("delivered")
    assert [seen.id for seen in receiver.seen] == [delivery.id]


@one_store
async def test_each_hears_only_of_its_topics(post: Post, receiver: Receiver, other: Receiver) -> None:
    await listen(
        post,
        {"name": "all", "url": receiver.url},
        {"name": "some", "url": other.url, "topics": ["no_available_account"]},
        {"name": "off", "url": other.url, "enabled": False},
    )
    post.bench.components.notices.notify("account_disabled", {"account": "a"})
    post.bench.components.notices.notify("no_available_account", {"kind": "video", "model": "sora-2"})
    found = await written(post)
    assert sorted((each.endpoint_id, each.event) for each in found) == [
        ("notice:all", "account_disabled"),
        ("notice:all", "no_available_account"),
        ("notice:some", "no_available_account"),
    ]


@one_store
async def test_with_nobody_to_tell_nothing_is_written(post: Post) -> None:
    notice = OperatorNotice("account_disabled", {"account": "a"})
    assert await post.bench.components.notices.write([notice]) == 0
    await listen(post, {"name": "late", "url": "https://example.com/"})
    assert await post.bench.components.notices.write([notice]) == 1  # what nobody heard holds nothing down


@one_store
async def test_a_private_address_is_not_called(post: Post, receiver: Receiver) -> None:
    await listen(post, {"name": "inside", "url": receiver.url})
    post.bench.components.notices.notify("account_disabled", {"account": "a"})
    await written(post)
    async with post.delivering(allow=(), delays=(0,)):
        [delivery] = await post.reach("failed")
    [attempt] = await post.deliveries.list_attempts(delivery.id)
    assert (attempt.error, receiver.seen) == ("The address could not be reached.", [])


@one_store
async def test_it_goes_where_the_receiver_is_now_and_can_be_sent_again(
    post: Post, receiver: Receiver, other: Receiver
) -> None:
    await listen(post, {"name": "pager", "url": receiver.url, "token": TOKEN})
    post.bench.components.notices.notify("account_disabled", {"account": "a"})
    [delivery] = await written(post)
    await listen(post, {"name": "pager", "url": other.url, "token": TOKEN})
    other.replies = [Reply(500), Reply(500)]
    async with post.delivering(delays=(0, 0.01)):
        await post.reach("failed")
        await post.deliveries.resend(delivery.id, now=time.time())
        await post.reach("delivered")
    assert receiver.seen == []
    assert {seen.id for seen in other.seen} == {delivery.id}
    assert await post.statuses(delivery) == [500, 500, 200]
    await listen(post)
    await post.deliveries.resend(delivery.id, now=time.time())
    async with post.delivering():
        await post.reach("failed")
    assert len(other.seen) == 3


async def spend(post: Post, key: ClientKey, dollars: str) -> None:
    async with post.bench.components.database.write() as connection:
        await ledger.record_spending(connection, [(key.id, time.time(), Decimal(dollars))])


async def test_a_budget_that_runs_low_is_told_of_once_for_its_period(post: Post, receiver: Receiver) -> None:
    components = post.bench.components
    await listen(post, {"name": "pager", "url": receiver.url, "topics": ["user_quota_too_low"]})
    key, _ = await components.keys.create_key({"name": "shop", "budget_daily": "2.00", "budget_total": "100"})
    free, _ = await components.keys.create_key({"name": "without a budget"})
    await spend(post, free, "1000")
    watch = BudgetWatch(components.database, components.options, components.notices)
    await spend(post, key, "1.60")
    await watch.check_budgets()
    assert await post.all(owner=OPERATOR) == []  # a fifth is left: not less
    await spend(post, key, "0.01")
    for _ in range(3):
        await watch.check_budgets()
        await BudgetWatch(
            components.database, components.options, components.notices
        ).check_budgets()  # another worker
    [delivery] = await post.all(owner=OPERATOR)
    assert json.loads(delivery.body or "")["data"] == {
        "quota": 0.39,
        "budget": 2.0,
        "key": key.id,
        "name": "shop",
        "project": None,
        "period": period_names(time.time())[1],
        "budget_kind": "daily",
    }
    await spend(post, key, "5")
    await watch.check_budgets()
    assert len(await post.all(owner=OPERATOR)) == 1
    await components.keys.update(key.id, {"budget_daily": "7"})
    await watch.check_budgets()
    assert len(await post.all(owner=OPERATOR)) == 2  # another budget, another matter


async def test_what_is_held_for_tasks_counts_and_revoked_keys_do_not(post: Post) -> None:
    components, now = post.bench.components, time.time()
    key, _ = await components.keys.create_key({"name": "holds", "budget_monthly": "10"})
    async with components.database.write() as connection:
        await reserving.reserve_money(
            connection, key, [reserving.Reservation("t", "m", Decimal("9.5"), now, {})]
        )
    [found] = await low_budgets(components.database, share=0.2, now=now)
    assert (found.key_id, found.left, found.budget) == (key.id, Decimal("0.5"), Decimal(10))
    assert await low_budgets(components.database, share=0.05, now=now) == []
    assert await low_budgets(components.database, share=0.2, now=now + 40 * 86_400) == []  # another month
    await components.keys.revoke(key.id)
    assert await low_budgets(components.database, share=0.2, now=now) == []


@one_store
@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"url": "ftp://a/"}, "receivers.0.url"),
        ({"topics": ["nothing"]}, "receivers.0.topics.0"),
        ({"secret": "whsec_short"}, "receivers.0.secret"),
        ({"secret": base64.b64encode(b"x" * 32).decode()}, "receivers.0.secret"),
        ({"token": "a\nb"}, "receivers.0.token"),
        ({"name": "a/b"}, "receivers.0.name"),
    ],
)
async def test_a_wrong_document_names_the_field(post: Post, wrong: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await listen(post, {"name": "a", "url": "https://example.com/"} | wrong)
    assert caught.value.param == param
