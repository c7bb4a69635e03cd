"""What accounts have left: slots, submissions per minute and quotas; and what the end of a task changes on them."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from app.accounts.rows import next_reset
from app.accounts.status import WHOLE_ACCOUNT, AccountStatus, Quota
from app.db.among import among
from app.db.connection import AsyncConnection
from app.db.tables import accounts, ledger, slots, timeline
from app.generation import Kind
from app.providers.base import Account

QUOTA_COLUMNS = (
    accounts.c.quota_unit,
    accounts.c.quota_limit,
    accounts.c.quota_left,
    accounts.c.quota_period,
    accounts.c.quota_resets_at,
)
_SLOTS_TAKEN = sa.select(slots.c.account_id, slots.c.kind, sa.func.count()).group_by(
    slots.c.account_id, slots.c.kind
)
_LEFT_ACCOUNTS = (
    sa.select(accounts.c.id, accounts.c.outcomes, *QUOTA_COLUMNS)
    .where(among(accounts.c.id, "accounts"))
    .order_by(accounts.c.id)  # in which all transactions lock them
    .with_for_update()
)
_COUNT_OUTCOME = (
    sa.update(accounts)
    .where(accounts.c.id == sa.bindparam("account"))
    .values(
        successes=accounts.c.successes + sa.bindparam("succeeded", type_=sa.Integer),
        failures=accounts.c.failures + sa.bindparam("failed", type_=sa.Integer),
        seconds=accounts.c.seconds + sa.bindparam("took", type_=sa.Float),
        outcomes=sa.bindparam("latest", type_=sa.Text),
    )
)
MINUTE = 60.0
OUTCOMES_KEPT = 50
NOT_COUNTED = frozenset({"input_missing", "no_available_account", "account_removed"})
"""Errors of a task that say nothing about its account."""
POSSIBLY_COUNTED = frozenset({"submission_unknown", "upstream_error"})
"""Errors of a task without a receipt that the vendor may have counted against the quota all the same."""
ONE = Decimal(1)
NOTHING = Decimal(0)


@dataclass(slots=True)
class Capacity:
    """What the store says that accounts have left, less what the current pass of admission has given away."""

    slots_taken: dict[tuple[str, Kind], int] = field(default_factory=dict)
    """By account id and kind."""
    sent_last_minute: dict[str, int] = field(default_factory=dict)
    """Submissions by account id, of accounts that have a limit per minute."""
    quotas: Mapping[str, Quota] = field(default_factory=dict)
    """By account id, of accounts that have one."""
    quota_spent: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    trials_under_way: set[tuple[str, str]] = field(default_factory=set)
    """Account id and upstream model (``*``: the whole account) that a request is testing already."""
    trials_given: set[tuple[str, str]] = field(default_factory=set)
    """Those for which this pass sends the testing request."""

    def free_slots(self, account: Account, model: str, kind: Kind) -> int:
        """How many more tasks of a kind the account may take now for an upstream model."""
        free = account.slots_for(kind) - self.slots_taken.get((account.id, kind), 0)
        if account.rpm is not None:
            free = min(free, account.rpm - self.sent_last_minute.get(account.id, 0))
        quota = self.quotas.get(account.id)
        if quota is not None:
            left = quota.left - self.quota_spent[account.id]
            free = min(free, int(left) if quota.unit == "count" else free if left > NOTHING else 0)
        return 0 if self._is_on_trial(account, model) else free

    def reason_full(self, account: Account, model: str, kind: Kind) -> str:
        """Which limit leaves no free slot, in words."""
        taken, slots_ = self.slots_taken.get((account.id, kind), 0), account.slots_for(kind)
        if taken >= slots_:
            return f"{taken} of {slots_} slots are in use"
        sent = self.sent_last_minute.get(account.id, 0)
        if account.rpm is not None and sent >= account.rpm:
            return f"{sent} of {account.rpm} submissions of this minute are used"
        if self._is_on_trial(account, model):
            return "one request is testing whether it works again"
        return "its quota is used up"

    def take_slot(self, account_id: str, kind: Kind, *, reserve: Decimal) -> None:
        """Count a task that the pass assigns; ``reserve``: the US dollars held for it."""
        self.slots_taken[account_id, kind] = self.slots_taken.get((account_id, kind), 0) + 1
        self.sent_last_minute[account_id] = self.sent_last_minute.get(account_id, 0) + 1
        quota = self.quotas.get(account_id)
        if quota is not None:
            self.quota_spent[account_id] += ONE if quota.unit == "count" else reserve

    def _is_on_trial(self, account: Account, model: str) -> bool:
        tested = self.trials_under_way | self.trials_given
        return bool(tested & {(account.id, model), (account.id, WHOLE_ACCOUNT)})


async def read_capacity(
    connection: AsyncConnection, statuses: Iterable[AccountStatus], *, now: float
) -> Capacity:
    """Slots and submissions from the store; quotas as ``statuses`` have them; no trials."""
    statuses = list(statuses)
    taken = {(row[0], row[1]): int(row[2]) for row in await connection.execute(_SLOTS_TAKEN)}
    limited = [(status.account.id, status.quota) for status in statuses if status.quota is not None]
    quotas = {account_id: replace(quota, left=quota.left_at(now)) for account_id, quota in limited}
    return Capacity(taken, await recent_submissions(connection, statuses, now=now), quotas)


async def recent_submissions(
    connection: AsyncConnection, statuses: Iterable[AccountStatus], *, now: float
) -> Counter[str]:
    """Submissions of the last minute by account id; empty where no account has a limit per minute."""
    counts: Counter[str] = Counter()
    if all(status.account.rpm is None for status in statuses):
        return counts
    recent = timeline.c.event == sa.literal_column("'dispatched'"), timeline.c.at > now - MINUTE
    query = sa.select(timeline.c.detail, sa.func.count()).where(*recent).group_by(timeline.c.detail)
    for detail, count in await connection.execute(query):
        counts[json.loads(detail)["account"]] += count
    return counts


# ---- quotas -------------------------------------------------------------------------------------


async def remaining_quotas(
    connection: AsyncConnection, account_ids: Iterable[str], *, now: float
) -> dict[str, Quota]:
    """The quotas of those accounts that have one; a quota whose period is over is refilled first."""
    ids = list(account_ids)
    quotas: dict[str, Quota] = {}
    if not ids:
        return quotas
    limited = accounts.c.id.in_(ids), accounts.c.quota_limit.is_not(None)
    for row in (await connection.execute(sa.select(accounts.c.id, *QUOTA_COLUMNS).where(*limited))).all():
        quota = Quota.of_row(row)
        assert quota is not None
        if quota.resets_at is not None and quota.resets_at <= now:
            resets_at = next_reset(quota.period, now)
            quota = Quota(quota.unit, quota.limit, quota.limit, quota.period, resets_at)
            values = {"quota_left": quota.limit, "quota_resets_at": resets_at}
            await connection.execute(sa.update(accounts).where(accounts.c.id == row.id).values(**values))
        quotas[row.id] = quota
    return quotas


async def reserved_amounts(connection: AsyncConnection, task_ids: list[str]) -> dict[str, Decimal]:
    """The US dollars that are held for tasks, by task id."""
    query = sa.select(ledger.c.task_id, ledger.c.amount).where(
        ledger.c.task_id.in_(task_ids), ledger.c.kind == "reserve"
    )
    return {row.task_id: row.amount for row in await connection.execute(query)}


async def take_quota(connection: AsyncConnection, account_id: str, amount: Decimal) -> None:
    """Subtract tasks or US dollars from the account's quota, if it has one."""
    limited = accounts.c.id == account_id, accounts.c.quota_limit.is_not(None)
    left = accounts.c.quota_left - amount
    await connection.execute(sa.update(accounts).where(*limited).values(quota_left=left))


# ---- the end of a task --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LeavingTask:
    """A task that leaves its account, as its row is now. ``sent``: whether it may have been submitted to the vendor."""

    id: str
    account_id: str
    sent: bool
    state: str
    error_code: str | None = None
    started_at: float | None = None
    finished_at: float | None = None
    cost: Decimal | None = None

    @property
    def seconds(self) -> float:
        return max((self.finished_at or 0.0) - self.started_at, 0.0) if self.started_at else 0.0


async def release_accounts(connection: AsyncConnection, leaving: Sequence[LeavingTask]) -> None:
    """Return the unused quotas and count the outcomes.

    Call it in the transaction that ends or requeues the tasks, once their rows have the new state.
    """
    if not leaving:
        return
    named = {"accounts": sorted({each.account_id for each in leaving})}
    left = {row.id: row for row in await connection.execute(_LEFT_ACCOUNTS, named)}
    counted = []
    for account in left.values():
        mine = [each for each in leaving if each.account_id == account.id]
        await _return_unused_quota(connection, account, mine)
        counted.append(_counted_outcomes(account, [each for each in mine if each.sent]))
    if changed := [each for each in counted if each is not None]:
        await connection.execute(_COUNT_OUTCOME, changed)


async def _return_unused_quota(
    connection: AsyncConnection, account: Any, leaving: Sequence[LeavingTask]
) -> None:
    quota = Quota.of_row(account)
    if quota is None:
        return
    in_dollars = quota.unit == "usd"
    held = await reserved_amounts(connection, [row.id for row in leaving]) if in_dollars else {}
    returned = NOTHING
    for row in leaving:
        unused = row.state == "queued" or (row.started_at is None and row.error_code not in POSSIBLY_COUNTED)
        if not in_dollars:
            returned += ONE if unused else NOTHING
            continue
        mine = held.get(row.id, NOTHING)
        cost = mine if row.cost is None else row.cost
        returned += mine if unused else mine - cost
    if returned:
        left = min(quota.left + returned, quota.limit)
        await connection.execute(
            sa.update(accounts).where(accounts.c.id == account.id).values(quota_left=left)
        )


def _counted_outcomes(account: Any, ended: Sequence[LeavingTask]) -> dict[str, Any] | None:
    """What tasks that have just ended add to their account's statistics; a cancelled one is not counted."""
    counted = [row for row in ended if row.state != "cancelled" and row.error_code not in NOT_COUNTED]
    if not counted:
        return None
    outcomes = [row.state if row.state == "completed" else row.error_code or "failed" for row in counted]
    made = [row for row in counted if row.state == "completed"]
    return {
        "account": account.id,
        "succeeded": len(made),
        "failed": len(counted) - len(made),
        "took": sum(row.seconds for row in made),
        "latest": json.dumps([*json.loads(account.outcomes), *outcomes][-OUTCOMES_KEPT:]),
    }
