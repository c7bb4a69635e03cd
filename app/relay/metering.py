"""What relayed calls cost: held in memory while they are under way, taken when their answer has gone by."""

from dataclasses import dataclass
from decimal import Decimal

from app.catalog.price import BYTES_PER_TOKEN, ModelPrice
from app.catalog.prices import PriceRepository
from app.keys.key import ClientKey
from app.relay.forwarding import ResponseForwarder
from app.relay.request import RelayRequest
from app.usage.budgets import BudgetTracker

NOTHING = Decimal(0)
EVENT_BYTES_PER_TOKEN = 200
"""An event of a stream carries about one token in about so many bytes."""


@dataclass(slots=True)
class MeteredCall:
    """One priced call under way."""

    key: ClientKey
    price: ModelPrice
    base: Decimal
    request_bytes: int
    estimate: Decimal
    """What ``Budgets`` holds for it."""


class Metering:
    """Costs nothing itself where a model has no price."""

    def __init__(self, prices: PriceRepository, budgets: BudgetTracker) -> None:
        self._prices = prices
        self._budgets = budgets

    async def begin_call(self, key: ClientKey, wish: RelayRequest, path: str) -> MeteredCall | None:
        """Raises ``InsufficientQuota``. What is entered must ``leave``."""
        price = await self._prices.recent_price(wish.model)
        if price is None:
            return None
        size, base = len(wish.body), price.base_of_call(path, wish.fields)
        if not key.has_budget:
            return MeteredCall(key, price, base, size, NOTHING)
        estimate = base + price.quote_tokens(wish.fields, size)
        await self._budgets.hold_estimate(key, estimate)
        return MeteredCall(key, price, base, size, estimate)

    async def begin_session(self, key: ClientKey, model: str) -> MeteredCall | None:
        """A conversation, whose cost nobody can guess: it is held as it goes on. Raises ``InsufficientQuota``; must ``leave_talk``."""
        price = await self._prices.recent_price(model)
        if price is None:
            return None
        if key.has_budget:
            await self._budgets.hold_estimate(key, price.per_call)
        return MeteredCall(key, price, price.per_call, 0, price.per_call)

    def update_session(self, charge: MeteredCall, read: int | None, written: int | None) -> None:
        """Hold what a conversation has used so far. Raises ``InsufficientQuota`` when nothing is left."""
        if charge.key.has_budget:
            more = _cost_of_session(charge, read, written) - charge.estimate
            charge.estimate += more
            self._budgets.raise_hold(charge.key, more)

    def end_session(self, charge: MeteredCall, read: int | None, written: int | None) -> Decimal:
        return self._release_hold(charge, _cost_of_session(charge, read, written))

    def end_call(self, charge: MeteredCall, answer: ResponseForwarder | None) -> Decimal:
        """What it cost; nothing when no answer came (None), or the upstream broke it off."""
        return self._release_hold(charge, _cost_of_call(charge, answer) if answer is not None else NOTHING)

    def _release_hold(self, charge: MeteredCall, cost: Decimal) -> Decimal:
        if charge.key.has_budget:
            self._budgets.release_hold(charge.key.id, estimate=charge.estimate, cost=cost)
        return cost


def _cost_of_session(charge: MeteredCall, read: int | None, written: int | None) -> Decimal:
    return charge.base + charge.price.cost_of_tokens(read or 0, written or 0)


def _cost_of_call(charge: MeteredCall, answer: ResponseForwarder) -> Decimal:
    price = charge.price
    read, written = answer.usage_reader.token_counts() if price.counts_tokens else (0, 0)
    # A stream says what it used only when asked to, and not to who hangs up: that must not make it free.
    if read is None:
        read = charge.request_bytes // BYTES_PER_TOKEN
    if written is None:
        written = answer.usage_reader.total_bytes // (
            EVENT_BYTES_PER_TOKEN if answer.is_event_stream else BYTES_PER_TOKEN
        )
    return charge.base + price.cost_of_tokens(read, written)
