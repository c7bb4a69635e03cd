"""Counted quotas: taken at dispatch, given back when a task was surely not accepted, full again by period."""

from collections.abc import Iterable
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.rows import next_reset, quota_of_row
from app.accounts.status import Quota
from app.db.tables import accounts, ledger, tasks

POSSIBLY_COUNTED = frozenset({"submission_unknown", "upstream_error"})
"""Errors of a task without a receipt that the vendor may have counted all the same."""
ONE = Decimal(1)
NOTHING = Decimal(0)
COLUMNS = (
    accounts.c.quota_unit,
    accounts.c.quota_limit,
    accounts.c.quota_left,
    accounts.c.quota_period,
    accounts.c.quota_resets_at,
)


async def remaining_quotas(
    connection: AsyncConnection, account_ids: Iterable[str], *, now: float
) -> dict[str, Quota]:
    """The quotas of those accounts that have one; those whose period is over are filled first."""
    ids = list(account_ids)
    found: dict[str, Quota] = {}
    if not ids:
        return found
    counted = accounts.c.id.in_(ids), accounts.c.quota_limit.is_not(None)
    for row in (await connection.execute(sa.select(accounts.c.id, *COLUMNS).where(*counted))).all():
        quota = quota_of_row(row)
        assert quota is not None
        if quota.resets_at is not None and quota.resets_at <= now:
            resets_at = next_reset(quota.period, now)
            quota = Quota(quota.unit, quota.limit, quota.limit, quota.period, resets_at)
            values = {"quota_left": quota.limit, "quota_resets_at": resets_at}
            await connection.execute(sa.update(accounts).where(accounts.c.id == row.id).values(**values))
        found[row.id] = quota
    return found


async def reserved_amounts(connection: AsyncConnection, task_ids: list[str]) -> dict[str, Decimal]:
    """The dollars that are held for tasks."""
    query = sa.select(ledger.c.task_id, ledger.c.amount).where(
        ledger.c.task_id.in_(task_ids), ledger.c.kind == "reserve"
    )
    return {row.task_id: row.amount for row in await connection.execute(query)}


async def take_quota(connection: AsyncConnection, account_id: str, amount: Decimal) -> None:
    rest = sa.update(accounts).where(accounts.c.id == account_id, accounts.c.quota_limit.is_not(None))
    await connection.execute(rest.values(quota_left=accounts.c.quota_left - amount))


async def settle_quota(connection: AsyncConnection, task_id: str, account_id: str) -> None:
    """A task leaves its account: give back what it did not use up. Called once its row says how it ended."""
    query = sa.select(*COLUMNS).where(accounts.c.id == account_id, accounts.c.quota_limit.is_not(None))
    row = (await connection.execute(query.with_for_update())).first()
    quota = quota_of_row(row) if row is not None else None
    if quota is None:
        return
    columns = tasks.c.state, tasks.c.error_code, tasks.c.started_at, tasks.c.cost
    task = (await connection.execute(sa.select(*columns).where(tasks.c.id == task_id))).one()
    unused = task.state == "queued" or (task.started_at is None and task.error_code not in POSSIBLY_COUNTED)
    back = ONE if unused else NOTHING
    if quota.unit == "usd":
        held = (await reserved_amounts(connection, [task_id])).get(task_id, NOTHING)
        cost = held if task.cost is None else task.cost
        back = held if unused else held - cost
    if back:
        rest = min(quota.left + back, quota.limit)
        await connection.execute(
            sa.update(accounts).where(accounts.c.id == account_id).values(quota_left=rest)
        )
