"""Builds what the admin panel works with, in the web process."""

import time
from contextlib import AsyncExitStack

from app import __version__
from app.admin.admins import AdminBook
from app.admin.audit import AuditLog
from app.admin.panel import Facts, Panel
from app.admin.passwords import Passwords
from app.admin.sessions import Sessions
from app.admin.storage import StorageCount
from app.admin.throttle import Throttle
from app.backup.documents import DOCUMENTS
from app.dialects.gateway import Gateway
from app.parts import Parts
from app.settings import shown
from app.webhooks.deliveries import Deliveries


async def open_panel(stack: AsyncExitStack, parts: Parts, *, gateway: Gateway) -> Panel:
    """What the admin panel works with, and on the very first start the link to its first owner."""
    settings, audit = parts.settings, AuditLog(parts.database)
    panel = Panel(
        database=parts.database,
        vault=parts.vault,
        gateway=gateway,
        pool=parts.pool,
        book=parts.book,
        repository=parts.repository,
        events=parts.events,
        deliveries=Deliveries(parts.database),
        billing=parts.books.billing,
        options=parts.options,
        documents={kind.document: kind for kind in DOCUMENTS},
        chain=parts.chain,
        notices=parts.notices,
        held=parts.held,
        guard=parts.guard,
        admins=AdminBook(parts.database, parts.vault, audit=audit, passwords=Passwords()),
        sessions=Sessions(parts.database, parts.vault),
        audit=audit,
        throttle=Throttle(),
        storage=StorageCount(parts.store),
        facts=_facts(parts),
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


def _facts(parts: Parts) -> Facts:
    settings = parts.settings
    return Facts(
        version=__version__,
        environment=shown(settings),
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
