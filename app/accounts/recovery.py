"""Looks again at accounts that a refusal disabled, so that they come back by themselves.

Crash points: a look is claimed before it is made, so a process that dies in it costs one pause, and no account is looked at
by two processes at once.
"""

import structlog

from app import clock
from app.accounts import suspensions
from app.accounts.pool import AccountPool
from app.accounts.status import AccountStatus, Suspension

log = structlog.get_logger()


class AccountRecovery:
    """Enables what works again. An account whose key nothing free can be tried with is enabled for one testing request."""

    def __init__(self, pool: AccountPool) -> None:
        self._pool = pool

    async def look_at_due(self) -> int:
        """One look at each account whose time has come; how many are enabled again."""
        now, back = clock.now(), 0
        for status in await self._pool.current_statuses():
            found = status.suspension
            if found is None or found.by == "operator" or found.next_look_at is None:
                continue
            if found.next_look_at <= now and await self._claim(status, found, now):
                back += await self._look_again(status, found)
        return back

    async def _claim(self, status: AccountStatus, found: Suspension, now: float) -> bool:
        async with self._pool.database.write() as connection:
            claimed = await suspensions.claim_look(connection, status.account.id, found, now=now)
        self._pool.invalidate_cache()
        return claimed

    async def _look_again(self, status: AccountStatus, found: Suspension) -> bool:
        account = status.account
        check = await self._pool.refusals.looks.look_at(self._pool.provider_for(account))
        log.info("account.looked_at", account=account.id, verdict=check.verdict, looks=found.looks + 1)
        if check.verdict in ("refused", "silent"):
            return False
        return await self._pool.resume(account.id, found, trial=check.verdict == "reachable")
