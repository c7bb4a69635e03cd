"""What the routes of the panel work with."""

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.accounts.book import AccountBook
from app.accounts.pool import AccountPool
from app.admin.admins import AdminBook
from app.admin.audit import AuditLog
from app.admin.sessions import Sessions
from app.admin.storage import StorageCount
from app.admin.throttle import Throttle
from app.backup.holdings import Holdings
from app.db.session import Database
from app.dialects.gateway import Gateway
from app.media.delivery.chain import Chain
from app.media.guard import OutboundGuard
from app.options.document import Document
from app.options.options import Options
from app.tasks.billing import Billing
from app.tasks.events import Events
from app.tasks.repository import TaskRepository
from app.vault import Vault
from app.webhooks.deliveries import Deliveries
from app.webhooks.notices import OperatorNotices


@dataclass(frozen=True, slots=True)
class Facts:
    """What the process knows of itself, for the settings page. ``environment`` has its secrets masked."""

    version: str
    environment: list[dict[str, Any]]
    health: Mapping[str, Any]
    checks: Mapping[str, Callable[[], Awaitable[None]]]


@dataclass(frozen=True, slots=True)
class Panel:
    """``fixed_password``: the environment sets the password of ``admin``, so nobody changes it here."""

    database: Database
    vault: Vault
    gateway: Gateway
    pool: AccountPool
    book: AccountBook
    repository: TaskRepository
    events: Events
    deliveries: Deliveries
    billing: Billing
    options: Options
    documents: Mapping[str, type[Document]]
    chain: Chain
    notices: OperatorNotices
    held: Holdings
    guard: OutboundGuard
    admins: AdminBook
    sessions: Sessions
    audit: AuditLog
    throttle: Throttle
    storage: StorageCount
    facts: Facts
    token: str | None = field(repr=False)
    fixed_password: bool = False

    def is_token(self, given: str) -> bool:
        """In constant time; never when none is set."""
        if self.token is None:
            return False
        sides = (hashlib.sha256(text.encode("utf-8", "replace")).digest() for text in (given, self.token))
        return hmac.compare_digest(*sides)
