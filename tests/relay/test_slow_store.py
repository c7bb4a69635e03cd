"""A slow database: no call is refused because accounts are not read yet."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.session import Database
from app.relay import endpoint_table
from tests.relay.gateway import RelayGateway
from tests.upstream import FakeUpstream


@dataclass
class SlowReads:
    """The pool's database, whose reads end once ``patience`` is set."""

    store: Database
    patience: asyncio.Event

    @asynccontextmanager
    async def read_few(self) -> AsyncIterator[AsyncConnection]:
        async with self.store.read_few() as connection:
            yield connection
        await self.patience.wait()

    def write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        return self.store.write()


@pytest.fixture
def slow(gateway: RelayGateway, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    patience = asyncio.Event()
    monkeypatch.setattr(gateway.pool, "database", SlowReads(gateway.database, patience))
    monkeypatch.setattr(endpoint_table, "REFRESH_WAIT_SECONDS", 0.05)
    return patience


async def test_the_first_call_waits_for_the_first_read(
    gateway: RelayGateway, upstream: FakeUpstream, slow: asyncio.Event
) -> None:
    await gateway.add_account(upstream.url)
    asyncio.get_running_loop().call_later(0.5, slow.set)
    assert (await gateway.send_chat()).status_code == 200


async def test_a_call_waits_for_a_new_account(
    gateway: RelayGateway, upstream: FakeUpstream, slow: asyncio.Event
) -> None:
    slow.set()
    await gateway.add_account(upstream.url, models={"other": "vendor-other"})
    assert (await gateway.send_chat()).status_code == 400
    slow.clear()
    await gateway.add_account(upstream.url, name="second")
    asyncio.get_running_loop().call_later(0.5, slow.set)
    assert (await gateway.send_chat()).status_code == 200


async def test_calls_go_on_with_the_accounts_in_memory(
    gateway: RelayGateway, upstream: FakeUpstream, slow: asyncio.Event
) -> None:
    slow.set()
    await gateway.add_account(upstream.url)
    assert (await gateway.send_chat()).status_code == 200
    slow.clear()
    gateway.pool.invalidate_cache()
    assert (await gateway.send_chat()).status_code == 200
    slow.set()


async def test_a_database_that_never_answers_is_reported(
    gateway: RelayGateway, slow: asyncio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint_table, "FIRST_REFRESH_WAIT_SECONDS", 0.2)
    response = await gateway.send_chat()
    assert (response.status_code, response.headers["retry-after"]) == (503, "2")
    assert "database" in response.json()["error"]["message"]
    slow.set()
