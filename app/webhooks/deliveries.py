"""Rows of webhook deliveries: claiming what is due, recording attempts, and the log."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app.db.connection import AsyncConnection
from app.db.operator_tables import webhook_attempts
from app.db.session import Database
from app.db.tables import webhook_deliveries
from app.dispatch.dispatcher import Dispatcher, lock_queue, put_back_lost
from app.errors import NotFound
from app.webhooks.endpoint_health import note_call
from app.webhooks.sender import AttemptOutcome, RetryDecision
from app.webhooks.turns import ReceiverPauses, UnderWay, choose_due, claimed_query, due_query

_table = webhook_deliveries.c
_PENDING = _table.state == sa.literal_column("'pending'")
_CLAIMED = _PENDING, _table.claimed_at.is_not(None)


def _due(now: float | sa.BindParameter[float]) -> tuple[sa.ColumnElement[bool], ...]:
    return _PENDING, _table.next_at <= now, _table.claimed_at.is_(None)


_ANY_DUE = sa.select(_table.id).where(*_due(sa.bindparam("now", type_=sa.Float))).limit(1)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message for one receiver. Times are UTC seconds."""

    id: str
    endpoint_id: str | None
    task_id: str | None
    owner: str
    receiver: str
    url: str
    base_url: str | None
    event: str
    body: str | None
    state: str
    attempts: int
    next_at: float
    claimed_at: float | None
    created_at: float
    delivered_at: float | None


@dataclass(frozen=True, slots=True)
class DeliveryAttempt:
    at: float
    status: int | None
    error: str | None
    milliseconds: float


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Which deliveries the log shows; None: any."""

    owner: str | None = None
    endpoint_id: str | None = None
    task_id: str | None = None
    state: str | None = None

    def sql_conditions(self) -> list[sa.ColumnElement[bool]]:
        named = {
            _table.owner: self.owner,
            _table.endpoint_id: self.endpoint_id,
            _table.task_id: self.task_id,
            _table.state: self.state,
        }
        return [column == value for column, value in named.items() if value is not None]


class DeliveryRepository:
    """A delivery that is claimed has been handed to a dispatcher. Every later write of its job names the claim."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # ---- delivering -----------------------------------------------------------------------------

    async def claim_due(
        self,
        dispatcher: Dispatcher,
        *,
        at_once: int,
        per_receiver: int,
        now: float,
        pauses: ReceiverPauses | None = None,
    ) -> int:
        """Dispatch deliveries that are due, owners in turns; how many.

        ``at_once`` and ``per_receiver`` (one host) bound what is under way over all workers.
        """
        if await self._database.read_one(_ANY_DUE, {"now": now}) is None:
            return 0  # as at the end of most tasks: what follows costs a hundred times as much
        async with self._database.read() as connection:
            busy = UnderWay.count((await connection.execute(claimed_query(_CLAIMED))).all())
            paused = pauses.paused() if pauses else ()
            query = due_query(_due(now), busy, at_once=at_once, paused=paused)
            rows = (await connection.execute(query)).all()
        chosen = choose_due(rows, busy, at_once=at_once, per_receiver=per_receiver, pauses=pauses)
        if not chosen:
            return 0
        still_due = _table.id.in_(chosen), *_due(now)
        claim = sa.update(webhook_deliveries).where(*still_due).values(claimed_at=now).returning(_table.id)
        async with self._database.write() as connection:
            await lock_queue(connection, "delivery")
            claimed = list((await connection.execute(claim)).scalars())
            await dispatcher.put("delivery", claimed, connection)
        return len(claimed)

    async def resume_lost(self, dispatcher: Dispatcher) -> None:
        """Put claimed deliveries again that no queue knows, as after a crash."""
        await put_back_lost(dispatcher, self._database, "delivery", open_ids=_claimed_ids)

    async def take(self, delivery_id: str, *, now: float) -> Delivery | None:
        """Renew the claim for one run, so that an older run writes nothing more. None: it is not claimed."""
        taken = (
            sa.update(webhook_deliveries)
            .where(_table.id == delivery_id, *_CLAIMED)
            .values(claimed_at=now)
            .returning(*webhook_deliveries.c)
        )
        async with self._database.write() as connection:
            row = (await connection.execute(taken)).first()
        return _delivery_of(row) if row else None

    async def settle(
        self,
        delivery: Delivery,
        outcome: AttemptOutcome,
        *,
        verdict: RetryDecision,
        body: str | None,
        now: float,
    ) -> None:
        """Record an attempt; the delivery itself changes only while this run still holds its claim."""
        attempt = {
            "delivery_id": delivery.id,
            "at": now,
            "status": outcome.status,
            "error": outcome.error,
            "milliseconds": round(outcome.milliseconds, 1),
        }
        values = {
            "state": verdict.state,
            "next_at": verdict.next_at,
            "attempts": delivery.attempts + 1,
            "claimed_at": None,
            "body": body,
            "delivered_at": now if verdict.state == "delivered" else None,
        }
        mine = _table.id == delivery.id, _table.claimed_at == delivery.claimed_at
        async with self._database.write() as connection:
            await note_call(connection, delivery.endpoint_id, outcome, now=now)
            await connection.execute(sa.insert(webhook_attempts), attempt)
            await connection.execute(sa.update(webhook_deliveries).where(*mine).values(values))

    async def release(self, delivery: Delivery, *, next_at: float) -> None:
        """Give up the claim without an attempt."""
        mine = _table.id == delivery.id, _table.claimed_at == delivery.claimed_at
        done = sa.update(webhook_deliveries).where(*mine).values(next_at=next_at, claimed_at=None)
        async with self._database.write() as connection:
            await connection.execute(done)

    async def prune(self, before: float) -> None:
        """Delete deliveries that have ended and were created before ``before`` (UTC seconds)."""
        old = sa.select(_table.id).where(_table.created_at < before, _table.state != "pending")
        async with self._database.write_many() as connection:
            attempts = sa.delete(webhook_attempts).where(webhook_attempts.c.delivery_id.in_(old))
            await connection.execute(attempts)
            await connection.execute(sa.delete(webhook_deliveries).where(_table.id.in_(old)))

    # ---- the log --------------------------------------------------------------------------------

    async def page(
        self, wanted: DeliveryFilter | None = None, *, after: str | None = None, limit: int = 50
    ) -> list[Delivery]:
        """Newest first; ``after`` is the id of the last one seen."""
        query = sa.select(webhook_deliveries).where(*(wanted or DeliveryFilter()).sql_conditions())
        if after is not None:
            query = query.where(_table.id < after)
        async with self._database.read() as connection:
            rows = await connection.execute(query.order_by(_table.id.desc()).limit(limit))
            return [_delivery_of(row) for row in rows]

    async def get(self, delivery_id: str) -> Delivery:
        """Raises ``NotFound``."""
        query = sa.select(webhook_deliveries).where(_table.id == delivery_id)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            raise NotFound(f"No such delivery: {delivery_id[:100]}")
        return _delivery_of(row)

    async def list_attempts(self, delivery_id: str) -> list[DeliveryAttempt]:
        """Oldest first."""
        own = webhook_attempts.c.delivery_id == delivery_id
        query = sa.select(webhook_attempts).where(own).order_by(webhook_attempts.c.id)
        async with self._database.read() as connection:
            rows = await connection.execute(query)
            return [DeliveryAttempt(row.at, row.status, row.error, row.milliseconds) for row in rows]

    async def resend(self, delivery_id: str, *, now: float) -> None:
        """Start the retry schedule again, with the same webhook-id and body. Raises ``NotFound``.

        A delivery whose attempt is under way is left alone.
        """
        await self.get(delivery_id)
        idle = _table.id == delivery_id, _table.claimed_at.is_(None)
        values = {"state": "pending", "attempts": 0, "next_at": now, "delivered_at": None}
        async with self._database.write() as connection:
            await connection.execute(sa.update(webhook_deliveries).where(*idle).values(values))


async def _claimed_ids(connection: AsyncConnection) -> list[str]:
    return list((await connection.execute(sa.select(_table.id).where(*_CLAIMED))).scalars())


def _delivery_of(row: Any) -> Delivery:
    return Delivery(**row._mapping)
