"""How accounts do: written in the transaction that ends a task."""

import json

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.tables import accounts, tasks

OUTCOMES_KEPT = 50
NOT_COUNTED = frozenset({"input_missing", "no_available_account", "account_removed"})


async def record_outcome(connection: AsyncConnection, task_id: str) -> None:
    """Count a task that has just ended for the account that it was sent to; a cancelled one counts nothing."""
    query = (
        sa.select(
            accounts.c.id,
            accounts.c.outcomes,
            tasks.c.state,
            tasks.c.error_code,
            tasks.c.started_at,
            tasks.c.finished_at,
        )
        .join(tasks, tasks.c.account_id == accounts.c.id)
        .where(tasks.c.id == task_id)
        .with_for_update(of=accounts)
    )
    row = (await connection.execute(query)).first()
    if row is None or row.state == "cancelled" or row.error_code in NOT_COUNTED:
        return
    done = row.state == "completed"
    outcome = "completed" if done else row.error_code or "failed"
    outcomes = [*json.loads(row.outcomes), outcome][-OUTCOMES_KEPT:]
    took = max(row.finished_at - row.started_at, 0.0) if done and row.started_at else 0.0
    await connection.execute(
        sa.update(accounts)
        .where(accounts.c.id == row.id)
        .values(
            successes=accounts.c.successes + int(done),
            failures=accounts.c.failures + int(not done),
            seconds=accounts.c.seconds + took,
            outcomes=json.dumps(outcomes),
        )
    )
