"""What the routes of the panel work with."""

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.accounts.pool import AccountPool
from app.accounts.repository import AccountRepository
from app.admin.admin_repository import AdminRepository
from app.admin.audit_log import AuditLog
from app.admin.session_store import SessionStore
from app.admin.storage import StorageCount
from app.admin.throttle import SignInThrottle
from app.backup.sections import BackupSources
from app.db.session import Database
from app.dialects.http.gateway import Gateway
from app.media.delivery.chain import DeliveryChain
from app.media.guard import OutboundGuard
from app.options.document import OptionsDocument
from app.options.repository import OptionsRepository
from app.tasks.billing import TaskBilling
from app.tasks.notifications import NotificationHub
from app.tasks.repository import TaskRepository
from app.vault import Vault
from app.webhooks.deliveries import DeliveryRepository
from app.webhooks.notices import OperatorNotices


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """What the process knows of itself, for the settings page. ``environment`` has its secrets masked."""

    version: str
    environment: list[dict[str, Any]]
    health: Mapping[str, Any]
    checks: Mapping[str, Callable[[], Awaitable[None]]]


@dataclass(frozen=True, slots=True)
class PanelServices:
    """``fixed_password``: the environment sets the password of ``admin``, so nobody changes it here."""

    database: Database
    vault: Vault
    gateway: Gateway
    pool: AccountPool
    accounts: AccountRepository
    repository: TaskRepository
    events: NotificationHub
    deliveries: DeliveryRepository
    billing: TaskBilling
    options: OptionsRepository
    documents: Mapping[str, type[OptionsDocument]]
    chain: DeliveryChain
    notices: OperatorNotices
    held: BackupSources
    guard: OutboundGuard
    admins: AdminRepository
    sessions: SessionStore
    audit: AuditLog
    throttle: SignInThrottle
    storage: StorageCount
    facts: ProcessFacts
    token: str | None = field(repr=False)
    fixed_password: bool = False

    def is_token(self, given: str) -> bool:
        """In constant time; never when none is set."""
        if self.token is None:
            return False
        sides = (hashlib.sha256(text.encode("utf-8", "replace")).digest() for text in (given, self.token))
        return hmac.compare_digest(*sides)
