"""Sends what is in the outbox: at least once, many at a time, and no slow receiver delays the others (turns.py)."""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import structlog

from app import clock
from app.db.session import DATABASE_AWAY
from app.dispatch.dispatcher import Dispatcher
from app.errors import FilmgateError
from app.webhooks.deliveries import Delivery, DeliveryRepository
from app.webhooks.endpoints import EndpointRepository
from app.webhooks.mail import MailMessage
from app.webhooks.notices import OPERATOR, OperatorNotices
from app.webhooks.sender import DELAYS, GONE, AttemptOutcome, WebhookMessage, WebhookSender, decide_retry
from app.webhooks.turns import AT_ONCE, PER_RECEIVER, ReceiverPauses, Target

log = structlog.get_logger()
CHECK_SECONDS = 1.0
"""The outbox is read this often also when no notification came: one can be lost, a delay ends by itself."""
BURST_SECONDS = 0.02
"""Deliveries that become due within this time are claimed together."""
INTERRUPTED_SECONDS = 60.0
"""A delivery whose run raised an unexpected error is tried again after this time."""
RESUME_SECONDS = 2.0
"""Claimed deliveries that the queue has lost are put again this often."""
KEPT_SECONDS = 30 * 86_400.0
PRUNE_SECONDS = 3_600.0


class BodyWriter(Protocol):
    """Writes the body for a task's own hook. Implemented above this package, where dialects are known."""

    async def body(self, delivery: Delivery) -> str | None:
        """None when the task is gone."""


class WebhookDeliverer:
    """One per worker. ``run`` dispatches what is due, a dispatcher calls ``deliver`` for each."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        deliveries: DeliveryRepository,
        endpoints: EndpointRepository,
        *,
        sender: WebhookSender,
        bodies: BodyWriter,
        notices: OperatorNotices,
        ended_tasks: Callable[[], AbstractAsyncContextManager[asyncio.Queue[Any]]],
        delays: Sequence[float] = DELAYS,
        check_seconds: float = CHECK_SECONDS,
    ) -> None:
        """``ended_tasks`` subscribes to notifications of tasks that end; ``delays``: seconds before each attempt."""
        self._dispatcher = dispatcher
        self._deliveries = deliveries
        self._endpoints = endpoints
        self._sender = sender
        self._bodies = bodies
        self._notices = notices
        self._delays = delays
        self._check_seconds = check_seconds
        self._pauses = ReceiverPauses(first=delays[1] if len(delays) > 1 else 0.0)
        self._ended_tasks = ended_tasks
        self._notifications: asyncio.Queue[Any] = asyncio.Queue()
        self._resumed_at = self._pruned_at = -math.inf

    def wake(self) -> None:
        """Check at once: something may be due."""
        self._notifications.put_nowait(None)

    async def run(self) -> None:
        """Dispatch deliveries that are due until cancelled."""
        async with self._ended_tasks() as self._notifications:
            while True:
                try:
                    await self._resume_lost()
                    await self._dispatch_due()
                    await self._prune_log()
                except DATABASE_AWAY as error:
                    log.warning("deliveries.delayed", error=type(error).__name__)
                await self._wait_until_due()

    async def deliver(self, delivery_id: str) -> None:
        """One attempt. When it is cut off by the end of the worker, the delivery is due again at once."""
        delivery = await self._deliveries.take(delivery_id, now=clock.now())
        if delivery is None:
            return
        again_in: float | None = INTERRUPTED_SECONDS
        try:
            await self._attempt(delivery)
            again_in = None
        except asyncio.CancelledError:
            again_in = 0.0
            raise
        finally:
            if again_in is not None:
                await self._hand_back(delivery, next_at=clock.now() + again_in)
            self.wake()

    async def _resume_lost(self) -> None:
        now = time.monotonic()
        if now - self._resumed_at > RESUME_SECONDS:
            await self._deliveries.resume_lost(self._dispatcher)
            self._resumed_at = now

    async def _dispatch_due(self) -> None:
        while await self._deliveries.claim_due(
            self._dispatcher,
            at_once=AT_ONCE,
            per_receiver=PER_RECEIVER,
            now=clock.now(),
            pauses=self._pauses,
        ):
            pass

    async def _attempt(self, delivery: Delivery) -> None:
        body = delivery.body or await self._bodies.body(delivery)
        outcome = await self._send_body(delivery, body)
        now = clock.now()
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

    async def _send_body(self, delivery: Delivery, body: str | None) -> AttemptOutcome:
        if body is None:
            return AttemptOutcome(error="The task is gone.", final=True)
        try:
            message = await self._build_message(delivery, body)
        except FilmgateError as error:
            return AttemptOutcome(error=error.message)
        if message is None:
            return AttemptOutcome(error="The endpoint is gone.", final=True)
        if isinstance(message, MailMessage):
            outcome = await self._notices.send(message)
        else:
            outcome = await self._sender.send(message)
        self._pauses.record(Target(delivery.owner, delivery.receiver), answered=outcome.status is not None)
        return outcome

    async def _build_message(self, delivery: Delivery, body: str) -> WebhookMessage | MailMessage | None:
        if delivery.owner == OPERATOR:
            return await self._notices.message_for(delivery.id, delivery.endpoint_id, body)
        valid = await self._endpoints.valid_secrets(delivery.endpoint_id, owner=delivery.owner)
        return WebhookMessage(delivery.id, delivery.url, body.encode(), valid) if valid else None

    async def _prune_log(self) -> None:
        now = time.monotonic()
        sure = clock.sure_now()
        if sure is not None and now - self._pruned_at > PRUNE_SECONDS:
            self._pruned_at = now
            await self._deliveries.prune(sure - KEPT_SECONDS)

    async def _wait_until_due(self) -> None:
        try:
            async with asyncio.timeout(self._check_seconds):
                await self._notifications.get()
        except TimeoutError:
            return
        await asyncio.sleep(BURST_SECONDS)
        while not self._notifications.empty():
            self._notifications.get_nowait()

    async def _hand_back(self, delivery: Delivery, *, next_at: float) -> None:
        try:
            await self._deliveries.release(delivery, next_at=next_at)
        except DATABASE_AWAY as error:
            # It stays claimed until `resume_lost` puts it again.
            log.warning("deliveries.held", error=type(error).__name__)
