"""Builds the services of the admin panel, in the web process."""

import time
from contextlib import AsyncExitStack

from app import __version__
from app.admin.admin_repository import AdminRepository
from app.admin.audit_log import AuditLog
from app.admin.panel import PanelServices, ProcessFacts, StorageCount
from app.admin.passwords import PasswordHashing, SignInThrottle
from app.admin.session_store import SessionStore
from app.backup.schedule_options import DOCUMENTS
from app.components import Components
from app.dialects.http.gateway import Gateway
from app.settings import describe_settings
from app.webhooks.deliveries import DeliveryRepository


async def open_panel(stack: AsyncExitStack, components: Components, *, gateway: Gateway) -> PanelServices:
    """Open the panel's services. The very first start prints the link that creates the first owner."""
    settings, audit = components.settings, AuditLog(components.database)
    panel = PanelServices(
        database=components.database,
        vault=components.vault,
        gateway=gateway,
        pool=components.pool,
        accounts=components.accounts,
        tasks=components.repository,
        notifications=components.events,
        deliveries=DeliveryRepository(components.database),
        billing=components.money.billing,
        options=components.options,
        documents={kind.document: kind for kind in DOCUMENTS},
        delivery_chain=components.chain,
        notices=components.notices,
        backup_sources=components.backup_sources,
        guard=components.guard,
        admins=AdminRepository(
            components.database, components.vault, audit=audit, passwords=PasswordHashing()
        ),
        sessions=SessionStore(components.database, components.vault),
        audit=audit,
        throttle=SignInThrottle(),
        storage=StorageCount(components.store),
        facts=_process_facts(components),
        token=settings.admin_token.get_secret_value() if settings.admin_token else None,
        fixed_password=settings.admin_password is not None,
    )
    stack.push_async_callback(panel.storage.close)
    if settings.admin_password is not None:
        await panel.admins.ensure_fixed(settings.admin_password.get_secret_value())
    elif await panel.admins.count() == 0:
        link = await panel.admins.setup_link(settings.own_address)
        print(
            f"\nOpen the panel and choose a password (the link works once, within 30 minutes):\n\n    {link}\n",
            flush=True,
        )
    return panel


def _process_facts(components: Components) -> ProcessFacts:
    settings = components.settings
    return ProcessFacts(
        version=__version__,
        environment=describe_settings(settings),
        health={
            "version": __version__,
            "database": "postgresql" if components.database.is_postgres else "sqlite",
            "storage": "s3" if settings.storage_url else "folder",
            "worker": settings.worker,
            "studio": settings.studio,
            "started_at": time.time(),
        },
        checks={"database": components.database.check, "store": components.store.check},
    )
