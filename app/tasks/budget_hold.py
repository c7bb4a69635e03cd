"""What new tasks take from their key and its project: money of their budgets, and places among their tasks in flight.

Crash points: it is one transaction with the insert of the tasks, so there is neither a task nor a reservation before its
commit.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

import sqlalchemy as sa

from app.catalog.price import ModelPrice
from app.db.connection import AsyncConnection
from app.db.session import Database
from app.db.tables import ledger, tasks
from app.errors import RateLimited
from app.keys.key import ClientKey
from app.tasks.states import OPEN, SEGMENT_OWNER
from app.usage.budgets import BudgetTracker
from app.usage.reserving import KeyReservations, Reservation, reserve_for_keys

BUSY_SECONDS = 5.0
"""``Retry-After`` for a key with too many tasks in flight. When the next one ends is unknown."""
LOCK_KIND = 727_003  # of PostgreSQL's advisory locks, one per key or project; the number is ours to choose
# Literals, as in the condition of the index of open tasks.
_OPEN: list[sa.ColumnElement[str]] = [sa.literal_column(f"'{state}'") for state in sorted(OPEN)]
_NO_SEGMENT = ~tasks.c.owner.startswith(SEGMENT_OWNER, autoescape=True)


@dataclass(frozen=True, slots=True)
class BudgetHold:
    """What a new task takes from its key: one of its tasks in flight, and money of its budget."""

    key: ClientKey
    model: str
    price: ModelPrice | None
    amount: Decimal
    budgets: BudgetTracker

    def announced_to_relay(self, at: float) -> AbstractContextManager[None]:
        """Use around that transaction: relayed calls of the same key count the amount before it is committed."""
        if self.price is None or not (holders := self.key.budget_holders):
            return nullcontext()
        return self.budgets.announce_for_all(holders, self.amount, at=at)


@dataclass(frozen=True, slots=True)
class TaskHold:
    """The hold of one new task, which was created ``at`` (UTC seconds)."""

    task_id: str
    at: float
    hold: BudgetHold

    @property
    def reservation(self) -> Reservation | None:
        """The price is kept with it: a change of prices applies to new tasks only."""
        price = self.hold.price
        if price is None:
            return None
        detail = {"price": price.model_dump(mode="json", exclude_defaults=True)}
        return Reservation(self.task_id, self.hold.model, self.hold.amount, self.at, detail)


async def check_and_reserve(connection: AsyncConnection, holds: Sequence[TaskHold]) -> None:
    """Call after the insert of the tasks, in their transaction. Raises ``RateLimited`` and ``InsufficientQuota`` when one
    of them does not fit; the transaction must then be rolled back."""
    by_key: dict[str, list[TaskHold]] = defaultdict(list)
    for each in holds:
        by_key[each.hold.key.id].append(each)
    latest = [mine[-1].hold for mine in by_key.values()]
    for place in sorted({place for hold in latest for place in _places_of(hold.key)}):
        await _count_in_flight(connection, place)
    reserving = []
    for mine in by_key.values():
        wanted = [found for each in mine if (found := each.reservation) is not None]
        if wanted:
            key = mine[-1].hold.key
            reserving.append(KeyReservations(key, wanted, key.team))
    if reserving:
        budgets = latest[-1].budgets
        ids = {each.id for one in reserving for each in (one.key, one.project) if each is not None}
        await reserve_for_keys(
            connection, reserving, besides={name: budgets.outside_store(name) for name in ids}
        )


class _Places(NamedTuple):
    """So many tasks of a key, or of a project's keys, may be open. Sorted as all transactions lock them."""

    holder_id: str
    limit: int
    owner: str | None

    @property
    def mine(self) -> sa.ColumnElement[bool]:
        # Without the concatenation databases choose the index by key and read all tasks it ever had: open ones are few.
        if self.owner is None:
            return tasks.c.key_id.concat("") == self.holder_id
        return tasks.c.owner.concat("") == self.owner


def _places_of(key: ClientKey) -> Iterator[_Places]:
    if key.tasks_limit is not None:
        yield _Places(key.id, key.tasks_limit, None)
    if key.team is not None and key.team.tasks_limit is not None:
        yield _Places(key.team.id, key.team.tasks_limit, key.team.owner)


async def read_agreed_price(database: Database, task_id: str) -> ModelPrice | None:
    """The price that was kept with a task's reservation; None where nothing was reserved."""
    kept = sa.select(ledger.c.detail).where(ledger.c.task_id == task_id, ledger.c.kind == "reserve")
    async with database.read() as connection:
        detail = (await connection.execute(kept)).scalar()
    return agreed_price(detail) if detail else None


@lru_cache(maxsize=256)
def agreed_price(detail: str) -> ModelPrice:
    """Of the row of a reservation: most tasks have one of few prices."""
    return ModelPrice.model_validate(json.loads(detail)["price"])


async def _count_in_flight(connection: AsyncConnection, places: _Places) -> None:
    """Raises ``RateLimited`` when more than the limit of its tasks are open. The new one is counted."""
    if connection.dialect.name == "postgresql":
        lock = sa.func.pg_advisory_xact_lock(LOCK_KIND, sa.func.hashtext(places.holder_id))
        await connection.execute(sa.select(lock))
    mine = places.mine, tasks.c.state.in_(_OPEN), _NO_SEGMENT
    some = sa.select(tasks.c.id).where(*mine).limit(places.limit + 1).subquery()
    found = await connection.execute(sa.select(sa.func.count()).select_from(some))
    if found.scalar_one() > places.limit:
        whose = "This API key" if places.owner is None else "The project of this API key"
        raise RateLimited(
            f"{whose} may have {places.limit} tasks in flight. Please wait for one to end.",
            retry_after=BUSY_SECONDS,
        )
