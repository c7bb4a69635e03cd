"""A gateway whose tasks fill the outbox, and deliverers with short delays."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from app.dialects.webhook_bodies import WebhookBodies
from app.media.guard import OutboundGuard
from app.webhooks.deliverer import WebhookDeliverer
from app.webhooks.deliveries import Delivery, DeliveryFilter, DeliveryRepository
from app.webhooks.endpoints import EndpointRepository, WebhookEndpoint
from app.webhooks.sender import WebhookSender
from tests.tasks.conftest import KEY, Bench, bench, dispatcher_for, until, upstream
from tests.webhooks.receiver import Receiver

__all__ = ["bench", "upstream"]
EVENTS = ("video.completed", "video.failed")
one_store = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what has nothing to do with the store."""
OPEN_GUARD = ("127.0.0.1", "localhost")


@dataclass
class Post:
    """The words of these tests: who is told, what ends, what came of it."""

    bench: Bench
    deliveries: DeliveryRepository

    async def endpoint(self, url: str, *, owner: str = KEY.owner, **told: Any) -> tuple[WebhookEndpoint, str]:
        named = {"name": "test", "event_types": EVENTS} | told
        return await self.bench.components.endpoints.create(owner, url=url, **named)

    async def end_a_task(self, **told: Any) -> str:
        """A waiting task that is cancelled: the shortest way to an end."""
        task = await self.bench.create(**told)
        await self.bench.components.repository.request_cancel(task.id, delete=False)
        return task.id

    @asynccontextmanager
    async def delivering(
        self,
        *,
        delays: Sequence[float] = (0, 0.02, 0.02, 0.02),
        allow: tuple[str, ...] = OPEN_GUARD,
        seconds: float = 15.0,
    ) -> AsyncIterator[WebhookDeliverer]:
        components = self.bench.components
        sender = WebhookSender(OutboundGuard(allow).http_transport(), seconds=seconds)
        dispatcher = dispatcher_for(components.database)
        deliverer = WebhookDeliverer(
            dispatcher,
            DeliveryRepository(components.database),
            EndpointRepository(components.database, components.vault, sender),
            sender=sender,
            bodies=WebhookBodies(
                components.repository, components.keys, components.signer, dialects=components.dialects
            ),
            notices=components.notices,
            ended_tasks=lambda: components.events.subscribe("ended"),
            delays=delays,
            check_seconds=0.02,
        )
        running = asyncio.create_task(deliverer.run())
        dispatching = asyncio.create_task(dispatcher.run({"delivery": deliverer.deliver}))
        try:
            yield deliverer
            if running.done():
                running.result()
        finally:
            running.cancel()
            await dispatcher.stop()
            await asyncio.gather(running, dispatching, return_exceptions=True)
            await sender.close()

    async def all(self, **wanted: str) -> list[Delivery]:
        return await self.deliveries.page(DeliveryFilter(**wanted))

    async def reach(self, state: str, *, count: int = 1) -> list[Delivery]:
        async def there() -> list[Delivery]:
            found = await self.all(state=state)
            return found if len(found) >= count else []

        found: list[Delivery] = await until(there)
        return found

    async def came(self, receiver: Receiver, *, count: int = 1) -> None:
        async def there() -> bool:
            return len(receiver.seen) >= count

        await until(there)

    async def statuses(self, delivery: Delivery) -> list[int | None]:
        return [attempt.status for attempt in await self.deliveries.list_attempts(delivery.id)]


@pytest.fixture
async def post(bench: Bench) -> Post:
    """On both stores."""
    await bench.account()
    return Post(bench, DeliveryRepository(bench.components.database))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server
