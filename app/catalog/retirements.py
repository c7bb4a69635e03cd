"""Models that their vendors retire: which of the operator's names lead to one, when, and what comes after it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

from app import clock
from app.providers.base import Account
from app.providers.model_facts import ModelFacts, read_facts

WARN_DAYS = (30, 7, 1)
"""So many days before a vendor's last day for a model its users are told, each time once."""


@dataclass(frozen=True, slots=True)
class Retirement:
    """A model that an account or a route names and that ends on ``day``; ``replaced``: its route takes the successor."""

    name: str
    account: Account
    model: str
    day: date
    successor: str
    replaced: bool

    def days_left(self, now: date) -> int:
        """Negative when it has been retired."""
        return (self.day - now).days

    def as_text(self, now: date) -> str:
        left = self.days_left(now)
        when = f"in {left} days" if left > 0 else "today" if left == 0 else f"{-left} days ago"
        after = f"; its successor is {self.successor}" if self.successor else ""
        after += ", which the route takes then" if self.replaced and self.successor else ""
        return f"{self.name}: {self.account.provider} retires {self.model} on {self.day} ({when}){after}"


@dataclass(frozen=True, slots=True)
class NamedModel:
    """A public name, the account that serves it, and the account's name for the model. ``replaceable``: the route's line
    says that the successor may be taken."""

    name: str
    account: Account
    model: str
    replaceable: bool = False


def today() -> date:
    """In UTC."""
    return datetime.fromtimestamp(clock.now(), UTC).date()


def current_model(provider: str, model: str) -> str:
    """``model``, or what its vendor names as its successor once its last day is over."""
    seen = set[str]()
    while model not in seen:
        seen.add(model)
        facts = _retiring(provider, model)
        if facts is None or facts.retires is None or facts.retires >= today() or not facts.successor:
            break
        model = facts.successor
    return model


def is_retired(provider: str, model: str) -> bool:
    """Whether its vendor's last day for it is over."""
    facts = _retiring(provider, model)
    return facts is not None and facts.retires is not None and facts.retires < today()


def find_retirements(named: Iterable[NamedModel], *, within_days: int = WARN_DAYS[0]) -> list[Retirement]:
    """Of what ends within so many days, or has ended: the soonest first."""
    found = [retirement for each in named for retirement in _retirement_of(each)]
    now = today()
    return sorted(
        (each for each in found if each.days_left(now) <= within_days),
        key=lambda each: (each.day, each.name, each.account.name),
    )


def _retirement_of(named: NamedModel) -> Iterator[Retirement]:
    facts = _retiring(named.account.provider, named.model)
    if facts is None or facts.retires is None:
        return
    yield Retirement(
        named.name, named.account, named.model, facts.retires, facts.successor, named.replaceable
    )


def _retiring(provider: str, model: str) -> ModelFacts | None:
    return read_facts(provider).find_model(model)
