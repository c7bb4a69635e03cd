"""Looks of our own at accounts: free requests that show whether a key is taken."""

import asyncio

from app.providers.base import AccountCheck, Provider

LOOK_SECONDS = 10.0
"""A look that takes longer is no answer."""


class AccountLooks:
    """One look at a time for each account: whoever asks meanwhile gets the same answer."""

    def __init__(self) -> None:
        self._under_way: dict[str, asyncio.Task[AccountCheck]] = {}

    async def look_at(self, provider: Provider) -> AccountCheck:
        account_id = provider.account.id
        look = self._under_way.get(account_id)
        if look is None:
            look = self._under_way[account_id] = asyncio.create_task(_look(provider))
            look.add_done_callback(lambda _: self._under_way.pop(account_id, None))
        return await asyncio.shield(look)


async def _look(provider: Provider) -> AccountCheck:
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            return await provider.check_account()
    except TimeoutError:
        return AccountCheck("silent", f"it did not answer within {LOOK_SECONDS:.0f} seconds")
