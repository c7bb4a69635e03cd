"""The periods that budgets are for: a UTC day, a UTC month, and all time."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Protocol

TOTAL = "total"
PERIOD_LABELS = MappingProxyType({10: "daily", 7: "monthly", 5: "total"})
"""What a budget is called, by the length of its period's name."""


class BudgetHolder(Protocol):
    """A key, as far as money goes; budgets in US dollars."""

    @property
    def id(self) -> str: ...
    @property
    def owner(self) -> str: ...
    @property
    def budget_total(self) -> Decimal | None: ...
    @property
    def budget_monthly(self) -> Decimal | None: ...
    @property
    def budget_daily(self) -> Decimal | None: ...


def period_names(at: float) -> tuple[str, str, str]:
    """``2026-11``, ``2026-11-21``, ``total``; in the order in which rows are always locked."""
    moment = datetime.fromtimestamp(at, UTC)
    return f"{moment:%Y-%m}", f"{moment:%Y-%m-%d}", TOTAL


def budgets_by_period(spender: BudgetHolder, at: float) -> Mapping[str, Decimal]:
    """The budgets that hold at a moment, by period."""
    budgets = (spender.budget_monthly, spender.budget_daily, spender.budget_total)
    named = zip(period_names(at), budgets, strict=True)
    return {period: budget for period, budget in named if budget is not None}


def period_label(period: str) -> str:
    return PERIOD_LABELS[len(period)]


def seconds_to_next(period: str, at: float) -> float | None:
    """Seconds until the next period begins; None when there is no next one."""
    moment = datetime.fromtimestamp(at, UTC)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if period_label(period) == "daily":
        return (midnight + timedelta(days=1) - moment).total_seconds()
    if period_label(period) == "monthly":
        first = midnight.replace(day=1)
        return ((first + timedelta(days=32)).replace(day=1) - moment).total_seconds()
    return None
