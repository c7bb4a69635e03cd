"""The clients' API: the web framework with every dialect's routes, and the relayed calls in front of it."""

from collections.abc import Iterable

from starlette.routing import BaseRoute, Route, WebSocketRoute

from app import __version__
from app.admin.static import PanelFiles
from app.dialects.base import Dialect
from app.dialects.openapi.document import DocumentedAPI, add_document_route
from app.gateway_app import NO_TELEMETRY, ClientParts, GatewayApp
from app.ops.addresses import AddressRepair
from app.ops.edge import FastPath, lookup_key
from app.ops.health import health_routes
from app.ops.parameter_errors import answer_api_errors
from app.relay.relay import Relay


class FrontedAPI(DocumentedAPI):
    """The framework's application, and the relayed calls in front of it."""

    front: FastPath


def create_client_api(gateway: GatewayApp, parts: ClientParts) -> FrontedAPI:
    """All that ``gateway`` answers. Before its start, what is relayed is only in the document."""
    app = _create_routes(parts.dialects)
    app.state = gateway.state
    app.mount("/admin/api", parts.panel)
    app.router.routes.extend(parts.agents.routes())
    app.router.routes.extend(PanelFiles().routes())
    relayed = _relayed_routes(parts.relay, parts.dialects) if parts.relay else {}
    app.router.routes.extend(relayed.values())
    answer_api_errors(app, parts.envelopes)
    app.add_middleware(AddressRepair)
    app.add_middleware(parts.layers)
    fast = {path: route for path, route in relayed.items() if isinstance(route, Route)}
    app.front = FastPath(app, routes=fast, lookups=_lookup_routes(parts.dialects), layers=parts.layers)
    return app


def _create_routes(dialects: tuple[Dialect, ...]) -> FrontedAPI:
    app = FrontedAPI(
        dialects,
        title="Filmgate",
        version=__version__,
        summary="One OpenAI-compatible address for video generation over a pool of upstream accounts.",
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
    app.router.routes.extend(health_routes())  # for addresses that are repaired first
    return app


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
