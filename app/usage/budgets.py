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
from app.usage.ledger import NOTHING, standing, too_dear
from app.usage.periods import Spender, limits, periods

log = structlog.get_logger()
FRESH_SECONDS = 1.0
"""After so long it is looked again beside the calls; after twice as long a call waits for that look."""
KEPT_KEYS = 10_000


@dataclass(slots=True)
class Figures:
    """One key's, in US dollars: by period as the store has them, held for calls under way, cost of calls
    that is not yet written, and of tasks whose reservation is under way."""

    stored: dict[str, Decimal] = field(default_factory=dict)
    held: Decimal = NOTHING
    unwritten: Decimal = NOTHING
    announced: Decimal = NOTHING
    edition: int = 0
    """Raised by every write of ours: a look that was overtaken by one is taken again."""
    fresh_until: float = -math.inf
    looking: asyncio.Task[None] | None = None
    first: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def is_old(self) -> bool:
        """And nobody is looking: a store that hangs must not hold up a busy key."""
        return self.looking is None and self.fresh_until + FRESH_SECONDS < time.monotonic()

    def used(self, period: str) -> Decimal:
        return self.stored.get(period, NOTHING) + self.held + self.unwritten + self.announced


class Budgets:
    """A first call of a key waits for one look at the store, and so does one after a silence."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._keys: dict[str, Figures] = {}

    async def enter(self, spender: Spender, estimate: Decimal) -> None:
        """Hold ``estimate`` for a call until ``leave``. Raises ``InsufficientQuota``."""
        figures = self._figures(spender.id)
        if figures.is_old:
            async with figures.first:
                if figures.is_old:
                    await self._look_first(spender.id, figures)
        elif figures.fresh_until < time.monotonic() and figures.looking is None:
            figures.looking = asyncio.create_task(self._look_again(spender.id, figures))
        now = time.time()
        for period, budget in limits(spender, now).items():
            used = figures.used(period)
            if used >= budget or used + estimate > budget:
                raise too_dear(budget, used, period=period, amount=estimate, at=now)
        figures.held += estimate

    def raise_hold(self, spender: Spender, amount: Decimal) -> None:
        """What a call has cost while it goes on. Raises ``InsufficientQuota`` when nothing is left."""
        figures, now = self._figures(spender.id), time.time()
        figures.held += amount
        for period, budget in limits(spender, now).items():
            used = figures.used(period)
            if used >= budget:
                raise too_dear(budget, used, period=period, amount=NOTHING, at=now)

    @contextmanager
    def announce(self, spender: Spender, amount: Decimal, *, at: float) -> Iterator[None]:
        """A task's amount counts here while it is being reserved in the store, and as stored after that."""
        figures = self._figures(spender.id)
        figures.announced += amount
        try:
            yield
            self._store_now(figures, at, amount)
        finally:
            figures.announced -= amount

    def besides(self, key_id: str) -> Decimal:
        """What the store does not know of: held for calls, or not yet written."""
        figures = self._keys.get(key_id)
        return figures.held + figures.unwritten if figures is not None else NOTHING

    def leave(self, key_id: str, *, estimate: Decimal, cost: Decimal) -> None:
        """The call has ended and cost ``cost``, which the recorder will write."""
        figures = self._keys.get(key_id)
        if figures is None:
            return  # forgotten meanwhile: the next look finds it in the store
        figures.held = max(figures.held - estimate, NOTHING)
        figures.unwritten += cost

    def written(self, costs: Iterable[tuple[str, float, Decimal]]) -> None:
        """The store has these now: ``(key id, UTC seconds, dollars)``."""
        for key_id, at, cost in costs:
            figures = self._keys.get(key_id)
            if figures is None or not cost:
                continue
            figures.unwritten = max(figures.unwritten - cost, NOTHING)
            self._store_now(figures, at, cost)

    async def close(self) -> None:
        looking = [figures.looking for figures in self._keys.values() if figures.looking is not None]
        for look in looking:
            look.cancel()
        await asyncio.gather(*looking, return_exceptions=True)

    def _figures(self, key_id: str) -> Figures:
        figures = self._keys.get(key_id)
        if figures is None:
            self._make_room()
            figures = self._keys.setdefault(key_id, Figures())
        return figures

    @staticmethod
    def _store_now(figures: Figures, at: float, amount: Decimal) -> None:
        figures.edition += 1
        for period in periods(at):
            figures.stored[period] = figures.stored.get(period, NOTHING) + amount

    async def _look(self, key_id: str, figures: Figures) -> None:
        while True:
            edition = figures.edition
            async with self._database.read() as connection:
                found = await standing(connection, key_id, periods(time.time()))
            if edition == figures.edition:
                break
        figures.stored = {period: reserved + spent for period, (reserved, spent) in found.items()}
        figures.fresh_until = time.monotonic() + FRESH_SECONDS

    async def _look_first(self, key_id: str, figures: Figures) -> None:
        if figures.fresh_until == -math.inf:
            await self._look(key_id, figures)
        else:
            await self._look_again(key_id, figures)

    async def _look_again(self, key_id: str, figures: Figures) -> None:
        try:
            await self._look(key_id, figures)
        except DATABASE_AWAY as error:  # what is remembered still stops who has spent it all
            log.warning("budgets.unread", error=type(error).__name__)
            figures.fresh_until = time.monotonic() + FRESH_SECONDS
        finally:
            figures.looking = None

    def _make_room(self) -> None:
        if len(self._keys) < KEPT_KEYS:
            return
        for key_id, figures in list(self._keys.items()):
            if (
                not figures.held
                and not figures.unwritten
                and not figures.announced
                and figures.looking is None
            ):
                del self._keys[key_id]
