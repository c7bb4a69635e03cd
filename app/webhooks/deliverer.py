"""Delivers what lies in the outbox: at least once, many at a time, no receiver holding up another."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

import structlog

from app.db.session import DATABASE_AWAY
from app.errors import FilmgateError
from app.webhooks.deliveries import Delivery, DeliveryRepository
from app.webhooks.endpoints import EndpointRepository
from app.webhooks.notices import OPERATOR, OperatorNotices
from app.webhooks.schedule import DELAYS, GONE, decide_retry
from app.webhooks.sender import AttemptOutcome, WebhookMessage, WebhookSender

log = structlog.get_logger()
AT_ONCE = 20
PER_RECEIVER = 4
LOOK_SECONDS = 1.0
"""A look is taken this often also when nobody asked: a notice can be lost, a delay ends by itself."""
BREATH_SECONDS = 0.02
KEPT_SECONDS = 30 * 86_400.0
PRUNE_SECONDS = 3_600.0


class BodyWriter(Protocol):
    """Writes what a task's own hook is told; injected from above, as it speaks in dialects."""

    async def body(self, delivery: Delivery) -> str | None:
        """None when there is nothing left to tell."""


class WebhookDeliverer:
    """One per worker. ``delays`` and ``look_seconds`` are seconds."""

    def __init__(
        self,
        deliveries: DeliveryRepository,
        endpoints: EndpointRepository,
        sender: WebhookSender,
        *,
        bodies: BodyWriter,
        notices: OperatorNotices,
        delays: Sequence[float] = DELAYS,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._deliveries = deliveries
        self._endpoints = endpoints
        self._sender = sender
        self._bodies = bodies
        self._notices = notices
        self._delays = delays
        self._look_seconds = look_seconds
        self._news = asyncio.Event()
        self._jobs: dict[asyncio.Task[None], Delivery] = {}
        self._pruned_at = 0.0
        self._resumed = deliveries.is_shared

    def wake(self) -> None:
        """Look now: something may be due."""
        self._news.set()

    async def run(self) -> None:
        """Deliver until cancelled; what is under way then is handed back, to be sent again."""
        try:
            while True:
                await self._round()
                await self._quiet()
        finally:
            await self._hand_back()

    async def _round(self) -> None:
        try:
            if not self._resumed:
                # Alone on this store: what is claimed was claimed by a process that died.
                await self._deliveries.release(None, now=time.time())
                self._resumed = True
            await self._start_due()
            await self._prune()
        except DATABASE_AWAY as error:
            log.warning("deliveries.delayed", error=type(error).__name__)

    async def _start_due(self) -> None:
        while (free := AT_ONCE - len(self._jobs)) > 0:
            busy = Counter(delivery.receiver for delivery in self._jobs.values())
            found = await self._deliveries.claim(busy, free=free, per_receiver=PER_RECEIVER, now=time.time())
            for delivery in found:
                job = asyncio.create_task(self._deliver(delivery), name=delivery.id)
                self._jobs[job] = delivery
                job.add_done_callback(self._done)
            if not found:
                return

    def _done(self, job: asyncio.Task[None]) -> None:
        delivery = self._jobs.pop(job)
        self.wake()
        if not job.cancelled() and (fault := job.exception()) is not None:
            # Its claim runs out, and it is tried again.
            log.error("delivery.interrupted", delivery=delivery.id, exc_info=fault)

    async def _deliver(self, delivery: Delivery) -> None:
        body = delivery.body or await self._bodies.body(delivery)
        outcome = await self._send(delivery, body)
        now = time.time()
        made = delivery.attempts + 1
        verdict = decide_retry(outcome, made, now=now, delays=self._delays)
        await self._deliveries.settle(delivery, outcome, verdict=verdict, body=body, now=now)
        log.info(
            "delivery.attempted",
            delivery=delivery.id,
            task=delivery.task_id,
            endpoint=delivery.endpoint_id,
            attempt=made,
            status=outcome.status,
            error=outcome.error,
            state=verdict.state,
        )
        if outcome.status == GONE and delivery.endpoint_id is not None:
            await self._endpoints.disable(delivery.endpoint_id, reason="It answered 410 Gone.")

    async def _send(self, delivery: Delivery, body: str | None) -> AttemptOutcome:
        if body is None:
            return AttemptOutcome(error="The task is gone.", final=True)
        try:
            message = await self._message(delivery, body)
        except FilmgateError as error:
            return AttemptOutcome(error=error.message)
        if message is None:
            return AttemptOutcome(error="The endpoint is gone.", final=True)
        return await self._sender.send(message)

    async def _message(self, delivery: Delivery, body: str) -> WebhookMessage | None:
        if delivery.owner == OPERATOR:
            return await self._notices.message_for(delivery.id, delivery.endpoint_id, body)
        valid = await self._endpoints.valid_secrets(delivery.endpoint_id, owner=delivery.owner)
        return WebhookMessage(delivery.id, delivery.url, body.encode(), valid) if valid else None

    async def _prune(self) -> None:
        now = time.time()
        if now - self._pruned_at > PRUNE_SECONDS:
            self._pruned_at = now
            await self._deliveries.prune(now - KEPT_SECONDS)

    async def _quiet(self) -> None:
        try:
            async with asyncio.timeout(self._look_seconds):
                await self._news.wait()
        except TimeoutError:
            return
        await asyncio.sleep(BREATH_SECONDS)  # what comes in a burst is looked at together
        self._news.clear()

    async def _hand_back(self) -> None:
        under_way = dict(self._jobs)
        for job in under_way:
            job.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        if not under_way:
            return
        try:
            await self._deliveries.release(under_way.values(), now=time.time())
        except DATABASE_AWAY as error:
            log.warning("deliveries.held", error=type(error).__name__)  # until their claims run out
