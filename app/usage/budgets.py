"""What keys and projects with a budget have spent, in memory: relayed calls check it without waiting for the database.

Within one process, tasks and calls can't exceed a budget together: a task announces its amount here before it is reserved
in the database, and its reservation leaves room for what calls hold (``outside_store``). The spending of other processes
is read from the database and up to two seconds old: together they may exceed a budget by what each admits meanwhile.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial

from app import clock
from app.db.session import DATABASE_AWAY, Database
from app.shared_reads import SharedRead
from app.usage.ledger import (
    NOTHING,
    BudgetHolder,
    budget_exceeded,
    budgets_by_period,
    period_names,
    read_spending,
)

FRESH_SECONDS = 2.0
"""After half of this the spending is read again in the background; after all of it a call waits for that."""
KEPT_KEYS = 10_000


@dataclass(slots=True)
class KeySpending:
    """The spending of one key or project in US dollars.

    ``stored``: by period, as in the database. ``held`` for calls under way. ``unwritten``: the cost of ended calls that is
    not written yet. ``announced``: of tasks that are being reserved.
    """

    reads: SharedRead[dict[str, Decimal]] = field(init=False)
    stored: dict[str, Decimal] = field(default_factory=dict)
    held: Decimal = NOTHING
    unwritten: Decimal = NOTHING
    announced: Decimal = NOTHING
    revision: int = 0
    """Raised by every write of this process: a read that overlaps with one is repeated."""

    @property
    def pending(self) -> Decimal:
        """What the store does not say yet."""
        return self.held + self.unwritten + self.announced


class BudgetTracker:
    """The first call of a key waits for one read of the database, and so does one after a pause."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._keys: dict[str, KeySpending] = {}

    async def hold_for_all(self, holders: Sequence[BudgetHolder], estimate: Decimal) -> None:
        """``hold_estimate`` for a key and its project: for both or none."""
        held: list[BudgetHolder] = []
        try:
            for holder in holders:
                await self.hold_estimate(holder, estimate)
                held.append(holder)
        finally:
            if len(held) < len(holders):
                for holder in held:
                    self.release_hold(holder.id, estimate=estimate, cost=NOTHING)

    async def hold_estimate(self, holder: BudgetHolder, estimate: Decimal) -> None:
        """Hold ``estimate`` (US dollars) for a call until ``release_hold``. Raises ``InsufficientQuota``."""
        figures = self._spending_of(holder.id)
        if figures.reads.recent() is None:
            # While the database is away, the figures in memory still stop a key that has used up its budget.
            await figures.reads.get_or_last()
        now = clock.now()
        pending = figures.pending
        for period, budget in budgets_by_period(holder, now).items():
            used = figures.stored.get(period, NOTHING) + pending
            if used >= budget or used + estimate > budget:
                raise budget_exceeded(holder, used, period=period, amount=estimate, at=now)
        figures.held += estimate

    def raise_holds(self, holders: Sequence[BudgetHolder], amount: Decimal) -> None:
        """Hold ``amount`` more for a call that goes on. Raises ``InsufficientQuota`` when a budget is used up; it is held for
        all of them even then."""
        now = clock.now()
        for holder in holders:
            self._spending_of(holder.id).held += amount
        for holder in holders:
            figures = self._spending_of(holder.id)
            for period, budget in budgets_by_period(holder, now).items():
                used = figures.stored.get(period, NOTHING) + figures.pending
                if used >= budget:
                    raise budget_exceeded(holder, used, period=period, amount=NOTHING, at=now)

    @contextmanager
    def announce_for_all(
        self, holders: Sequence[BudgetHolder], amount: Decimal, *, at: float
    ) -> Iterator[None]:
        """``announce_amount`` for a key and its project."""
        with ExitStack() as announced:
            for holder in holders:
                announced.enter_context(self.announce_amount(holder, amount, at=at))
            yield

    @contextmanager
    def announce_amount(self, holder: BudgetHolder, amount: Decimal, *, at: float) -> Iterator[None]:
        """Count a task's amount while it is reserved in the database, and as stored after that."""
        figures = self._spending_of(holder.id)
        figures.announced += amount
        try:
            yield
            self._add_stored(figures, at, amount)
        finally:
            figures.announced -= amount

    def outside_store(self, holder_id: str) -> Decimal:
        """What the database does not include yet: held for calls, or not written."""
        figures = self._keys.get(holder_id)
        return figures.held + figures.unwritten if figures is not None else NOTHING

    def release_hold(self, key_id: str, *, estimate: Decimal, cost: Decimal) -> None:
        """A call has ended and cost ``cost``, which the recorder will write."""
        figures = self._keys.get(key_id)
        if figures is None:
            return  # evicted meanwhile: the next read finds the cost in the database
        figures.held = max(figures.held - estimate, NOTHING)
        figures.unwritten += cost

    def mark_written(self, costs: Iterable[tuple[str, float, Decimal]]) -> None:
        """These costs are in the database now: ``(id of a key or project, UTC seconds, US dollars)``."""
        for key_id, at, cost in costs:
            figures = self._keys.get(key_id)
            if figures is None or not cost:
                continue
            figures.unwritten = max(figures.unwritten - cost, NOTHING)
            self._add_stored(figures, at, cost)

    async def close(self) -> None:
        for figures in self._keys.values():
            await figures.reads.close()

    def _spending_of(self, key_id: str) -> KeySpending:
        figures = self._keys.get(key_id)
        if figures is None:
            self._evict_idle()
            figures = self._keys[key_id] = KeySpending()
            read = partial(self._read_spending, key_id, figures)
            figures.reads = SharedRead(read, seconds=FRESH_SECONDS, away=DATABASE_AWAY)
        return figures

    @staticmethod
    def _add_stored(figures: KeySpending, at: float, amount: Decimal) -> None:
        figures.revision += 1
        for period in period_names(at):
            figures.stored[period] = figures.stored.get(period, NOTHING) + amount

    async def _read_spending(self, key_id: str, figures: KeySpending) -> dict[str, Decimal]:
        while True:
            edition = figures.revision
            async with self._database.read_few() as connection:
                read = await read_spending(connection, key_id, period_names(clock.now()))
            if edition == figures.revision:
                break
        figures.stored = {period: reserved + spent for period, (reserved, spent) in read.items()}
        return figures.stored

    def _evict_idle(self) -> None:
        if len(self._keys) < KEPT_KEYS:
            return
        for key_id, figures in list(self._keys.items()):
            if not (figures.held or figures.unwritten or figures.announced):
                del self._keys[key_id]
