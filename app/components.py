"""The components of a process: each is opened once, and all are closed together."""

import time
from dataclasses import dataclass

from app.accounts.pool import AccountPool
from app.accounts.repository import AccountRepository
from app.accounts.status import WHOLE_ACCOUNT
from app.backup.sections import BackupSources
from app.catalog.catalog import Catalog
from app.catalog.prices import PriceRepository
from app.db.session import Database
from app.dialects.base import Dialect
from app.keys.service import KeyRing
from app.media.delivery.chain import DeliveryChain
from app.media.fetch import MediaFetcher
from app.media.guard import GuardedTransport, OutboundGuard
from app.media.inspection import MediaInspector
from app.media.links import LinkSigner
from app.media.store import MediaStore
from app.ops.metrics import ACCOUNTS, SLOTS_USED, TASKS_OPEN
from app.options import OptionsRepository
from app.settings import Settings
from app.tasks.billing import TaskBilling
from app.tasks.characters import CharacterLibrary
from app.tasks.notifications import NotificationHub
from app.tasks.repository import TaskRepository
from app.tasks.service import TaskService
from app.tasks.states import OPEN
from app.usage.budgets import BudgetTracker
from app.usage.reports import UsageReports
from app.vault import Vault
from app.webhooks.endpoints import EndpointRepository
from app.webhooks.notices import OperatorNotices
from app.webhooks.sender import WebhookSender


@dataclass(frozen=True)
class MoneyServices:
    """Prices, the ledger, budgets and reports."""

    prices: PriceRepository
    billing: TaskBilling
    budgets: BudgetTracker
    reports: UsageReports

    @classmethod
    def open(cls, database: Database) -> "MoneyServices":
        prices, budgets = PriceRepository(database), BudgetTracker(database)
        return cls(prices, TaskBilling(database, prices, budgets), budgets, UsageReports(database))

    async def close(self) -> None:
        await self.budgets.close()
        await self.prices.close()


@dataclass(frozen=True)
class Components:
    """Everything that the web process, the worker and the command line need. Close it."""

    settings: Settings
    database: Database
    vault: Vault
    options: OptionsRepository
    store: MediaStore
    chain: DeliveryChain
    guard: OutboundGuard
    fetcher: MediaFetcher
    inspector: MediaInspector
    transport: GuardedTransport
    pool: AccountPool
    catalog: Catalog
    keys: KeyRing
    money: MoneyServices
    events: NotificationHub
    repository: TaskRepository
    tasks: TaskService
    characters: CharacterLibrary
    signer: LinkSigner
    sender: WebhookSender
    endpoints: EndpointRepository
    notices: OperatorNotices
    dialects: tuple[Dialect, ...]

    @property
    def accounts(self) -> AccountRepository:
        return AccountRepository(self.pool)

    @property
    def backup_sources(self) -> BackupSources:
        """The stores that a backup reads and a restore writes."""
        return BackupSources(
            database=self.database,
            vault=self.vault,
            pool=self.pool,
            routes=self.catalog.routes,
            prices=self.money.prices,
            keys=self.keys,
            options=self.options,
        )

    async def update_gauges(self) -> None:
        """Set the gauges that are counted for each scrape: open tasks, accounts by status, used slots."""
        now = time.time()
        counted = await self.repository.open_counts()
        for state in sorted(OPEN):
            TASKS_OPEN.labels(state).set(counted.get(state, 0))
        SLOTS_USED.set(counted.get("slots", 0))
        statuses = await self.pool.current_statuses()
        cooling = sum(
            1
            for status in statuses
            if status.enabled and (status.blocked_by(WHOLE_ACCOUNT, now) or status.active_cooldowns(now))
        )
        disabled = sum(1 for status in statuses if not status.enabled)
        ACCOUNTS.labels("cooling").set(cooling)
        ACCOUNTS.labels("disabled").set(disabled)
        ACCOUNTS.labels("usable").set(len(statuses) - cooling - disabled)

    async def close(self) -> None:
        await self.events.stop()
        await self.notices.close()
        await self.keys.close()
        await self.money.close()
        await self.pool.close()
        await self.fetcher.close()
        await self.chain.close()
        await self.sender.close()
        await self.inspector.close()
        await self.transport.aclose()
        await self.database.close()
