"""What is remembered of the store: one reader for all, renewed before it ends, and never longer than it may be."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from app.backup.schedule_options import BackupOptions
from app.catalog.price import ModelPrice
from app.catalog.route_documents import read_route
from app.components import Components
from app.db.session import Database
from app.errors import FilmgateError, PermissionDenied
from app.keys.key import ClientKey
from app.shared_reads import PAUSE_SECONDS, SharedRead
from tests.tasks.conftest import Bench, bench, replica, settings_for, until, upstream
from tests.upstream import FakeUpstream

__all__ = ["bench", "upstream"]
AT_ONCE = 64
RICH = ClientKey(id="rich", name="rich", owner="key:rich", budget_total=1)
Ask = Callable[[], Awaitable[Any]]


class Watch:
    """The clock of everything remembered, which a test moves on."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return monotonic() + self.ahead


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    made = Watch()
    monkeypatch.setattr("app.shared_reads.monotonic", made)
    return made


@dataclass
class ReadCount:
    """Reads that have begun, and how many of them have ended."""

    begun: int = 0
    ended: int = 0

    async def are_over(self) -> bool:
        return self.ended == self.begun


def count_reads(database: Database, monkeypatch: pytest.MonkeyPatch) -> ReadCount:
    reads, read = ReadCount(), database.read_few

    @asynccontextmanager
    async def counted() -> AsyncIterator[AsyncConnection]:
        reads.begun += 1
        async with read() as connection:
            yield connection
        reads.ended += 1

    monkeypatch.setattr(database, "read_few", counted)
    return reads


async def questions(components: Components) -> dict[str, Ask]:
    """One for everything that is remembered."""
    secret = await components.keys.create("one")
    return {
        "keys": lambda: components.keys.authenticate(secret),
        "accounts": components.pool.current_statuses,
        "routes": components.catalog.routes.current_documents,
        "prices": lambda: components.money.prices.current_price("film"),
        "prices of calls": lambda: components.money.prices.recent_price("film"),
        "options": lambda: components.options.read(BackupOptions),
        "spending": lambda: components.money.budgets.hold_estimate(RICH, 0),
    }


async def test_one_read_answers_everybody(
    bench: Bench, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All at once when it has ended, while it is fresh, and when it soon ends."""
    for what, ask in (await questions(bench.components)).items():
        await ask()
        watch.ahead += 1000
        with monkeypatch.context() as patch:
            reads = count_reads(bench.components.database, patch)
            await asyncio.gather(*(ask() for _ in range(AT_ONCE)))
            assert reads.begun == 1, what
            watch.ahead += 4.5 if what == "keys" else 1.9
            await asyncio.gather(*(ask() for _ in range(AT_ONCE)))
            await asyncio.sleep(0)
            await until(reads.are_over)
            assert reads.begun == 2, what


async def test_a_change_in_this_process_is_seen_at_once_also_by_a_read_under_way(bench: Bench) -> None:
    keys, database = bench.components.keys, bench.components.database
    secret = await keys.create("one")
    key = await keys.authenticate(secret)
    read, has_read, may_end = database.read_few, asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def slow_read() -> AsyncIterator[AsyncConnection]:
        async with read() as connection:
            yield connection
        has_read.set()
        await may_end.wait()

    keys.forget()
    database.read_few = slow_read  # type: ignore[method-assign]
    early = asyncio.create_task(keys.authenticate(secret))
    await has_read.wait()
    database.read_few = read  # type: ignore[method-assign]
    await keys.revoke(key.id)
    may_end.set()
    assert (await early).enabled  # it came before the revocation
    with pytest.raises(PermissionDenied):
        await keys.authenticate(secret)


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_a_change_in_another_process_is_told(
    tmp_path: Path, database_url: str, upstream: FakeUpstream, *, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock stands still, so nothing that is remembered ends by itself."""
    still = monotonic()
    monkeypatch.setattr("app.shared_reads.monotonic", lambda: still)
    settings = settings_for(tmp_path, database_url)
    async with replica(settings, upstream) as one, replica(settings, upstream) as other:
        here, there = one.components, other.components
        secret = await here.keys.create("one")
        key = await there.keys.authenticate(secret)
        for ask in (await questions(there)).values():
            await ask()

        await here.keys.revoke(key.id)
        account = await one.account()
        await here.catalog.routes.put(read_route({"model": "film", "candidates": [{"tag": "fast"}]}))
        await here.money.prices.set_price("film", ModelPrice(per_call=1))
        await here.options.write(BackupOptions, {"every_hours": 7})

        async def is_refused() -> bool:
            try:
                await there.keys.authenticate(secret)
            except PermissionDenied:
                return True
            return False

        async def is_known() -> bool:
            return (
                [each.account.id for each in await there.pool.current_statuses()] == [account.id]
                and "film" in await there.catalog.routes.current_documents()
                and await there.money.prices.current_price("film") is not None
                and (await there.options.read(BackupOptions)).every_hours == 7
            )

        await until(is_refused)
        await until(is_known)


class Store:
    """Answers with how often it was asked, or raises ``error``."""

    def __init__(self) -> None:
        self.asked = 0
        self.error: Exception | None = None

    async def read(self) -> int:
        self.asked += 1
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return self.asked


async def ask_all(ask: Ask) -> set[Any]:
    return set(await asyncio.gather(*(ask() for _ in range(AT_ONCE)), return_exceptions=True))


async def test_while_the_store_is_away_what_is_known_stays_for_its_time(watch: Watch) -> None:
    store = Store()
    kept = SharedRead(store.read, seconds=100, away=(OSError,))
    assert await kept.get() == 1
    store.error = OSError("away")
    watch.ahead += 60
    assert await ask_all(kept.get) == {1}
    await asyncio.sleep(0.01)
    assert (store.asked, await ask_all(kept.get)) == (2, {1})
    watch.ahead += PAUSE_SECONDS
    await ask_all(kept.get)
    assert store.asked == 3
    watch.ahead += 60
    assert (await ask_all(kept.get), store.asked) == ({store.error}, 4)
    assert (await ask_all(kept.get_or_last), store.asked) == ({1}, 4)
    store.error = None
    assert (await ask_all(kept.get), store.asked) == ({5}, 5)


async def test_a_value_of_long_ago_answers_nobody_unless_the_store_is_away(watch: Watch) -> None:
    store = Store()
    kept = SharedRead(store.read, seconds=100, away=(OSError,))
    await kept.get()
    watch.ahead += 10_000
    assert (await ask_all(kept.get_or_last), store.asked) == ({2}, 2)
    kept.expire()
    assert (await ask_all(kept.get_or_last), store.asked) == ({3}, 3)
    store.error = OSError("away")
    watch.ahead += 10_000
    assert (await ask_all(kept.get_or_last), store.asked) == ({3}, 4)
    watch.ahead += PAUSE_SECONDS
    waiting = asyncio.create_task(kept.get_or_last())
    await asyncio.sleep(0)
    await kept.get_or_last()
    assert not waiting.done()  # the others need not wait with it
    assert await waiting == 3


async def test_what_is_gone_is_not_remembered(watch: Watch) -> None:
    store = Store()
    kept = SharedRead(store.read, seconds=100, away=(OSError,))
    await kept.get()
    store.error = FilmgateError("gone")
    watch.ahead += 60
    assert await kept.get() == 1
    await asyncio.sleep(0.01)
    assert kept.recent() is None


async def test_its_time_begins_with_the_read(watch: Watch) -> None:
    """A row may change while it is read: a slow answer is no younger than its question."""

    async def read_slowly() -> int:
        watch.ahead += 99
        return 1

    kept = SharedRead(read_slowly, seconds=100)
    await kept.get()
    watch.ahead += 2
    assert kept.recent() is None
    await kept.close()
