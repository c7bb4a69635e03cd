"""The web process: creates the application and wires its components together."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import structlog
from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.routing import BaseRoute, Route, WebSocketRoute

from app import __version__
from app.admin.app import create_panel_app
from app.admin.static import PanelFiles
from app.assembly import assemble_components
from app.components import Components
from app.configuration.applying import apply_configuration_file
from app.db.session import DATABASE_AWAY
from app.dialects.base import Dialect
from app.dialects.http.body import BodyLimits
from app.dialects.http.gateway import Gateway
from app.dialects.openapi.document import DocumentedAPI
from app.dialects.registry import DIALECTS, envelopes_by_path
from app.media.inputs import InputReader
from app.ops.edge import DrainState, EdgeMiddleware, FastPath
from app.ops.error_answers import answer_errors
from app.ops.health import health_routes
from app.panel import open_panel
from app.relay.relay import Metering, Relay
from app.relay.upstream import UpstreamClient, open_session
from app.settings import Settings, load_settings
from app.usage.recorder import UsageRecorder
from app.worker import Worker

log = structlog.get_logger()
NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}


def create_app(
    settings: Settings | None = None,
    *,
    drain: DrainState | None = None,
    dialects: tuple[Dialect, ...] = DIALECTS,
) -> FastAPI:
    """The application. It opens its store when the server starts it, and raises ``SettingsInvalid`` then."""
    settings = settings or load_settings()
    drain = drain or DrainState()
    fast_routes: dict[str, Route] = {}
    envelopes = envelopes_by_path(dialects)
    panel_app = create_panel_app(telemetry=NO_TELEMETRY)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            components = await assemble_components(settings, dialects=dialects)
            stack.push_async_callback(components.close)
            await apply_configuration_file(components)
            await _ensure_first_keys(components)
            app.state.components = components
            app.state.gateway = _create_gateway(components)
            _register_health_checks(app, components)
            panel_app.state.panel = await open_panel(stack, components, gateway=app.state.gateway)
            relay = await _open_relay(stack, components)
            relayed = _relayed_routes(relay, dialects)
            app.router.routes.extend(relayed.values())
            fast_routes.update({path: route for path, route in relayed.items() if isinstance(route, Route)})
            if settings.worker:
                worker = Worker(components)
                await worker.start()
                stack.push_async_callback(worker.stop)
            yield

    app = _create_client_api(dialects, lifespan)
    app.mount("/admin/api", panel_app)
    app.router.routes.extend(PanelFiles().routes())
    answer_errors(app, envelopes)
    answer_errors(panel_app, envelopes)
    app.add_middleware(FastPath, routes=fast_routes)
    app.add_middleware(
        EdgeMiddleware,
        max_body_bytes=settings.max_body_bytes,
        unavailable=DATABASE_AWAY,
        drain=drain,
        envelopes=envelopes,
    )
    return app


def _create_client_api(
    dialects: tuple[Dialect, ...], lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]]
) -> DocumentedAPI:
    """The clients' side, with every dialect's routes."""
    app = DocumentedAPI(
        dialects,
        title="Filmgate",
        version=__version__,
        summary="One OpenAI-compatible address for video generation over a pool of upstream accounts.",
        lifespan=lifespan,
        redirect_slashes=False,
        telemetry=NO_TELEMETRY,
    )
    for dialect in sorted(dialects, key=lambda dialect: not dialect.polled_often):
        for router in dialect.routes.routers:
            app.include_router(router)
    app.router.routes.extend(health_routes())
    return app


async def _open_relay(stack: AsyncExitStack, components: Components) -> Relay:
    """The sync flow, with its own HTTP client and its usage written beside it."""
    recorder = UsageRecorder(components.database, budgets=components.money.budgets)
    stack.push_async_callback(recorder.close)
    writing = asyncio.create_task(recorder.run(), name="usage")
    stack.callback(writing.cancel)
    session = await stack.enter_async_context(open_session(components.guard))
    upstreams = UpstreamClient(session, components.pool)
    stack.push_async_callback(upstreams.wait_for_writes)
    return Relay(
        keys=components.keys,
        catalog=components.catalog,
        upstreams=upstreams,
        recorder=recorder,
        metering=Metering(components.money.prices, components.money.budgets),
        max_body_bytes=components.settings.max_body_bytes,
    )


def _relayed_routes(relay: Relay, dialects: Iterable[Dialect]) -> dict[str, BaseRoute]:
    """Every dialect's raw ASGI endpoints, by their path."""
    routes: dict[str, BaseRoute] = {}
    for dialect in dialects:
        for relayed in dialect.routes.relayed:
            path = f"/v1/{relayed.path}"
            routes[path] = Route(path, relayed.endpoint(relay, relayed.path), methods=["POST"])
        for path, endpoint in dialect.routes.websockets.items():
            routes[path] = WebSocketRoute(path, endpoint(relay))
    return routes


def _register_health_checks(app: FastAPI, components: Components) -> None:
    app.state.checks = {"database": components.database.check, "store": components.store.check}
    app.state.away = DATABASE_AWAY
    app.state.gauges = components.update_gauges


def _create_gateway(components: Components) -> Gateway:
    settings = components.settings
    inputs = InputReader(
        components.fetcher, max_image_bytes=settings.max_image_bytes, max_video_bytes=settings.max_video_bytes
    )
    return Gateway(
        keys=components.keys,
        tasks=components.tasks,
        catalog=components.catalog,
        characters=components.characters,
        inputs=inputs,
        store=components.store,
        signer=components.signer,
        endpoints=components.endpoints,
        prices=components.money.prices,
        reports=components.money.reports,
        limits=BodyLimits(max_upload_bytes=settings.max_video_bytes),
        public_url=str(settings.public_url) if settings.public_url else None,
        chat_wait_seconds=settings.chat_wait_seconds,
    )


async def _ensure_first_keys(components: Components) -> None:
    """Store the operator's fixed key. If there is no key at all, create one and print it once."""
    if components.settings.api_key is not None:
        await components.keys.ensure(components.settings.api_key.get_secret_value(), name="FILMGATE_API_KEY")
    if await components.keys.count() == 0:
        key = await components.keys.create("first")
        print(f"\nYour first API key, shown only once:\n\n    {key}\n", flush=True)
