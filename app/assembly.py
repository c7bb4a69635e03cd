"""Builds the parts from the settings: once in the web process, once in a worker."""

import importlib
import os

import httpx2
import structlog

from app.accounts.pool import AccountPool
from app.catalog.routes import Catalog
from app.db import revision
from app.db.session import DATABASE_AWAY, Database
from app.errors import SettingsInvalid
from app.keys.limits import Limiter, LocalLimiter
from app.keys.service import KeyRing
from app.media.delivery.chain import Chain
from app.media.fetch import Fetcher
from app.media.guard import GuardedTransport, OutboundGuard
from app.media.inspect import Inspector
from app.media.links import LinkSigner
from app.media.store import MediaStore
from app.options.options import Options
from app.parts import Books, Parts
from app.providers import registry
from app.providers.base import Account
from app.providers.http import Timeouts
from app.settings import Settings
from app.tasks.characters import Characters
from app.tasks.events import Events
from app.tasks.repository import TaskRepository
from app.tasks.service import TaskService
from app.vault import Vault
from app.webhooks.endpoints import Endpoints
from app.webhooks.notices import OperatorNotices
from app.webhooks.sender import Sender

log = structlog.get_logger()
STUDIO_ID = "studio"
# A thousand accounts may each have a submit under way. Few connections are kept idle, and briefly: the pool
# looks at every idle one at every request, and one that the upstream closes as we send leaves a doubt.
UPSTREAM_CONNECTIONS = httpx2.Limits(max_connections=2000, max_keepalive_connections=8, keepalive_expiry=2.0)


async def assemble(settings: Settings) -> Parts:
    """Open the store, bring it to this version, and build. Raises ``SettingsInvalid`` with one clear line."""
    database = await _open_database(settings)
    store = _store(settings)
    guard = OutboundGuard(settings.outbound_allow_list)
    transport = guard.transport(ports=None, limits=UPSTREAM_CONNECTIONS)
    options = Options(database, vault := open_vault(settings))
    pool = _pool(settings, database, vault, transport=transport)
    events = Events(postgres_url=database.url if database.is_postgres else None)
    repository = TaskRepository(database)
    catalog = Catalog(pool, patience_seconds=settings.task_deadline_seconds)
    inspector = Inspector()
    characters = Characters(database, store, inspector)
    books = Books.open(database)
    tasks = TaskService(
        repository=repository,
        catalog=catalog,
        store=store,
        events=events,
        characters=characters,
        billing=books.billing,
        deadline_seconds=settings.task_deadline_seconds,
    )
    await catalog.refresh()
    notices = await _notices(database, options, sender := Sender(guard.transport()), pool=pool)
    await events.start()
    return Parts(
        settings=settings,
        database=database,
        vault=vault,
        options=options,
        store=store,
        chain=Chain(options, store, guard),
        guard=guard,
        fetcher=Fetcher(guard),
        inspector=inspector,
        transport=transport,
        pool=pool,
        catalog=catalog,
        keys=KeyRing(database, vault, limiter=_limiter(settings)),
        books=books,
        events=events,
        repository=repository,
        tasks=tasks,
        characters=characters,
        signer=LinkSigner(vault.derive_all("signed-link"), settings.link_ttl_seconds),
        sender=sender,
        endpoints=Endpoints(database, vault, sender, plain=guard.lists),
        notices=notices,
    )


def _store(settings: Settings) -> MediaStore:
    folder = settings.data_dir / "files"
    return MediaStore.open(settings.storage_url, folder=folder, endpoint=settings.s3_endpoint)


async def _notices(
    database: Database, options: Options, sender: Sender, *, pool: AccountPool
) -> OperatorNotices:
    notices = OperatorNotices(database, options, sender)
    pool.on_notice(lambda notice: notices.tell(notice.topic, notice.data))
    await notices.start()
    return notices


def open_vault(settings: Settings) -> Vault:
    secret = settings.secret_key.get_secret_value() if settings.secret_key else None
    return Vault.open(secret_key=secret, data_dir=settings.data_dir, old_secrets=settings.old_secrets)


def _limiter(settings: Settings) -> Limiter:
    if settings.redis_url is None:
        return LocalLimiter()
    # Loaded only where it is used: Redis' client is 8 MB.
    shared: Limiter = importlib.import_module("app.keys.shared_limits").SharedLimiter(
        settings.redis_url.get_secret_value()
    )
    return shared


def _pool(
    settings: Settings, database: Database, vault: Vault, *, transport: GuardedTransport
) -> AccountPool:
    timeouts = Timeouts(submit=settings.submit_timeout_seconds, poll=settings.poll_timeout_seconds)
    return AccountPool(
        database,
        vault,
        build=lambda account: registry.create(account, transport.through(account.proxy), timeouts=timeouts),
        embedded=studio(settings),
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
        await revision.bring_up(database)
    except revision.MigrationFailed as error:
        await database.close()
        raise SettingsInvalid(
            f"FILMGATE_DATABASE_URL: the database can't be opened ({str(error)[:300]}). "
            "Is it running, is the address right, and is this Filmgate not older than the store?"
        ) from error
    return database


def studio(settings: Settings) -> Account | None:
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
