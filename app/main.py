"""The web process: creates the application and wires its components together."""

import asyncio
import importlib
import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from urllib.parse import urlsplit

import structlog
from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from app import __version__
from app.admin.audit_log import AuditLog
from app.admin.static import PanelFiles
from app.assembly import assemble_components
from app.components import Components
from app.configuration.applying import apply_configuration_file
from app.db.session import DATABASE_AWAY
from app.dialects.base import Dialect
from app.dialects.http.body import BodyLimits
from app.dialects.http.gateway import Gateway
from app.dialects.openapi.document import DocumentedAPI, add_document_route
from app.dialects.registry import DIALECTS, envelopes_by_path
from app.health import open_health_checks
from app.keys.service import key_in_headers
from app.mcp.on_demand import AgentsOnDemand
from app.media.inputs import InputReader
from app.media.store_mark import one_store
from app.ops.access import AccessLog, notes_of
from app.ops.addresses import AddressRepair
from app.ops.cross_origin import CrossOriginLayer, OriginRules
from app.ops.edge import DrainState, EdgeMiddleware, FastPath, lookup_key
from app.ops.envelope import PANEL_ENVELOPES, EnvelopesByPath
from app.ops.error_answers import answer_errors
from app.ops.health import health_routes
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

log = structlog.get_logger()
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}


def create_app(
    settings: Settings | None = None,
    *,
    drain: DrainState | None = None,
    dialects: tuple[Dialect, ...] = DIALECTS,
    greets: bool = True,
) -> FastAPI:
    """The application. Its start opens the store, raises ``SettingsInvalid``, and prints a link for the panel if it ``greets``."""
    settings, drain = settings or load_settings(), drain or DrainState()
    fast_routes: dict[str, Route] = {}
    envelopes = envelopes_by_path(dialects)
    panel_api = PanelOnDemand(lambda app: answer_errors(app, PANEL_ENVELOPES), telemetry=NO_TELEMETRY)
    agents = _create_agents(settings, drain)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack, exported_traces(os.environ):
            components = await assemble_components(settings, dialects=dialects)
            stack.push_async_callback(components.close)
            await stack.enter_async_context(one_store(components.database, components.store))
            await apply_configuration_file(components, frees=True)
            await _ensure_first_keys(components)
            app.state.components = components
            gateway = app.state.gateway = _create_gateway(components)
            open_health_checks(app, components)
            panel_api.services = await open_panel(stack, components, gateway=gateway, greets=greets)
            _open_agents(agents, components, stack)
            relay = await _open_relay(stack, components)
            _start_jobs(stack, gateway, dialects)
            relayed = _relayed_routes(relay, dialects)
            app.router.routes.extend(relayed.values())
            fast_routes.update({path: route for path, route in relayed.items() if isinstance(route, Route)})
            if settings.worker:
                worker = Worker(components, drain=drain)
                await worker.start()
                stack.push_async_callback(worker.stop)
            yield

    app = _create_client_api(dialects, lifespan)
    app.mount("/admin/api", panel_api)
    agents.serve_app = app
    app.router.routes.extend(agents.routes())
    app.router.routes.extend(PanelFiles().routes())
    answer_errors(app, envelopes)
    app.add_middleware(AddressRepair)
    access = AccessLog() if settings.access_log else None
    layers = partial(client_layers, settings=settings, drain=drain, envelopes=envelopes, access=access)
    app.add_middleware(layers)
    app.put_in_front(partial(FastPath, routes=fast_routes, lookups=_lookup_routes(dialects), layers=layers))
    return app


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


class GatewayApp(DocumentedAPI):
    """The framework's application, with the relayed calls in front of it."""

    _front: FastPath | None = None

    def put_in_front(self, front: Callable[[ASGIApp], FastPath]) -> None:
        self._front = front(super().__call__)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self
        assert self._front is not None
        await self._front(scope, receive, send)


def _create_client_api(
    dialects: tuple[Dialect, ...], lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]]
) -> GatewayApp:
    """The clients' side, with every dialect's routes."""
    app = GatewayApp(
        dialects,
        title="Filmgate",
        version=__version__,
        summary="One OpenAI-compatible address for video generation over a pool of upstream accounts.",
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,  # FastAPI's pages run scripts of a foreign CDN; PanelFiles has ours
        redoc_url=None,
        openapi_url=None,
        telemetry=NO_TELEMETRY,
    )
    add_document_route(app)
    for dialect in sorted(dialects, key=lambda dialect: not dialect.polled_often):
        for router in dialect.routes.routers:
            # As they are: ``include_router`` would make each of them once more, which takes a tenth of a start.
            app.router.routes.extend(router.routes)
    app.router.routes.extend(health_routes())
    return app


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
        for job in dialect.routes.jobs:
            stack.callback(asyncio.create_task(job(gateway), name=dialect.name).cancel)


def _open_gate_calls(relay: Relay, recorder: UsageRecorder) -> TextCalls:
    # Imported only where it is used: few operators have gates that ask accounts.
    calls: TextCalls = importlib.import_module("app.relay.gate_calls").GateCalls(
        relay.endpoints, relay.upstreams, recorder
    )
    return calls


def _lookup_routes(dialects: Iterable[Dialect]) -> dict[str, Route]:
    return {
        lookup_key(pattern): Route(pattern, endpoint)
        for dialect in dialects
        for pattern, endpoint in dialect.routes.lookups.items()
    }


def _relayed_routes(relay: Relay, dialects: Iterable[Dialect]) -> dict[str, BaseRoute]:
    """Every dialect's raw ASGI endpoints, by their path."""
    routes: dict[str, BaseRoute] = {}
    dialects = tuple(dialects)
    others = [dialect for dialect in dialects if dialect.relayed_prefix]
    for dialect in dialects:
        for relayed in dialect.routes.relayed:
            endpoint = relayed.endpoint(relay, relayed.path)
            served = {f"/v1/{relayed.path}": endpoint}
            served |= {f"{each.relayed_prefix}{relayed.path}": each.own_relayed(endpoint) for each in others}
            routes |= {path: Route(path, app, methods=["POST"]) for path, app in served.items()}
        for path, websocket in dialect.routes.websockets.items():
            routes[path] = WebSocketRoute(path, websocket(relay))
    return routes


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
