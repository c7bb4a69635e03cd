"""Notifications reach subscribers: at once in the process, by LISTEN/NOTIFY elsewhere, also after a cut connection."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from app.tasks.notifications import Notification, NotificationHub
from tests.tasks.conftest import until


@pytest.fixture
async def pair(postgres_url: str) -> AsyncIterator[tuple[NotificationHub, NotificationHub]]:
    url = postgres_url.replace("postgresql://", "postgresql+asyncpg://")
    one, other = NotificationHub(postgres_url=url), NotificationHub(postgres_url=url)
    await one.start()
    await other.start()
    yield one, other
    await one.stop()
    await other.stop()


async def heard(sender: NotificationHub, listener: NotificationHub, change: Notification) -> Notification:
    """The first notice can come before the listener's connection stands, so it is repeated."""
    async with listener.subscribe(change.id) as queue:

        async def came() -> bool:
            sender.publish([change])
            await asyncio.sleep(0.1)
            return not queue.empty()

        await until(came)
        return queue.get_nowait()


async def test_in_one_process() -> None:
    events = NotificationHub()
    async with events.subscribe("one") as by_id, events.subscribe("progress") as by_kind:
        events.publish(
            [Notification("progress", "one", "running", 12.5, True), Notification("state", "two", "failed")]
        )
        assert (
            by_id.get_nowait()
            == by_kind.get_nowait()
            == Notification("progress", "one", "running", 12.5, True)
        )
        assert by_id.empty()
        assert by_kind.empty()
    events.publish([Notification("progress", "one")])
    assert by_id.empty()


async def test_on_another_replica(pair: tuple[NotificationHub, NotificationHub]) -> None:
    change = Notification("progress", "task", "running", 40.0, True)
    assert await heard(pair[0], pair[1], change) == change


async def test_its_own_notices_come_once(pair: tuple[NotificationHub, NotificationHub]) -> None:
    await heard(pair[0], pair[1], Notification("state", "warm"))
    async with pair[0].subscribe("task") as here, pair[1].subscribe("task") as there:
        pair[0].publish([Notification("state", "task", "failed")])
        await asyncio.wait_for(there.get(), 60)
        await asyncio.sleep(0.1)
        assert here.qsize() == 1


async def test_more_than_a_notice_holds(pair: tuple[NotificationHub, NotificationHub]) -> None:
    await heard(pair[0], pair[1], Notification("state", "warm"))
    changes = [Notification("progress", f"{number:032x}", "running", 1.0, True) for number in range(1000)]
    async with pair[1].subscribe("progress") as queue:
        pair[0].publish(changes)
        got = [await asyncio.wait_for(queue.get(), 60) for _ in changes]
    assert got == changes


async def test_again_whenever_the_connections_were_cut(
    pair: tuple[NotificationHub, NotificationHub], postgres_url: str
) -> None:
    """Wherever they are in their work: each time it is another moment."""
    for number in range(8):
        change = Notification("state", f"round {number}")
        assert await heard(pair[0], pair[1], change) == change
        connection = await asyncpg.connect(postgres_url)
        await connection.execute(
            "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        await connection.close()
