"""The models of accounts that pass every name on, as their upstreams list them."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import structlog

from app.accounts.pool import AccountPool
from app.catalog.candidates import ANY_MODEL
from app.errors import FilmgateError
from app.foreign import clean_text
from app.providers.base import Account

log = structlog.get_logger()
FRESH_SECONDS = 600.0
FAILED_SECONDS = 60.0
"""An upstream that did not answer is asked again after this long."""
LOOK_SECONDS = 3.0
"""How long a client's list waits for an upstream's."""
MOST_NAMES = 2000
LONGEST_NAME = 200


@dataclass(slots=True)
class UpstreamList:
    """What one account's upstream has last listed, and until when it is not asked again."""

    names: tuple[str, ...] = ()
    until: float = 0.0
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)


class PassedModels:
    """In memory. One request at a time reads an upstream's list; the others take what it has listed last. While it is away,
    its last list holds, or none: never an error."""

    def __init__(self, pool: AccountPool) -> None:
        self._pool = pool
        self._lists: dict[tuple[str, str], UpstreamList] = {}

    async def names(self, accounts: Iterable[Account]) -> set[str]:
        """What the upstreams of those of ``accounts`` list that pass every name on."""
        passing = [account for account in accounts if passes_every_name(account)]
        known = {_key_of(account): account for account in passing}
        self._lists = {key: self._lists.get(key) or UpstreamList() for key in known}
        lists = await asyncio.gather(
            *(self._list_of(self._lists[key], account) for key, account in known.items())
        )
        return {name for names in lists for name in names}

    async def _list_of(self, found: UpstreamList, account: Account) -> tuple[str, ...]:
        if found.until <= time.monotonic() and (not found.reading.locked() or not found.until):
            async with found.reading:
                if found.until <= time.monotonic():
                    await self._read(found, account)
        return found.names

    async def _read(self, found: UpstreamList, account: Account) -> None:
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                listed = await self._pool.provider_for(account).listed_models()
        except (FilmgateError, TimeoutError) as error:
            log.info("models.unlisted", account=account.id, error=type(error).__name__)
            found.until = time.monotonic() + FAILED_SECONDS
            return
        cleaned = sorted(clean_text(name, LONGEST_NAME) for name in listed or ())
        found.names = tuple(name for name in cleaned[:MOST_NAMES] if name)
        found.until = time.monotonic() + FRESH_SECONDS


def passes_every_name(account: Account) -> bool:
    return not account.models or account.models.get(ANY_MODEL) == ANY_MODEL


def _key_of(account: Account) -> tuple[str, str]:
    return account.id, account.base_url
