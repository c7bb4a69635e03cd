"""The web process: creates the application and wires its components together."""

import asyncio
import importlib
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog
from starlette.types import ASGIApp, Scope

from app.admin.audit_log import AuditLog
from app.assembly import assemble_components
from app.components import Components
from app.configuration.applying import apply_configuration_file
from app.db.session import DATABASE_AWAY
from app.dialects.base import Dialect
from app.dialects.http.body import BodyLimits
from app.dialects.http.gateway import Gateway
from app.dialects.registry import DIALECTS, envelopes_by_path
from app.gateway_app import NO_TELEMETRY, ClientAPI, ClientParts, GatewayApp
from app.health import open_health_checks
from app.keys.service import key_in_headers
from app.late import LateModule
from app.mcp.on_demand import AgentsOnDemand
from app.media.inputs import InputReader
from app.media.store_mark import one_store
from app.ops.access import AccessLog, notes_of
from app.ops.cross_origin import CrossOriginLayer, OriginRules
from app.ops.edge import DrainState, EdgeMiddleware
from app.ops.envelope import PANEL_ENVELOPES, EnvelopesByPath
from app.ops.logs import may_print
from app.ops.tracing import exported_traces
from app.panel import PanelOnDemand, open_panel
from app.relay.relay import Metering, Relay
from app.relay.upstream import UpstreamClient, open_session
from app.settings import Settings, load_settings
from app.tasks.batches import BatchRepository
from app.tasks.film_hashes import FilmHashes
from app.tasks.gate_keeper import TextCalls
from app.usage.recorder import UsageRecorder
from app.worker import Worker

if TYPE_CHECKING:
    from fastapi import FastAPI

    from app import client_api
    from app.ops import parameter_errors
else:
    client_api, parameter_errors = LateModule("app.client_api"), LateModule("app.ops.parameter_errors")

log = structlog.get_logger()
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")


def create_app(
    settings: Settings | None = None,
    *,
    drain: DrainState | None = None,
    dialects: tuple[Dialect, ...] = DIALECTS,
    greets: bool = True,
) -> GatewayApp:
    """The application. Its start opens the store, raises ``SettingsInvalid``, and prints a link for the panel if it ``greets``."""
    settings, drain = settings or load_settings(), drain or DrainState()
    envelopes = envelopes_by_path(dialects)
    access = AccessLog() if settings.access_log else None
    parts = ClientParts(
        dialects,
        panel=PanelOnDemand(_finish_panel, telemetry=NO_TELEMETRY),
        agents=_create_agents(settings, drain),
        envelopes=envelopes,
        layers=partial(client_layers, settings=settings, drain=drain, envelopes=envelopes, access=access),
    )

    @asynccontextmanager
    async def lifespan(app: GatewayApp) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack, exported_traces(os.environ):
            components = await assemble_components(settings, dialects=dialects)
            stack.push_async_callback(components.close)
            await stack.enter_async_context(one_store(components.database, components.store))
            await apply_configuration_file(components, frees=True)
            await _ensure_first_keys(components)
            app.state.components = components
            gateway = app.state.gateway = _create_gateway(components)
            open_health_checks(app, components)
            parts.panel.services = await open_panel(stack, components, gateway=gateway, greets=greets)
            _open_agents(parts.agents, components, stack)
            parts.relay = await _open_relay(stack, components)
            _start_jobs(stack, gateway, dialects)
            stack.callback(asyncio.create_task(app.load_soon(), name="clients").cancel)
            if settings.worker:
                worker = Worker(components, drain=drain)
                await worker.start()
                stack.push_async_callback(worker.stop)
            yield

    app = GatewayApp(parts, _load_clients, lifespan=lifespan)
    parts.agents.serve_app = app
    return app


def _load_clients(app: GatewayApp, parts: ClientParts) -> ClientAPI:
    return client_api.create_client_api(app, parts)


def _finish_panel(app: "FastAPI") -> None:
    parameter_errors.answer_api_errors(app, PANEL_ENVELOPES)


def client_layers(
    app: ASGIApp,
    *,
    settings: Settings,
    drain: DrainState,
    envelopes: EnvelopesByPath,
    access: AccessLog | None,
) -> ASGIApp:
    """What stands around everything that a client may ask for, the framework's routes and the relayed ones."""
    edge: ASGIApp = EdgeMiddleware(
        app,
        max_body_bytes=settings.max_body_bytes,
        unavailable=DATABASE_AWAY,
        drain=drain,
        envelopes=envelopes,
        access=access,
    )
    if settings.origins:  # outermost, so that a page of another origin can read every error
        own_address = str(settings.public_url) if settings.public_url else None
        edge = CrossOriginLayer(edge, rules=OriginRules(settings.origins, own_address=own_address))
    return edge


def _create_agents(settings: Settings, drain: DrainState) -> AgentsOnDemand:
    own_address = str(settings.public_url) if settings.public_url else None
    rules = OriginRules(settings.origins, own_address=own_address)

    def allows(origin: bytes) -> bool:
        # The Host header is not believed here: a page that had our address put behind its name sends that name.
        host = urlsplit(origin.decode("latin-1")).hostname
        return host in LOCAL_HOSTS or rules.allows(origin) or rules.is_own(origin, None)

    return AgentsOnDemand(
        max_body_bytes=settings.max_body_bytes, allows_origin=allows, drains=lambda: drain.begun
    )


def _open_agents(agents: AgentsOnDemand, components: Components, stack: AsyncExitStack) -> None:
    agents.admit = partial(_admit_agent, components)
    agents.state_keys = components.vault.derive_keys("agents")
    stack.push_async_callback(agents.close)


async def _admit_agent(components: Components, scope: Scope) -> str:
    """The key of a request. What it may do is asked again by each call that a tool makes. Raises ``FilmgateError``."""
    client, secret = scope.get("client"), key_in_headers(scope["headers"])
    key = await components.keys.authenticate(secret, address=client[0] if client else None)
    notes_of(scope).key_id = key.id
    scope["state"]["keyed"] = True  # for the bounds of its connection
    return secret


async def _open_relay(stack: AsyncExitStack, components: Components) -> Relay:
    """The sync flow, with its own HTTP client and its usage written beside it."""
    recorder = UsageRecorder(components.database, budgets=components.money.budgets)
    recorder.on_refused = lambda lost: components.notices.notify("usage_refused", lost)
    stack.push_async_callback(recorder.close)
    writing = asyncio.create_task(recorder.run(), name="usage")
    stack.callback(writing.cancel)
    session = await stack.enter_async_context(open_session(components.guard))
    upstreams = UpstreamClient(session, components.pool)
    stack.push_async_callback(upstreams.wait_for_writes)
    relay = Relay(
        keys=components.keys,
        catalog=components.catalog,
        upstreams=upstreams,
        recorder=recorder,
        metering=Metering(components.money.prices, components.money.budgets),
        max_body_bytes=components.settings.max_body_bytes,
    )
    components.tasks.gates.open_calls = partial(_open_gate_calls, relay, recorder)
    return relay


def _start_jobs(stack: AsyncExitStack, gateway: Gateway, dialects: Iterable[Dialect]) -> None:
    """What dialects do beside their routes."""
    for dialect in dialects:
        for job in dialect.jobs:
            stack.callback(asyncio.create_task(job(gateway), name=dialect.name).cancel)


def _open_gate_calls(relay: Relay, recorder: UsageRecorder) -> TextCalls:
    # Imported only where it is used: few operators have gates that ask accounts.
    calls: TextCalls = importlib.import_module("app.relay.gate_calls").GateCalls(
        relay.endpoints, relay.upstreams, recorder
    )
    return calls


def _create_gateway(components: Components) -> Gateway:
    settings = components.settings
    inputs = InputReader(
        components.fetcher,
        components.inspector,
        components.scratch,
        max_image_bytes=settings.max_image_bytes,
        max_video_bytes=settings.max_video_bytes,
    )
    return Gateway(
        keys=components.keys,
        tasks=components.tasks,
        catalog=components.catalog,
        characters=components.characters,
        inputs=inputs,
        store=components.store,
        derived_files=components.derived_files,
        film_hashes=FilmHashes(components.database),
        signer=components.signer,
        endpoints=components.endpoints,
        prices=components.money.prices,
        reports=components.money.reports,
        receipts=components.receipts,
        batches=BatchRepository(components.database, components.store),
        options=components.options,
        record_change=AuditLog(components.database).record_alone,
        limits=BodyLimits(max_upload_bytes=settings.max_video_bytes),
        public_url=str(settings.public_url) if settings.public_url else None,
        chat_wait_seconds=settings.chat_wait_seconds,
    )


async def _ensure_first_keys(components: Components) -> None:
    """Store the operator's fixed key. If there is no key at all, create one and print it once, or say how to make one."""
    if components.settings.api_key is not None:
        await components.keys.ensure(components.settings.api_key.get_secret_value(), name="FILMGATE_API_KEY")
    if await components.keys.count() > 0:
        return
    if not may_print():
        log.warning("keys.missing", advice="There is no API key yet: filmgate keys create NAME")
    else:
        key = await components.keys.create("first")
        print(f"\nYour first API key, shown only once:\n\n    {key}\n", flush=True)
