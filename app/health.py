"""What `/readyz` and `/metrics` of a process ask its components for: checks, and gauges counted in the database."""

import math
import shutil
import time
from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from functools import partial
from pathlib import Path

import sqlalchemy as sa
from prometheus_client import Gauge
from starlette.applications import Starlette

from app.accounts.status import WHOLE_ACCOUNT, AccountStatus
from app.components import Components
from app.db.operator_tables import usage_days
from app.db.session import DATABASE_AWAY
from app.db.tables import tasks, webhook_deliveries
from app.ops.health import FRESH_SECONDS, DatabaseGauges, Readiness
from app.ops.metrics import (
    ACCOUNTS,
    COOLDOWN_SECONDS,
    COST_TODAY,
    DELIVERIES_PENDING,
    DISK_FREE,
    MONEY_HELD,
    OLDEST_QUEUED,
    SLOTS_USED,
    SPENT_TODAY,
    TASKS_HELD,
    TASKS_OPEN,
    VENDOR_COST_TODAY,
    place_labels,
)
from app.providers.base import Account
from app.shared_reads import SharedRead
from app.tasks.states import OPEN
from app.usage.sums import DAY_SECONDS

REMOVED = Account(id="", provider="", name="")
_WAITS_AT_FIRST = sa.and_(tasks.c.attempts == 0, tasks.c.attempt == 1)
_WAITING_SINCE = sa.case(
    (sa.and_(_WAITS_AT_FIRST, tasks.c.not_before > tasks.c.created_at), tasks.c.not_before),
    else_=tasks.c.created_at,
)
_OLDEST = sa.select(sa.func.min(_WAITING_SINCE)).where(
    tasks.c.state == "queued", tasks.c.not_before <= sa.bindparam("now")
)
"""Who is not to begin yet, as a segment before its turn, does not wait for an account."""
_PENDING = (
    sa.select(sa.func.count())
    .select_from(webhook_deliveries)
    .where(webhook_deliveries.c.state == sa.literal_column("'pending'"))
)


def open_health_checks(app: Starlette, components: Components) -> None:
    """Give ``app`` what the routes of `app.ops.health` ask for."""
    checks = {"database": components.database.check, "store": components.store.check}
    token = components.settings.metrics_token

    async def update_gauges() -> None:
        await _update_gauges(components)

    DISK_FREE.set_function(partial(_free_bytes, components.settings.data_dir))
    app.state.readiness = SharedRead(Readiness(checks, DATABASE_AWAY).outcomes, seconds=FRESH_SECONDS)
    app.state.gauges = SharedRead(DatabaseGauges(update_gauges, DATABASE_AWAY).refresh, seconds=FRESH_SECONDS)
    app.state.metrics_token = token.get_secret_value() if token else None


def _free_bytes(folder: Path) -> float:
    """Not a number for a disk that can't be asked: that says nothing about the database."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return math.nan


async def _update_gauges(components: Components) -> None:
    await _count_tasks(components)
    await _count_accounts(components)
    await count_spending(components, now=time.time())
    held = await components.money.billing.held_money()
    TASKS_HELD.set(held.tasks)
    MONEY_HELD.set(float(held.amount))


async def _count_tasks(components: Components) -> None:
    counted = await components.repository.open_counts()
    for state in sorted(OPEN):
        TASKS_OPEN.labels(state).set(counted.get(state, 0))
    SLOTS_USED.set(counted.get("slots", 0))
    async with components.database.read() as connection:
        oldest = (await connection.execute(_OLDEST, {"now": time.time()})).scalar_one()
        DELIVERIES_PENDING.set((await connection.execute(_PENDING)).scalar_one())
    OLDEST_QUEUED.set(0 if oldest is None else max(0.0, time.time() - oldest))


async def count_spending(components: Components, *, now: float) -> None:
    """What was booked on the UTC day of ``now`` and what vendors charged for it, by the provider of its account."""
    sums = (sa.func.sum(usage_days.c[name]).label(name) for name in ("cost", "vendor_cost"))
    by = usage_days.c.account_id, usage_days.c.model
    of_day = sa.select(*by, *sums).where(usage_days.c.day == int(now // DAY_SECONDS)).group_by(*by)
    known = {each.account.id: each.account for each in await components.pool.current_statuses()}
    async with components.database.read() as connection:
        found = (await connection.execute(of_day)).all()
    rows = sorted(
        found, key=lambda row: row.cost or 0, reverse=True
    )  # where not all are told apart, the dearest are
    accounts = [known.get(row.account_id, REMOVED) for row in rows]
    providers = [(account.provider,) for account in accounts]
    _set_sums(SPENT_TODAY, zip(providers, [row.cost for row in rows], strict=True))
    _set_sums(VENDOR_COST_TODAY, zip(providers, [row.vendor_cost for row in rows], strict=True))
    places = [place_labels(account, row.model) for account, row in zip(accounts, rows, strict=True)]
    _set_sums(COST_TODAY, zip(places, [row.cost for row in rows], strict=True))


def _set_sums(gauge: Gauge, amounts: Iterable[tuple[tuple[str, ...], Decimal | None]]) -> None:
    """Sum the amounts of equal labels. Set, not raised: what several processes share keeps the value of a cleared label."""
    dollars: defaultdict[tuple[str, ...], float] = defaultdict(float)
    for labels, amount in amounts:
        dollars[labels] += float(amount or 0)
    gauge.clear()
    for labels, total in dollars.items():
        gauge.labels(*labels).set(total)


async def _count_accounts(components: Components) -> None:
    now = time.time()
    statuses = await components.pool.current_statuses()
    cooling = sum(
        1
        for status in statuses
        if status.enabled and (status.blocked_by(WHOLE_ACCOUNT, now) or status.active_cooldowns(now))
    )
    disabled = sum(1 for status in statuses if not status.enabled)
    _tell_cooldowns(statuses, now)
    ACCOUNTS.labels("cooling").set(cooling)
    ACCOUNTS.labels("disabled").set(disabled)
    ACCOUNTS.labels("usable").set(len(statuses) - cooling - disabled)


def _tell_cooldowns(statuses: Iterable[AccountStatus], now: float) -> None:
    longest: dict[tuple[str, ...], float] = {}
    for status in statuses:
        for model, cooldown in status.active_cooldowns(now).items() if status.enabled else ():
            labels: tuple[str, ...] = (*place_labels(status.account, model), cooldown.code)
            longest[labels] = max(longest.get(labels, 0.0), cooldown.until - now)
    COOLDOWN_SECONDS.clear()
    for labels, seconds in longest.items():
        COOLDOWN_SECONDS.labels(*labels).set(seconds)
