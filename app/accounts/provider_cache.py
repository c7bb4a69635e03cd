"""The providers of accounts: built once, and let go of when their account has changed and their last call has ended."""

import weakref
from collections.abc import Callable

from app.providers.base import Account, Provider


class ProviderCache:
    """One provider for each account as it is now. Calls that are under way keep the one that they began with."""

    def __init__(self, build: Callable[[Account], Provider]) -> None:
        self._build = build
        self._built: dict[str, tuple[Account, Provider]] = {}
        self._retired: weakref.WeakSet[Provider] = weakref.WeakSet()
        """Those whose account has changed: only the runs and calls that still use them keep them."""

    def provider_for(self, account: Account) -> Provider:
        """Raises ``InvalidRequest`` for an account that no provider can be built for."""
        built = self._built.get(account.id)
        if built is not None and built[0] == account:
            return built[1]
        provider = self._build(account)
        if built is not None:
            self._retired.add(built[1])
        self._built[account.id] = (account, provider)
        return provider

    async def check(self, account: Account) -> None:
        """Raises ``InvalidRequest`` for what a provider can't work with."""
        await self._build(account).close()

    def forget_others(self, account_ids: set[str]) -> None:
        """Let go of the providers of all accounts but these."""
        for account_id in self._built.keys() - account_ids:
            self._retired.add(self._built.pop(account_id)[1])

    async def close(self) -> None:
        for provider in [*self._retired, *(provider for _, provider in self._built.values())]:
            await provider.close()
        self._built.clear()
