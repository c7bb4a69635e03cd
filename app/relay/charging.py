"""What relayed calls cost: held in memory while they are under way, taken when their answer has gone by."""

from dataclasses import dataclass
from decimal import Decimal

from app.catalog.price import BYTES_PER_TOKEN, Price
from app.catalog.prices import PriceBook
from app.keys.key import Key
from app.relay.passing import Passing
from app.relay.request import Wish
from app.usage.budgets import Budgets

NOTHING = Decimal(0)
EVENT_BYTES_PER_TOKEN = 200
"""An event of a stream carries about one token in about so many bytes."""


@dataclass(slots=True)
class Charge:
    """One priced call under way."""

    key: Key
    price: Price
    base: Decimal
    asked_bytes: int
    estimate: Decimal
    """What ``Budgets`` holds for it."""


class Charging:
    """Costs nothing itself where a model has no price."""

    def __init__(self, prices: PriceBook, budgets: Budgets) -> None:
        self._prices = prices
        self._budgets = budgets

    async def enter(self, key: Key, wish: Wish, path: str) -> Charge | None:
        """Raises ``InsufficientQuota``. What is entered must ``leave``."""
        price = await self._prices.recent(wish.model)
        if price is None:
            return None
        size, base = len(wish.body), price.base_of_call(path, wish.fields)
        if not key.has_budget:
            return Charge(key, price, base, size, NOTHING)
        estimate = base + price.quote_tokens(wish.fields, size)
        await self._budgets.enter(key, estimate)
        return Charge(key, price, base, size, estimate)

    async def enter_talk(self, key: Key, model: str) -> Charge | None:
        """A conversation, whose cost nobody can guess: it is held as it goes on. Raises ``InsufficientQuota``; must ``leave_talk``."""
        price = await self._prices.recent(model)
        if price is None:
            return None
        if key.has_budget:
            await self._budgets.enter(key, price.per_call)
        return Charge(key, price, price.per_call, 0, price.per_call)

    def go_on(self, charge: Charge, read: int | None, written: int | None) -> None:
        """Hold what a conversation has used so far. Raises ``InsufficientQuota`` when nothing is left."""
        if charge.key.has_budget:
            more = _cost_of_talk(charge, read, written) - charge.estimate
            charge.estimate += more
            self._budgets.raise_hold(charge.key, more)

    def leave_talk(self, charge: Charge, read: int | None, written: int | None) -> Decimal:
        return self._close(charge, _cost_of_talk(charge, read, written))

    def leave(self, charge: Charge, answer: Passing | None) -> Decimal:
        """What it cost; nothing when no answer came (None), or the upstream broke it off."""
        return self._close(charge, _cost(charge, answer) if answer is not None else NOTHING)

    def _close(self, charge: Charge, cost: Decimal) -> Decimal:
        if charge.key.has_budget:
            self._budgets.leave(charge.key.id, estimate=charge.estimate, cost=cost)
        return cost


def _cost_of_talk(charge: Charge, read: int | None, written: int | None) -> Decimal:
    return charge.base + charge.price.cost_of_tokens(read or 0, written or 0)


def _cost(charge: Charge, answer: Passing) -> Decimal:
    price = charge.price
    read, written = answer.tail.tokens() if price.counts_tokens else (0, 0)
    # A stream says what it used only when asked to, and not to who hangs up: that must not make it free.
    if read is None:
        read = charge.asked_bytes // BYTES_PER_TOKEN
    if written is None:
        written = answer.tail.total // (EVENT_BYTES_PER_TOKEN if answer.events else BYTES_PER_TOKEN)
    return charge.base + price.cost_of_tokens(read, written)
