"""The web process's application: health checks, and the clients' API, which is loaded a little later."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from starlette.applications import Starlette
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from app.dialects.base import Dialect
from app.late import uncollected
from app.mcp.on_demand import AgentsOnDemand
from app.ops.envelope import EnvelopesByPath
from app.ops.error_answers import answer_errors
from app.ops.health import health_routes
from app.panel import PanelOnDemand
from app.relay.relay import Relay

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig

NO_TELEMETRY: "TelemetryConfig" = {"tracing": False, "metrics": False, "logs": False}
PAUSE_SECONDS = 0.5
"""After the start, until what clients need is loaded: a health check goes first."""


@dataclass
class ClientParts:
    """What clients may ask for. ``layers`` stand around each answer; ``relay`` is there once the store is open."""

    dialects: tuple[Dialect, ...]
    panel: PanelOnDemand
    agents: AgentsOnDemand
    envelopes: EnvelopesByPath
    layers: Callable[[ASGIApp], ASGIApp]
    relay: Relay | None = None


class ClientAPI(Protocol):
    """What is used of `app.client_api`, which brings the web framework and every dialect's routes."""

    @property
    def routes(self) -> list[BaseRoute]: ...

    @property
    def front(self) -> ASGIApp: ...

    def openapi(self) -> dict[str, Any]: ...


class GatewayApp(Starlette):
    """Answers health checks itself, so that a start need not wait for the clients' API: loading that takes a third as long.
    It is loaded in a thread, soon after the start or with the first request that needs it."""

    def __init__(
        self,
        parts: ClientParts,
        load: "Callable[[GatewayApp, ClientParts], ClientAPI]",
        *,
        lifespan: "Callable[[GatewayApp], AbstractAsyncContextManager[None]]",
    ) -> None:
        checks = health_routes()
        super().__init__(routes=checks, lifespan=lifespan)
        answer_errors(self, parts.envelopes)
        self.add_middleware(parts.layers)
        self._checks = frozenset(route.path for route in checks)
        self._parts = parts
        self._load = load
        self._clients: ClientAPI | None = None
        self._loading = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["path"] in self._checks:
            await super().__call__(scope, receive, send)
            return
        clients = self._clients or await self._load_once()
        scope["app"] = self
        await clients.front(scope, receive, send)

    async def load_soon(self) -> None:
        await asyncio.sleep(PAUSE_SECONDS)
        await self._load_once()

    def client_api(self) -> ClientAPI:
        if self._clients is None:
            with uncollected():
                self._clients = self._load(self, self._parts)
        return self._clients

    async def _load_once(self) -> ClientAPI:
        async with self._loading:
            return await asyncio.to_thread(self.client_api)
