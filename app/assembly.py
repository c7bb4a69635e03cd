"""Builds the components of a process from the settings."""

import importlib
import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import structlog

from app import clock
from app.accounts.pool import AccountPool
from app.catalog.catalog import Catalog
from app.components import Components, MoneyServices
from app.db import marks, revision
from app.db.session import DATABASE_AWAY, Database
from app.dialects.base import Dialect
from app.dialects.registry import DIALECTS
from app.errors import SettingsInvalid
from app.keys.limits import LocalLimiter, RateLimiter
from app.keys.service import KeyRing
from app.late import LateModule
from app.media.delivery.chain import DeliveryChain
from app.media.fetch import MediaFetcher
from app.media.guard import OutboundGuard
from app.media.inspection import MediaInspector
from app.media.labels.sealing import FilmSealer
from app.media.links import LinkSigner
from app.media.scratch import ScratchFolder
from app.media.store import MediaStore
from app.options import OptionsRepository
from app.providers import registry
from app.providers.base import Account
from app.providers.http_messages import UpstreamTimeouts
from app.providers.transport import UpstreamTransport
from app.settings import Settings
from app.tasks.characters import CharacterLibrary
from app.tasks.gate_keeper import GateKeeper
from app.tasks.notifications import NotificationHub
from app.tasks.repository import TaskRepository
from app.tasks.retries import RetryMatcher
from app.tasks.service import TaskService
from app.vault import Vault
from app.webhooks.endpoints import EndpointRepository
from app.webhooks.mail import MAIL_PORTS, MailSender
from app.webhooks.notices import OperatorNotices
from app.webhooks.sender import WebhookSender

if TYPE_CHECKING:
    from app.db import postgres
else:
    postgres = LateModule("app.db.postgres")

log = structlog.get_logger()
STUDIO_ID = "studio"
UPSTREAM_CONNECTIONS = 2000
"""A thousand accounts may each have a submission in flight."""
IDLE_SECONDS = 2.0
"""Few upstreams close an idle connection sooner: one that is closed while we send leaves the outcome unknown."""


async def assemble_components(settings: Settings, *, dialects: tuple[Dialect, ...] = DIALECTS) -> Components:
    """Open the store, migrate it to this version and build. Raises ``SettingsInvalid`` with a one-line message."""
    sealer, guard = _open_sealer(settings), OutboundGuard(settings.outbound_allow_list)
    database, (store, scratch) = await _open_database(settings), _open_files(settings)
    transport = guard.upstream_transport(limit=UPSTREAM_CONNECTIONS, idle_seconds=IDLE_SECONDS)
    options = OptionsRepository(database, vault := open_vault(settings))
    catalog = await _open_catalog(settings, _create_pool(settings, database, vault, transport=transport))
    characters = CharacterLibrary(database, store, inspector := MediaInspector(), scratch=scratch)
    books, keys = MoneyServices.open(database), _create_keys(settings, database, vault)
    events = _create_hub(database, _forgetting(catalog, books, keys, options=options))
    tasks = TaskService(
        repository=(repository := TaskRepository(database)),
        catalog=catalog,
        store=store,
        events=events,
        characters=characters,
        billing=books.billing,
        gates=GateKeeper(options, guard.http_transport),
        retries=RetryMatcher(database, was_limited=keys.was_limited),
        deadline_seconds=settings.wait_seconds,
        id_prefixes=[dialect.id_prefix for dialect in dialects],
    )
    notices = await _start_notices(database, options, guard, pool=catalog.pool)
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
        sealer=sealer,
        transport=transport,
        pool=catalog.pool,
        catalog=catalog,
        keys=keys,
        money=books,
        events=events,
        repository=repository,
        tasks=tasks,
        characters=characters,
        signer=LinkSigner(vault.derive_keys("signed-link"), settings.link_ttl_seconds),
        sender=(sender := notices.sender),
        endpoints=EndpointRepository(database, vault, sender, plain=guard.lists_host),
        notices=notices,
        dialects=dialects,
    )


def _create_hub(database: Database, on_change: Mapping[str, Callable[[str], None]]) -> NotificationHub:
    return NotificationHub(postgres_url=database.url if database.is_postgres else None, on_change=on_change)


def _forgetting(
    catalog: Catalog, money: MoneyServices, keys: KeyRing, *, options: OptionsRepository
) -> dict[str, Callable[[str], None]]:
    """What this process keeps in memory of rows that another process may change."""

    def forget_routes(_which: str) -> None:
        catalog.routes.invalidate_cache()
        catalog.pauses.invalidate_cache()
        money.prices.invalidate_cache()  # a price holds for the aliases of its model too

    return {
        "keys": keys.forget,
        "accounts": lambda _which: catalog.pool.invalidate_cache(),
        "routes": forget_routes,
        "prices": lambda _which: money.prices.invalidate_cache(),
        "options": options.forget,
    }


def _open_files(settings: Settings) -> tuple[MediaStore, ScratchFolder]:
    folder = settings.data_dir / "files"
    store = MediaStore.open(settings.storage_url, folder=folder, endpoint=settings.s3_endpoint)
    return store, ScratchFolder(settings.data_dir / "work")


async def _start_notices(
    database: Database, options: OptionsRepository, guard: OutboundGuard, *, pool: AccountPool
) -> OperatorNotices:
    notices = OperatorNotices(
        database,
        options,
        WebhookSender(guard.http_transport()),
        mail=MailSender(partial(guard.resolve, ports=MAIL_PORTS)),
    )
    pool.on_notice(lambda notice: notices.notify(notice.topic, notice.data))
    await notices.start()
    return notices


def _open_sealer(settings: Settings) -> FilmSealer | None:
    if settings.c2pa_certificate is None and settings.c2pa_key is None:
        return None
    # Imported only where it is used: it reads certificates.
    module = importlib.import_module("app.media.labels.signing")
    return FilmSealer(module.load_identity(settings.c2pa_certificate, settings.c2pa_key))


def open_vault(settings: Settings) -> Vault:
    secret = settings.secret_key.get_secret_value() if settings.secret_key else None
    return Vault.open(secret_key=secret, data_dir=settings.data_dir, old_secrets=settings.old_secrets)


def _create_keys(settings: Settings, database: Database, vault: Vault) -> KeyRing:
    return KeyRing(database, vault, limiter=_create_limiter(settings))


def _create_limiter(settings: Settings) -> RateLimiter:
    if settings.redis_url is None:
        return LocalLimiter()
    # Imported only where it is used: the Redis client takes 8 MB.
    shared: RateLimiter = importlib.import_module("app.keys.shared_limits").SharedLimiter(
        settings.redis_url.get_secret_value()
    )
    return shared


async def _open_catalog(settings: Settings, pool: AccountPool) -> Catalog:
    addressed = settings.public_url is not None
    catalog = Catalog(
        pool,
        patience_seconds=settings.wait_seconds,
        account_patience_seconds=settings.account_patience_seconds,
        gives_addresses=addressed,
    )
    await catalog.refresh()
    return catalog


def _create_pool(
    settings: Settings, database: Database, vault: Vault, *, transport: UpstreamTransport
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
        if database.is_postgres and await postgres.lends_by_transaction(database.url):
            raise SettingsInvalid(f"FILMGATE_DATABASE_URL: {postgres.LENT} {postgres.LENT_ADVICE}")
        await revision.upgrade_if_needed(database)
    except SettingsInvalid:
        await database.close()
        raise
    except revision.StoreRefused as error:
        await database.close()
        raise SettingsInvalid(str(error)) from error
    except revision.MigrationFailed as error:
        await database.close()
        raise SettingsInvalid(
            f"FILMGATE_DATABASE_URL: the database can't be opened ({str(error)[:300]}). "
            "Is it running, and is the address right?"
        ) from error
    async with database.read() as connection:
        clock.CLOCK.continue_from(await marks.read_last_sweep(connection))
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
            f"FILMGATE_DATA_DIR: {settings.data_dir} may not be written by the user {os.getuid()}. Give it to that user "
            f"(chown -R {os.getuid()} {settings.data_dir}), or choose another folder."
        )
