"""The models of accounts that pass every name on, as their upstreams list them."""

import asyncio
from collections.abc import Iterable

import structlog

from app.accounts.pool import AccountPool
from app.catalog.candidates import ANY_MODEL
from app.errors import FilmgateError
from app.foreign import clean_text
from app.providers.base import Account
from app.shared_reads import SharedRead

log = structlog.get_logger()
FRESH_SECONDS = 600.0
FAILED_SECONDS = 60.0
"""An upstream that did not answer is asked again after this long."""
LOOK_SECONDS = 3.0
"""How long a client's list waits for an upstream's."""
AWAY = (FilmgateError, TimeoutError)
MOST_NAMES = 2000
LONGEST_NAME = 200


class PassedModels:
    """In memory. While an upstream is away, its last list holds, or none: never an error."""

    def __init__(self, pool: AccountPool) -> None:
        self._pool = pool
        self._lists: dict[tuple[str, str], SharedRead[tuple[str, ...]]] = {}

    async def names(self, accounts: Iterable[Account]) -> set[str]:
        """What the upstreams of those of ``accounts`` list that pass every name on."""
        passing = [account for account in accounts if passes_every_name(account)]
        known = {_key_of(account): account for account in passing}
        self._lists = {key: self._lists.get(key) or self._list_of(account) for key, account in known.items()}
        lists = await asyncio.gather(*(found.get_or_last() for found in self._lists.values()))
        return {name for names in lists for name in names}

    def _list_of(self, account: Account) -> SharedRead[tuple[str, ...]]:
        return SharedRead(
            lambda: self._read(account),
            seconds=FRESH_SECONDS,
            away=AWAY,
            pause=FAILED_SECONDS,
            report=lambda error: log.info("models.unlisted", account=account.id, error=type(error).__name__),
            first=(),
        )

    async def _read(self, account: Account) -> tuple[str, ...]:
        async with asyncio.timeout(LOOK_SECONDS):
            listed = await self._pool.provider_for(account).listed_models()
        cleaned = sorted(clean_text(name, LONGEST_NAME) for name in listed or ())
        return tuple(name for name in cleaned[:MOST_NAMES] if name)


def passes_every_name(account: Account) -> bool:
    return not account.models or account.models.get(ANY_MODEL) == ANY_MODEL


def _key_of(account: Account) -> tuple[str, str]:
    return account.id, account.base_url
