"""The admin panel in the web process: its services, and its API, which is loaded when it is first asked for."""

import asyncio
import importlib
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from app import __version__
from app.admin.admin_repository import AdminRepository
from app.admin.audit_log import AuditLog
from app.admin.oidc_options import IdentityProvider, OidcOptions, read_roles
from app.admin.panel import OidcSignIn, PanelServices, ProcessFacts, StorageCount
from app.admin.passwords import PasswordHashing, SignInThrottle
from app.admin.provider_admins import ProviderAdmins
from app.admin.readiness_board import ReadinessBoard
from app.admin.second_factors import SecondFactors
from app.admin.session_store import SessionStore
from app.backup.schedule_options import DOCUMENTS
from app.components import Components
from app.dialects.http.gateway import Gateway
from app.errors import SettingsInvalid
from app.ops.logs import may_print
from app.settings import describe_settings
from app.usage.overview import UsageOverview
from app.webhooks.deliveries import DeliveryRepository

if TYPE_CHECKING:
    from fastapi import FastAPI

log = structlog.get_logger()


class PanelOnDemand:
    """The panel's API as an ASGI application. A gateway that nobody administers at the moment does without its 120 models
    and 100 routes, which take a fifth of the time of a start. ``services`` must be set before the first request."""

    def __init__(self, finish: "Callable[[FastAPI], None]", **options: Any) -> None:
        """``finish`` completes the application; ``options`` are passed to FastAPI."""
        self.services: PanelServices | None = None
        self._finish = finish
        self._options = options
        self._app: ASGIApp | None = None
        self._loading = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app or await self._load_once()
        await app(scope, receive, send)

    async def _load_once(self) -> ASGIApp:
        async with self._loading:
            if self._app is None:
                # In a thread: it takes longer than other requests may wait.
                self._app = await asyncio.to_thread(self._load)
            return self._app

    def _load(self) -> ASGIApp:
        app: FastAPI = importlib.import_module("app.admin.app").create_panel_app(**self._options)
        app.state.panel = self.services
        self._finish(app)
        return app


async def open_panel(
    stack: AsyncExitStack, components: Components, *, gateway: Gateway, greets: bool = True
) -> PanelServices:
    """Open the panel's services. A start before there is an owner prints the link that creates one, if it ``greets``."""
    database, vault, settings = components.database, components.vault, components.settings
    audit = AuditLog(database)
    panel = PanelServices(
        database=database,
        vault=vault,
        gateway=gateway,
        pool=components.pool,
        accounts=components.accounts,
        tasks=components.repository,
        notifications=components.events,
        deliveries=DeliveryRepository(database),
        billing=components.money.billing,
        options=components.options,
        documents={kind.document: kind for kind in DOCUMENTS},
        delivery_chain=components.chain,
        notices=components.notices,
        backup_sources=components.backup_sources,
        guard=components.guard,
        admins=AdminRepository(database, vault, audit=audit, passwords=PasswordHashing()),
        second_factors=SecondFactors(database, vault, audit=audit),
        sessions=SessionStore(database, vault),
        audit=audit,
        throttle=SignInThrottle(),
        storage=StorageCount(components.store),
        readiness=ReadinessBoard(database, gateway.catalog, components.pool),
        usage=UsageOverview(database),
        facts=_process_facts(components),
        token=settings.admin_token.get_secret_value() if settings.admin_token else None,
        fixed_password=settings.admin_password is not None,
        totp_required=settings.admin_totp == "required",
        oidc=_open_oidc(stack, components, audit),
        password_sign_in=settings.password_sign_in,
    )
    stack.push_async_callback(panel.storage.close)
    stack.push_async_callback(panel.readiness.close)
    if settings.admin_password is not None:
        await panel.admins.ensure_fixed(settings.admin_password.get_secret_value())
    elif await panel.admins.lock_out_empty_password():
        log.warning(
            "admin.locked",
            reason='The password of the owner "admin" is empty, so nobody can sign in with it.',
            advice="filmgate admin reset-password admin",
        )
    elif greets and await panel.admins.count() == 0:
        await _tell_first_step(panel, settings.own_address)
    return panel


def _open_oidc(stack: AsyncExitStack, components: Components, audit: AuditLog) -> OidcSignIn | None:
    """Sign-in through the provider that is set. Raises ``SettingsInvalid`` without the package that it needs."""
    settings = components.settings
    if settings.oidc_issuer is None:
        return None
    options = OidcOptions(
        issuer=str(settings.oidc_issuer).rstrip("/"),
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_client_secret.get_secret_value() if settings.oidc_client_secret else "",
        name=settings.oidc_name or settings.oidc_issuer.host or "OpenID Connect",
        scopes=settings.oidc_scopes,
        role_claim=settings.oidc_role_claim,
        roles=read_roles(settings.oidc_roles),
    )
    try:
        module = importlib.import_module("app.admin.oidc_provider")
    except ModuleNotFoundError as error:
        raise SettingsInvalid(
            f"FILMGATE_OIDC_ISSUER needs {error.name}: pip install 'filmgate[oidc]'"
        ) from error
    provider: IdentityProvider = module.OidcProvider(options, components.guard)
    stack.push_async_callback(provider.close)
    return OidcSignIn(options, provider, ProviderAdmins(components.database, audit=audit))


async def _tell_first_step(panel: PanelServices, address: str) -> None:
    """How the first owner is made: the link itself, where no log of JSON would keep it."""
    if not may_print():
        log.warning("owner.missing", advice="The panel has no owner yet: filmgate admin setup-link")
        return
    link = await panel.admins.setup_link(address)
    print(
        f"\nOpen the panel and choose a password (the link works once, within 30 minutes):\n\n    {link}\n",
        flush=True,
    )


def _process_facts(components: Components) -> ProcessFacts:
    settings = components.settings
    return ProcessFacts(
        version=__version__,
        environment=describe_settings(settings),
        can_sign=components.sealer is not None,
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
