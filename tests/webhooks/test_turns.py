"""Whose webhook goes next: asserted by order, never by time."""

import time
from collections import Counter

import sqlalchemy as sa

from app.db.tables import webhook_deliveries
from app.dispatch.dispatcher import InProcessDispatcher
from app.webhooks import outbox
from app.webhooks.turns import AT_ONCE, PER_OWNER, PER_RECEIVER, REPEATED_AT_ONCE, ReceiverPauses, Target
from tests.tasks.conftest import dispatcher_for, until
from tests.webhooks.conftest import Post, one_store
from tests.webhooks.receiver import Receiver, Reply

EVENT = "video.completed"


async def put(post: Post, owner: str, *urls: str, age: float = 0.0, attempts: int = 0) -> list[str]:
    at = time.time() - age - len(urls) / 1e4  # all due already, in this order
    rows = [
        outbox.delivery_row(owner, EVENT, url=url, body="{}")
        | {"next_at": at + n / 1e4, "attempts": attempts}
        for n, url in enumerate(urls)
    ]
    async with post.bench.components.database.write() as connection:
        await outbox.insert_deliveries(connection, rows)
    return [row["id"] for row in rows]


async def claim(post: Post, *, pauses: ReceiverPauses | None = None) -> list[str]:
    """Everything that may be under way now, in the order in which it was claimed; nothing is sent."""
    database = post.bench.components.database
    dispatcher = dispatcher_for(database)
    claimed: list[str] = []
    while await post.deliveries.claim_due(
        dispatcher, at_once=AT_ONCE, per_receiver=PER_RECEIVER, now=time.time(), pauses=pauses
    ):
        rows = sa.select(webhook_deliveries.c.id).where(webhook_deliveries.c.claimed_at.is_not(None))
        async with database.read() as connection:
            claimed += sorted(set((await connection.execute(rows)).scalars()) - set(claimed))
    if isinstance(dispatcher, InProcessDispatcher):
        await dispatcher.stop()
    return claimed


async def under_way(post: Post, column: str) -> Counter[str]:
    named = webhook_deliveries.c[column]
    query = sa.select(named).where(webhook_deliveries.c.claimed_at.is_not(None))
    async with post.bench.components.database.read() as connection:
        return Counter((await connection.execute(query)).scalars())


def dead_hosts(count: int, *, each: int = 1) -> list[str]:
    return [f"https://dead-{n}.example.com/hook" for n in range(count) for _ in range(each)]


async def test_a_backlog_of_dead_receivers_delays_nobody_else(post: Post) -> None:
    backlog = await put(post, "key:busy", *dead_hosts(60, each=4), age=3600)
    [other] = await put(post, "key:other", "https://alive.example.com/hook")
    claimed = await claim(post)
    assert other in claimed
    assert len(set(claimed) & set(backlog)) == PER_OWNER
    # Each of its receivers has its turn before one of them has a second.
    assert set((await under_way(post, "receiver")).values()) == {1}


async def test_owners_take_turns_and_the_first_of_an_owner_never_waits(post: Post) -> None:
    owners = [f"key:{n}" for n in range(6)]
    for owner in owners:
        await put(post, owner, *(f"https://{owner[4:]}-{n}.example.com/" for n in range(50)), age=60)
    await claim(post)
    held = await under_way(post, "owner")
    assert held.total() == AT_ONCE
    assert max(held.values()) - min(held.values()) <= 1
    [late] = await put(post, "key:late", "https://late.example.com/")
    assert late in await claim(post)
    assert (await under_way(post, "owner")).total() == AT_ONCE + 1


async def test_new_deliveries_go_before_repeated_ones(post: Post) -> None:
    for n in range(4):
        await put(post, f"key:away-{n}", *dead_hosts(20), age=86_400, attempts=3)
    new = await put(post, "key:away-0", *(f"https://new-{n}.example.com/" for n in range(PER_OWNER)))
    claimed = await claim(post)
    assert set(new) <= set(claimed)
    assert len(set(claimed) - set(new)) <= REPEATED_AT_ONCE


@one_store
async def test_who_does_not_answer_rests_and_is_tried_with_one(post: Post) -> None:
    urls = ["https://shared.example.com/"] * 3
    mine = await put(post, "key:mine", *urls, age=9)
    await put(post, "key:other", *urls)
    pauses, target = ReceiverPauses(first=3600), Target("key:mine", "shared.example.com")
    pauses.record(target, answered=False)
    claimed = await claim(post, pauses=pauses)
    assert len(claimed) == 3
    assert not set(claimed) & set(mine)  # the same host of another owner goes on
    on_trial = ReceiverPauses(first=0.0)
    on_trial.record(target, answered=False)
    assert len(set(await claim(post, pauses=on_trial)) & set(mine)) == 1
    on_trial.record(target, answered=True)
    assert not on_trial.is_on_trial(target)


@one_store
async def test_a_host_that_hangs_is_left_alone_while_others_are_told(post: Post, receiver: Receiver) -> None:
    with Receiver() as hanging:
        hanging.reply = Reply(hold=True)
        await put(post, "key:busy", *[hanging.url.replace("127.0.0.1", "localhost")] * 40, age=60)
        async with post.delivering(delays=(0, 3600), seconds=2.0):
            await post.came(hanging, count=PER_RECEIVER)

            async def failed() -> bool:
                return sum(row.attempts for row in await post.all(owner="key:busy")) == PER_RECEIVER

            await until(failed)
            await put(post, "key:other", receiver.url)
            await post.reach("delivered")
        assert len(hanging.seen) == PER_RECEIVER
