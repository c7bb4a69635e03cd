"""The components of a process: each is opened once, and all are closed together."""

import importlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from app import __version__
from app.accounts.pool import AccountPool
from app.accounts.repository import AccountRepository
from app.backup.sections import BackupSources
from app.catalog.catalog import Catalog
from app.catalog.prices import PriceRepository
from app.db.session import Database
from app.dialects.base import Dialect
from app.keys.service import KeyRing
from app.media.delivery.chain import DeliveryChain
from app.media.fetch import MediaFetcher
from app.media.guard import OutboundGuard
from app.media.inspection import MediaInspector
from app.media.labels.sealing import FilmSealer
from app.media.links import LinkSigner
from app.media.scratch import ScratchFolder
from app.media.store import MediaStore
from app.options import OptionsRepository
from app.providers.transport import UpstreamTransport
from app.settings import Settings
from app.tasks.billing import TaskBilling
from app.tasks.characters import CharacterLibrary
from app.tasks.derived_files import DerivedFileMaker
from app.tasks.notifications import NotificationHub
from app.tasks.repository import TaskRepository
from app.tasks.service import TaskService
from app.usage.budgets import BudgetTracker
from app.usage.reports import UsageReports
from app.vault import Vault
from app.webhooks.endpoints import EndpointRepository
from app.webhooks.notices import OperatorNotices
from app.webhooks.sender import WebhookSender

if TYPE_CHECKING:  # loaded when the first receipt is asked for
    from app.tasks.film_receipts.office import ReceiptOffice


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
    sealer: FilmSealer | None
    """Signs films, where the operator has set a certificate."""
    transport: UpstreamTransport
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
    def scratch(self) -> ScratchFolder:
        return self.characters.scratch

    @cached_property
    def derived_files(self) -> DerivedFileMaker:
        return DerivedFileMaker(self.repository, self.store, self.inspector, scratch=self.scratch)

    def receipts(self) -> "ReceiptOffice":
        """Who gives receipts of films."""
        return self._receipts

    @cached_property
    def _receipts(self) -> "ReceiptOffice":
        office = importlib.import_module("app.tasks.film_receipts.office")
        keys = importlib.import_module("app.receipt_keys")
        address = self.settings.public_url
        gateway = office.GatewayFacts(
            name=(address.host if address else None) or "Filmgate",
            address=str(address).rstrip("/") if address else None,
            version=__version__,
        )
        made: ReceiptOffice = office.ReceiptOffice(
            self.database,
            repository=self.repository,
            store=self.store,
            pool=self.pool,
            keys=keys.ReceiptKeyRing(self.database, self.options),
            gateway=gateway,
        )
        return made

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

    async def close(self) -> None:
        await self.events.stop()
        await self.tasks.gates.close()
        await self.notices.close()
        await self.keys.close()
        await self.money.close()
        await self.pool.close()
        await self.catalog.routes.close()
        await self.catalog.figures.close()
        await self.catalog.pauses.close()
        await self.options.close()
        await self.fetcher.close()
        await self.chain.close()
        await self.sender.close()
        await self.inspector.close()
        if self.sealer is not None:
            await self.sealer.close()
        await self.transport.aclose()
        await self.repository.close()
        await self.database.close()
        self.scratch.close()
