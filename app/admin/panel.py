"""What the routes of the panel use: the services of the process, facts about it, and the size of the media store."""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import structlog

from app.accounts.pool import AccountPool
from app.accounts.repository import AccountRepository
from app.admin.admin_repository import AdminRepository
from app.admin.audit_log import AuditLog
from app.admin.oidc_options import IdentityProvider, OidcOptions
from app.admin.passwords import SignInThrottle
from app.admin.provider_admins import ProviderAdmins
from app.admin.readiness_board import ReadinessBoard
from app.admin.second_factors import SecondFactors
from app.admin.session_store import SessionStore
from app.backup.sections import BackupSources
from app.db.session import Database
from app.dialects.http.gateway import Gateway
from app.errors import ServiceUnavailable
from app.media.delivery.chain import DeliveryChain
from app.media.guard import OutboundGuard
from app.media.store import MediaStore
from app.options import OptionsDocument, OptionsRepository
from app.secret_rules import is_blank
from app.tasks.billing import TaskBilling
from app.tasks.notifications import NotificationHub
from app.tasks.repository import TaskRepository
from app.usage.closed_days import ClosedDays
from app.usage.overview import UsageOverview
from app.vault import Vault
from app.webhooks.deliveries import DeliveryRepository
from app.webhooks.notices import OperatorNotices

log = structlog.get_logger()
FRESH_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class StorageUsage:
    """``counted_at`` in UTC seconds."""

    files: int
    bytes: int
    counted_at: float


class StorageCount:
    """Counts the media store in the background, because a large store takes minutes to list."""

    def __init__(self, store: MediaStore) -> None:
        self._store = store
        self._last: StorageUsage | None = None
        self._counting: asyncio.Task[None] | None = None

    def last_count(self) -> StorageUsage | None:
        """The last count, None until the first is done. Starts another one when it is older than five minutes."""
        stale = self._last is None or time.time() - self._last.counted_at > FRESH_SECONDS
        if stale and (self._counting is None or self._counting.done()):
            self._counting = asyncio.create_task(self._count_files())
        return self._last

    async def close(self) -> None:
        if self._counting is not None:
            self._counting.cancel()
            await asyncio.gather(self._counting, return_exceptions=True)

    async def _count_files(self) -> None:
        try:
            files, size = await self._store.measure_use()
        except ServiceUnavailable as error:
            log.warning("storage.uncounted", error=error.message)
            return
        self._last = StorageUsage(files, size, time.time())


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """What the settings page shows about the process. Secrets in ``environment`` are masked."""

    version: str
    environment: list[dict[str, Any]]
    can_sign: bool
    """Whether a certificate is set that signs films."""
    health: Mapping[str, Any]
    checks: Mapping[str, Callable[[], Awaitable[None]]]


@dataclass(frozen=True, slots=True)
class OidcSignIn:
    """Signing in through an OpenID Connect provider."""

    options: OidcOptions
    provider: IdentityProvider
    admins: ProviderAdmins


@dataclass(frozen=True, slots=True)
class PanelServices:
    """``fixed_password``: the environment sets the password of ``admin``, so the panel cannot change it.

    ``totp_required``: who signs in with a password must have a second factor. ``password_sign_in`` False: passwords
    work only for an hour after ``filmgate admin reset-password``.
    """

    database: Database
    vault: Vault
    gateway: Gateway
    pool: AccountPool
    accounts: AccountRepository
    tasks: TaskRepository
    notifications: NotificationHub
    deliveries: DeliveryRepository
    billing: TaskBilling
    options: OptionsRepository
    documents: Mapping[str, type[OptionsDocument]]
    delivery_chain: DeliveryChain
    notices: OperatorNotices
    backup_sources: BackupSources
    guard: OutboundGuard
    admins: AdminRepository
    second_factors: SecondFactors
    sessions: SessionStore
    audit: AuditLog
    throttle: SignInThrottle
    storage: StorageCount
    readiness: ReadinessBoard
    usage: UsageOverview
    facts: ProcessFacts
    token: str | None = field(repr=False)
    fixed_password: bool = False
    totp_required: bool = False
    oidc: OidcSignIn | None = None
    password_sign_in: bool = True
    daily_costs: ClosedDays[Decimal] = field(default_factory=ClosedDays)
    """What all keys spent on days that are over."""

    def is_token(self, given: str) -> bool:
        """Compares in constant time. False when no admin token is set, and for an empty one."""
        if is_blank(self.token) or is_blank(given):
            return False
        sides = (
            hashlib.sha256(text.encode("utf-8", "replace")).digest() for text in (given, self.token or "")
        )
        return hmac.compare_digest(*sides)
