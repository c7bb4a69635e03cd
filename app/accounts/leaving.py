"""What a task changes on its account when it leaves it, in the transaction that ends or requeues it."""

from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts import quota, statistics


async def release_account(connection: AsyncConnection, task_id: str, account_id: str, *, sent: bool) -> None:
    """Called once the task's row says how it goes on. ``sent``: whether it may have been sent from there."""
    await quota.settle_quota(connection, task_id, account_id)
    if sent:
        await statistics.record_outcome(connection, task_id)
