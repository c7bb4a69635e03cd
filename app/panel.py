"""Builds what the admin panel works with, in the web process."""

import time
from contextlib import AsyncExitStack

from app import __version__
from app.admin.admin_repository import AdminRepository
from app.admin.audit_log import AuditLog
from app.admin.panel import PanelServices, ProcessFacts
from app.admin.passwords import PasswordHashing
from app.admin.session_store import SessionStore
from app.admin.storage import StorageCount
from app.admin.throttle import SignInThrottle
from app.backup.schedule_options import DOCUMENTS
from app.components import Components
from app.dialects.http.gateway import Gateway
from app.settings import describe_settings
from app.webhooks.deliveries import DeliveryRepository


async def open_panel(stack: AsyncExitStack, parts: Components, *, gateway: Gateway) -> PanelServices:
    """What the admin panel works with, and on the very first start the link to its first owner."""
    settings, audit = parts.settings, AuditLog(parts.database)
    panel = PanelServices(
        database=parts.database,
        vault=parts.vault,
        gateway=gateway,
        pool=parts.pool,
        accounts=parts.accounts,
        repository=parts.repository,
        events=parts.events,
        deliveries=DeliveryRepository(parts.database),
        billing=parts.money.billing,
        options=parts.options,
        documents={kind.document: kind for kind in DOCUMENTS},
        chain=parts.chain,
        notices=parts.notices,
        held=parts.backup_sources,
        guard=parts.guard,
        admins=AdminRepository(parts.database, parts.vault, audit=audit, passwords=PasswordHashing()),
        sessions=SessionStore(parts.database, parts.vault),
        audit=audit,
        throttle=SignInThrottle(),
        storage=StorageCount(parts.store),
        facts=_process_facts(parts),
        token=settings.admin_token.get_secret_value() if settings.admin_token else None,
        fixed_password=settings.admin_password is not None,
    )
    stack.push_async_callback(panel.storage.close)
    if settings.admin_password is not None:
        await panel.admins.ensure_fixed(settings.admin_password.get_secret_value())
    elif await panel.admins.count() == 0:
        link = await panel.admins.setup_link(settings.own_address)
        print(
            f"\nOpen the panel and choose a password (works once, for 30 minutes):\n\n    {link}\n",
            flush=True,
        )
    return panel


def _process_facts(parts: Components) -> ProcessFacts:
    settings = parts.settings
    return ProcessFacts(
        version=__version__,
        environment=describe_settings(settings),
        health={
            "version": __version__,
            "database": "postgresql" if parts.database.is_postgres else "sqlite",
            "storage": "s3" if settings.storage_url else "folder",
            "worker": settings.worker,
            "studio": settings.studio,
            "started_at": time.time(),
        },
        checks={"database": parts.database.check, "store": parts.store.check},
    )
