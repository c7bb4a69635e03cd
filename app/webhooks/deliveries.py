"""All SQL about deliveries: claiming what is due, settling what came of it, and the log to look at."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app.db.session import Database
from app.db.tables import webhook_attempts, webhook_deliveries
from app.errors import NotFound
from app.webhooks.schedule import RetryDecision
from app.webhooks.sender import AttemptOutcome

MAX_DUE_READ = 200
"""So many due deliveries are looked at in one go."""
_table = webhook_deliveries.c


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
    """Narrows the log; None: any."""

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
    """The outbox as its deliverer and its readers see it."""

    def __init__(self, database: Database, *, lease_seconds: float = 60.0) -> None:
        self._database = database
        self._lease = lease_seconds

    @property
    def is_shared(self) -> bool:
        """Whether other processes may be delivering from the same outbox."""
        return self._database.is_postgres

    # ---- delivering -----------------------------------------------------------------------------

    async def claim(self, busy: Counter[str], *, free: int, per_receiver: int, now: float) -> list[Delivery]:
        """Take up to ``free`` of what is due, at most ``per_receiver`` for one host with what is under way.

        Whoever claims has the lease's time to settle; after that somebody else may claim it.
        """
        full = [receiver for receiver, count in busy.items() if count >= per_receiver]
        due = (_table.state == sa.literal_column("'pending'")), _table.next_at <= now
        look = sa.select(_table.id, _table.receiver).where(*due, _table.receiver.not_in(full))
        async with self._database.read() as connection:
            rows = (await connection.execute(look.order_by(_table.next_at).limit(MAX_DUE_READ))).all()
        chosen = _choose_due(rows, busy, free=free, per_receiver=per_receiver)
        if not chosen:
            return []
        still = sa.select(_table.id).where(_table.id.in_(chosen), *due).with_for_update(skip_locked=True)
        claimed = (
            sa.update(webhook_deliveries)
            .where(_table.id.in_(still))
            .values(next_at=now + self._lease, claimed_at=now)
            .returning(*webhook_deliveries.c)
        )
        async with self._database.write() as connection:
            return [_delivery_of(row) for row in await connection.execute(claimed)]

    async def settle(
        self,
        delivery: Delivery,
        outcome: AttemptOutcome,
        *,
        verdict: RetryDecision,
        body: str | None,
        now: float,
    ) -> None:
        """Write an attempt down; the delivery itself only while it is still this claim's."""
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
            await connection.execute(sa.insert(webhook_attempts), attempt)
            await connection.execute(sa.update(webhook_deliveries).where(*mine).values(values))

    async def release(self, claims: Iterable[Delivery] | None, *, now: float) -> None:
        """Hand back claims that nobody works on any more; None: every claim there is."""
        which: list[sa.ColumnElement[bool]] = [_table.state == "pending", _table.claimed_at.is_not(None)]
        if claims is not None:
            held = [(claim.id, claim.claimed_at) for claim in claims]
            which.append(sa.tuple_(_table.id, _table.claimed_at).in_(held))
        async with self._database.write() as connection:
            done = sa.update(webhook_deliveries).where(*which).values(next_at=now, claimed_at=None)
            await connection.execute(done)

    async def prune(self, before: float) -> None:
        """Forget what ended and was made before a moment."""
        old = sa.select(_table.id).where(_table.created_at < before, _table.state != "pending")
        async with self._database.write() as connection:
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
        """Begin the schedule anew, with the same webhook-id and body. Raises ``NotFound``.

        One whose attempt is under way just now is left to it.
        """
        await self.get(delivery_id)
        idle = _table.id == delivery_id, _table.claimed_at.is_(None)
        values = {"state": "pending", "attempts": 0, "next_at": now, "delivered_at": None}
        async with self._database.write() as connection:
            await connection.execute(sa.update(webhook_deliveries).where(*idle).values(values))


def _choose_due(rows: Iterable[Any], busy: Counter[str], *, free: int, per_receiver: int) -> list[str]:
    """The oldest, but of one receiver only what it has room for."""
    under_way = Counter(busy)
    chosen: list[str] = []
    for row in rows:
        if len(chosen) < free and under_way[row.receiver] < per_receiver:
            under_way[row.receiver] += 1
            chosen.append(row.id)
    return chosen


def _delivery_of(row: Any) -> Delivery:
    return Delivery(**row._mapping)
