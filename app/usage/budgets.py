"""What keys with a budget have spent, in memory: relayed calls ask here and wait for no database.

Within one process tasks and calls can't pass a budget together: a task announces its amount here before it is
reserved in the store, and its reservation leaves room for what calls hold (``besides``). Other processes are heard
of through the store, up to two seconds later: together they may pass a budget by what each lets in meanwhile.
"""

import asyncio
import math
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal

import structlog

from app.db.session import DATABASE_AWAY, Database
from app.usage.ledger import (
    NOTHING,
    BudgetHolder,
    budget_exceeded,
    budgets_by_period,
    period_names,
    read_spending,
)

log = structlog.get_logger()
FRESH_SECONDS = 1.0
"""After so long it is looked again beside the calls; after twice as long a call waits for that look."""
KEPT_KEYS = 10_000


@dataclass(slots=True)
class KeySpending:
    """One key's, in US dollars: by period as the store has them, held for calls under way, cost of calls
    that is not yet written, and of tasks whose reservation is under way."""

    stored: dict[str, Decimal] = field(default_factory=dict)
    held: Decimal = NOTHING
    unwritten: Decimal = NOTHING
    announced: Decimal = NOTHING
    revision: int = 0
    """Raised by every write of ours: a look that was overtaken by one is taken again."""
    fresh_until: float = -math.inf
    refreshing: asyncio.Task[None] | None = None
    first_read: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def is_stale(self) -> bool:
        """And nobody is looking: a store that hangs must not hold up a busy key."""
        return self.refreshing is None and self.fresh_until + FRESH_SECONDS < time.monotonic()

    def used_in(self, period: str) -> Decimal:
        return self.stored.get(period, NOTHING) + self.held + self.unwritten + self.announced


class BudgetTracker:
    """A first call of a key waits for one look at the store, and so does one after a silence."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._keys: dict[str, KeySpending] = {}

    async def hold_estimate(self, spender: BudgetHolder, estimate: Decimal) -> None:
        """Hold ``estimate`` for a call until ``leave``. Raises ``InsufficientQuota``."""
        figures = self._spending_of(spender.id)
        if figures.is_stale:
            async with figures.first_read:
                if figures.is_stale:
                    await self._read_first(spender.id, figures)
        elif figures.fresh_until < time.monotonic() and figures.refreshing is None:
            figures.refreshing = asyncio.create_task(self._read_again(spender.id, figures))
        now = time.time()
        for period, budget in budgets_by_period(spender, now).items():
            used = figures.used_in(period)
            if used >= budget or used + estimate > budget:
                raise budget_exceeded(budget, used, period=period, amount=estimate, at=now)
        figures.held += estimate

    def raise_hold(self, spender: BudgetHolder, amount: Decimal) -> None:
        """What a call has cost while it goes on. Raises ``InsufficientQuota`` when nothing is left."""
        figures, now = self._spending_of(spender.id), time.time()
        figures.held += amount
        for period, budget in budgets_by_period(spender, now).items():
            used = figures.used_in(period)
            if used >= budget:
                raise budget_exceeded(budget, used, period=period, amount=NOTHING, at=now)

    @contextmanager
    def announce_amount(self, spender: BudgetHolder, amount: Decimal, *, at: float) -> Iterator[None]:
        """A task's amount counts here while it is being reserved in the store, and as stored after that."""
        figures = self._spending_of(spender.id)
        figures.announced += amount
        try:
            yield
            self._add_stored(figures, at, amount)
        finally:
            figures.announced -= amount

    def outside_store(self, key_id: str) -> Decimal:
        """What the store does not know of: held for calls, or not yet written."""
        figures = self._keys.get(key_id)
        return figures.held + figures.unwritten if figures is not None else NOTHING

    def release_hold(self, key_id: str, *, estimate: Decimal, cost: Decimal) -> None:
        """The call has ended and cost ``cost``, which the recorder will write."""
        figures = self._keys.get(key_id)
        if figures is None:
            return  # forgotten meanwhile: the next look finds it in the store
        figures.held = max(figures.held - estimate, NOTHING)
        figures.unwritten += cost

    def mark_written(self, costs: Iterable[tuple[str, float, Decimal]]) -> None:
        """The store has these now: ``(key id, UTC seconds, dollars)``."""
        for key_id, at, cost in costs:
            figures = self._keys.get(key_id)
            if figures is None or not cost:
                continue
            figures.unwritten = max(figures.unwritten - cost, NOTHING)
            self._add_stored(figures, at, cost)

    async def close(self) -> None:
        looking = [figures.refreshing for figures in self._keys.values() if figures.refreshing is not None]
        for look in looking:
            look.cancel()
        await asyncio.gather(*looking, return_exceptions=True)

    def _spending_of(self, key_id: str) -> KeySpending:
        figures = self._keys.get(key_id)
        if figures is None:
            self._evict_idle()
            figures = self._keys.setdefault(key_id, KeySpending())
        return figures

    @staticmethod
    def _add_stored(figures: KeySpending, at: float, amount: Decimal) -> None:
        figures.revision += 1
        for period in period_names(at):
            figures.stored[period] = figures.stored.get(period, NOTHING) + amount

    async def _read_spending(self, key_id: str, figures: KeySpending) -> None:
        while True:
            edition = figures.revision
            async with self._database.read() as connection:
                found = await read_spending(connection, key_id, period_names(time.time()))
            if edition == figures.revision:
                break
        figures.stored = {period: reserved + spent for period, (reserved, spent) in found.items()}
        figures.fresh_until = time.monotonic() + FRESH_SECONDS

    async def _read_first(self, key_id: str, figures: KeySpending) -> None:
        if figures.fresh_until == -math.inf:
            await self._read_spending(key_id, figures)
        else:
            await self._read_again(key_id, figures)

    async def _read_again(self, key_id: str, figures: KeySpending) -> None:
        try:
            await self._read_spending(key_id, figures)
        except DATABASE_AWAY as error:  # what is remembered still stops who has spent it all
            log.warning("budgets.unread", error=type(error).__name__)
            figures.fresh_until = time.monotonic() + FRESH_SECONDS
        finally:
            figures.refreshing = None

    def _evict_idle(self) -> None:
        if len(self._keys) < KEPT_KEYS:
            return
        for key_id, figures in list(self._keys.items()):
            if (
                not figures.held
                and not figures.unwritten
                and not figures.announced
                and figures.refreshing is None
            ):
                del self._keys[key_id]
