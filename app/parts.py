"""What the processes are made of: every part, opened once and closed together."""

import time
from dataclasses import dataclass

from app.accounts.book import AccountBook
from app.accounts.pool import AccountPool
from app.accounts.standing import WHOLE
from app.backup.holdings import Holdings
from app.catalog.prices import PriceBook
from app.catalog.routes import Catalog
from app.db.session import Database
from app.keys.service import KeyRing
from app.media.delivery.chain import Chain
from app.media.fetch import Fetcher
from app.media.guard import GuardedTransport, OutboundGuard
from app.media.inspect import Inspector
from app.media.links import LinkSigner
from app.media.store import MediaStore
from app.ops.metrics import ACCOUNTS, SLOTS_USED, TASKS_OPEN
from app.options.options import Options
from app.settings import Settings
from app.tasks.billing import Billing
from app.tasks.characters import Characters
from app.tasks.events import Events
from app.tasks.repository import TaskRepository
from app.tasks.service import TaskService
from app.tasks.status import OPEN
from app.usage.budgets import Budgets
from app.usage.reports import Reports
from app.vault import Vault
from app.webhooks.endpoints import Endpoints
from app.webhooks.notices import OperatorNotices
from app.webhooks.sender import Sender


@dataclass(frozen=True)
class Books:
    """All about money."""

    prices: PriceBook
    billing: Billing
    budgets: Budgets
    reports: Reports

    @classmethod
    def open(cls, database: Database) -> "Books":
        prices, budgets = PriceBook(database), Budgets(database)
        return cls(prices, Billing(database, prices, budgets), budgets, Reports(database))

    async def close(self) -> None:
        await self.budgets.close()
        await self.prices.close()


@dataclass(frozen=True)
class Parts:
    """Everything both processes need; ``close`` lets go of it."""

    settings: Settings
    database: Database
    vault: Vault
    options: Options
    store: MediaStore
    chain: Chain
    guard: OutboundGuard
    fetcher: Fetcher
    inspector: Inspector
    transport: GuardedTransport
    pool: AccountPool
    catalog: Catalog
    keys: KeyRing
    books: Books
    events: Events
    repository: TaskRepository
    tasks: TaskService
    characters: Characters
    signer: LinkSigner
    sender: Sender
    endpoints: Endpoints
    notices: OperatorNotices

    @property
    def book(self) -> AccountBook:
        return AccountBook(self.pool)

    @property
    def held(self) -> Holdings:
        """What backups are made of."""
        return Holdings(
            database=self.database,
            vault=self.vault,
            pool=self.pool,
            routes=self.catalog.routes,
            prices=self.books.prices,
            keys=self.keys,
            options=self.options,
        )

    async def gauges(self) -> None:
        """What is counted when somebody looks: open tasks, accounts, slots."""
        now = time.time()
        counted = await self.repository.counts()
        for state in sorted(OPEN):
            TASKS_OPEN.labels(state).set(counted.get(state, 0))
        SLOTS_USED.set(counted.get("slots", 0))
        standings = await self.pool.standings()
        cooling = sum(1 for s in standings if s.enabled and (s.blocked_by(WHOLE, now) or s.resting(now)))
        disabled = sum(1 for s in standings if not s.enabled)
        ACCOUNTS.labels("cooling").set(cooling)
        ACCOUNTS.labels("disabled").set(disabled)
        ACCOUNTS.labels("usable").set(len(standings) - cooling - disabled)

    async def close(self) -> None:
        await self.events.stop()
        await self.notices.close()
        await self.keys.close()
        await self.books.close()
        await self.pool.close()
        await self.fetcher.close()
        await self.chain.close()
        await self.sender.close()
        await self.inspector.close()
        await self.transport.aclose()
        await self.database.close()
