"""The components of a gateway in this process, with the scripted upstream beside them."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from app.assembly import assemble_components
from app.components import Components
from app.db.session import Database
from app.db.tables import slots
from app.dispatch.dispatcher import Dispatcher, InProcessDispatcher
from app.dispatch.postgres import PostgresDispatcher
from app.generation import GenerationRequest
from app.keys.key import ClientKey
from app.providers.base import Account
from app.settings import Settings
from app.tasks.service import RequestContext
from app.tasks.task import Task
from app.worker import Worker
from tests.upstream import FakeUpstream

KEY = ClientKey(id="tester", name="tester", owner="key:tester")


def settings_for(folder: Path, database_url: str, **more: Any) -> Settings:
    known = {
        "data_dir": folder,
        "database_url": database_url,
        "outbound_allow": "127.0.0.1/32",
        "studio": "off",
        "secret_key": SecretStr("0123456789abcdef0123456789abcdef"),
    }
    return Settings.model_validate(known | more)


def dispatcher_for(database: Database, *, heartbeat: float = 10.0) -> Dispatcher:
    if not database.is_postgres:
        return InProcessDispatcher()
    return PostgresDispatcher(database.url, heartbeat_seconds=heartbeat)


@dataclass
class Bench:
    """One replica, and the words that tests need."""

    components: Components
    upstream: FakeUpstream
    workers: list[Worker] = field(default_factory=list)

    async def account(self, name: str = "upstream", *, url: str = "", **told: Any) -> Account:
        account = Account(
            id="",
            name=name,
            base_url=url or f"{self.upstream.url}/v1",
            secret=f"secret-of-{name}",
            **({"provider": "openai_compatible", "slots": 20} | told),
        )
        account = await self.components.pool.add(account)
        await self.components.pool.refresh()
        return account

    async def create(
        self,
        prompt: str = "a red kite",
        *,
        key: ClientKey = KEY,
        context: RequestContext | None = None,
        **told: Any,
    ) -> Task:
        request = GenerationRequest.model_validate(
            {"kind": "video", "model": "sora-2", "prompt": prompt} | told
        )
        return await self.components.tasks.create(request, key=key, context=context or RequestContext("test"))

    async def work(self) -> Worker:
        worker = Worker(self.components)
        await worker.start()
        self.workers.append(worker)
        return worker

    async def ended(self, task: Task, *, within: float = 120) -> Task:
        found = await self.components.tasks.wait_until_ended(task, within=within)
        assert found.has_ended, found
        return found

    async def reaches(self, task: Task, state: str) -> Task:
        """Wait for a state; the time limit is only there to end a test that hangs."""

        async def there() -> Task | None:
            found = await self.components.repository.get(task.id)
            assert found is not None
            return found if found.state == state else None

        return await until(there)

    async def is_on_its_way(self, task: Task) -> Task:
        """Wait until the upstream has the submission, and has not answered it."""

        async def there() -> bool:
            return bool(self.upstream.counters().submissions)

        await until(there)
        return await self.reaches(task, "submitting")

    async def slots(self) -> int:
        async with self.components.database.read() as connection:
            return len((await connection.execute(slots.select())).all())

    async def timeline(self, task: Task) -> list[str]:
        return [row["event"] for row in await self.components.repository.read_timeline(task.id)]


async def until(holds: Callable[[], Awaitable[Any]], *, timeout: float = 120.0) -> Any:
    end = time.monotonic() + timeout
    while True:
        found = await holds()
        if found:
            return found
        assert time.monotonic() < end, "it did not happen"
        await asyncio.sleep(0.02)


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream() as server:
        yield server


@asynccontextmanager
async def replica(settings: Settings, upstream: FakeUpstream) -> AsyncIterator[Bench]:
    bench = Bench(await assemble_components(settings), upstream)
    try:
        yield bench
    finally:
        for worker in bench.workers:
            await worker.stop()
        await bench.components.close()


@pytest_asyncio.fixture
async def bench(tmp_path: Path, database_url: str, upstream: FakeUpstream) -> AsyncIterator[Bench]:
    """On both stores; no worker yet."""
    async with replica(settings_for(tmp_path, database_url), upstream) as made:
        yield made
