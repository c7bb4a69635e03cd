"""Builds the components of a process from the settings."""

import importlib
import os

import httpx2
import structlog

from app.accounts.pool import AccountPool
from app.catalog.catalog import Catalog
from app.components import Components, MoneyServices
from app.db import revision
from app.db.session import DATABASE_AWAY, Database
from app.dialects.base import Dialect
from app.dialects.registry import DIALECTS
from app.errors import SettingsInvalid
from app.keys.limits import LocalLimiter, RateLimiter
from app.keys.service import KeyRing
from app.media.delivery.chain import DeliveryChain
from app.media.fetch import MediaFetcher
from app.media.guard import GuardedTransport, OutboundGuard
from app.media.inspection import MediaInspector
from app.media.links import LinkSigner
from app.media.store import MediaStore
from app.options import OptionsRepository
from app.providers import registry
from app.providers.base import Account
from app.providers.http_messages import UpstreamTimeouts
from app.settings import Settings
from app.tasks.characters import CharacterLibrary
from app.tasks.notifications import NotificationHub
from app.tasks.repository import TaskRepository
from app.tasks.service import TaskService
from app.vault import Vault
from app.webhooks.endpoints import EndpointRepository
from app.webhooks.notices import OperatorNotices
from app.webhooks.sender import WebhookSender

log = structlog.get_logger()
STUDIO_ID = "studio"
# A thousand accounts may each have a submission in flight. Few connections stay idle, and briefly: the pool scans
# every idle one for each request, and one that the upstream closes while we send leaves the outcome unknown.
UPSTREAM_CONNECTIONS = httpx2.Limits(max_connections=2000, max_keepalive_connections=8, keepalive_expiry=2.0)


async def assemble_components(settings: Settings, *, dialects: tuple[Dialect, ...] = DIALECTS) -> Components:
    """Open the store, migrate it to this version and build. Raises ``SettingsInvalid`` with a one-line message."""
    database, store = await _open_database(settings), _open_store(settings)
    guard = OutboundGuard(settings.outbound_allow_list)
    transport = guard.http_transport(ports=None, limits=UPSTREAM_CONNECTIONS)
    options = OptionsRepository(database, vault := open_vault(settings))
    pool = _create_pool(settings, database, vault, transport=transport)
    events = NotificationHub(postgres_url=database.url if database.is_postgres else None)
    catalog = Catalog(pool, patience_seconds=settings.task_deadline_seconds)
    characters = CharacterLibrary(database, store, inspector := MediaInspector())
    books = MoneyServices.open(database)
    tasks = TaskService(
        repository=(repository := TaskRepository(database)),
        catalog=catalog,
        store=store,
        events=events,
        characters=characters,
        billing=books.billing,
        deadline_seconds=settings.task_deadline_seconds,
        id_prefixes=[dialect.id_prefix for dialect in dialects],
    )
    await catalog.refresh()
    sender = WebhookSender(guard.http_transport())
    notices = await _start_notices(database, options, sender, pool=pool)
    await events.start()
    return Components(
        settings=settings,
        database=database,
        vault=vault,
        options=options,
        store=store,
        chain=DeliveryChain(options, store, guard),
        guard=guard,
        fetcher=MediaFetcher(guard),
        inspector=inspector,
        transport=transport,
        pool=pool,
        catalog=catalog,
        keys=KeyRing(database, vault, limiter=_create_limiter(settings)),
        money=books,
        events=events,
        repository=repository,
        tasks=tasks,
        characters=characters,
        signer=LinkSigner(vault.derive_keys("signed-link"), settings.link_ttl_seconds),
        sender=sender,
        endpoints=EndpointRepository(database, vault, sender, plain=guard.lists_host),
        notices=notices,
        dialects=dialects,
    )


def _open_store(settings: Settings) -> MediaStore:
    folder = settings.data_dir / "files"
    return MediaStore.open(settings.storage_url, folder=folder, endpoint=settings.s3_endpoint)


async def _start_notices(
    database: Database, options: OptionsRepository, sender: WebhookSender, *, pool: AccountPool
) -> OperatorNotices:
    notices = OperatorNotices(database, options, sender)
    pool.on_notice(lambda notice: notices.notify(notice.topic, notice.data))
    await notices.start()
    return notices


def open_vault(settings: Settings) -> Vault:
    secret = settings.secret_key.get_secret_value() if settings.secret_key else None
    return Vault.open(secret_key=secret, data_dir=settings.data_dir, old_secrets=settings.old_secrets)


def _create_limiter(settings: Settings) -> RateLimiter:
    if settings.redis_url is None:
        return LocalLimiter()
    # Imported only where it is used: the Redis client takes 8 MB.
    shared: RateLimiter = importlib.import_module("app.keys.shared_limits").SharedLimiter(
        settings.redis_url.get_secret_value()
    )
    return shared


def _create_pool(
    settings: Settings, database: Database, vault: Vault, *, transport: GuardedTransport
) -> AccountPool:
    timeouts = UpstreamTimeouts(submit=settings.submit_timeout_seconds, poll=settings.poll_timeout_seconds)
    return AccountPool(
        database,
        vault,
        build=lambda account: registry.create_provider(
            account, transport.via_proxy(account.proxy), timeouts=timeouts
        ),
        embedded=studio_account(settings),
    )


async def _open_database(settings: Settings) -> Database:
    _make_data_dir(settings)
    try:
        database = Database(settings.resolved_database_url)
    except DATABASE_AWAY as error:
        raise SettingsInvalid(
            f"FILMGATE_DATABASE_URL: the database can't be opened ({str(error).splitlines()[0][:300]}). "
            "Does its folder exist, and may this user write there?"
        ) from error
    try:
        await revision.upgrade_if_needed(database)
    except revision.MigrationFailed as error:
        await database.close()
        raise SettingsInvalid(
            f"FILMGATE_DATABASE_URL: the database can't be opened ({str(error)[:300]}). "
            "Is it running, is the address right, and is this Filmgate not older than the store?"
        ) from error
    return database


def studio_account(settings: Settings) -> Account | None:
    """The embedded renderer as an account, unless the operator turned it off."""
    if settings.studio == "off":
        return None
    return Account(
        id=STUDIO_ID,
        provider="studio",
        name="studio",
        models={"studio": "studio"},
        slots=settings.studio_workers,
        tags=frozenset({"all"}),
        options={
            "always": settings.studio == "on",
            "default_model": "studio",
            "workers": settings.studio_workers,
            "workdir": str(settings.data_dir / "studio"),
            "test_directives": settings.studio_test_directives,
        },
    )


def _make_data_dir(settings: Settings) -> None:
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsInvalid(
            f"FILMGATE_DATA_DIR: {settings.data_dir} can't be made ({error.strerror}). Choose a folder that may be written."
        ) from error
    if not os.access(settings.data_dir, os.W_OK | os.X_OK):
        raise SettingsInvalid(
            f"FILMGATE_DATA_DIR: {settings.data_dir} may not be written by this user. Change its owner or choose another."
        )
