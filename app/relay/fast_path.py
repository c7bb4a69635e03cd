"""The short way: relayed calls leave the framework's path before its routing, the rest goes on."""

from collections.abc import Mapping

from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send


class FastPath:
    """Pure ASGI, placed innermost. ``routes``, by path, may be filled after it is made; POST only, no patterns.

    The router, its exception layer and its exit stack take as long as all that the relay does itself.
    """

    def __init__(self, app: ASGIApp, *, routes: Mapping[str, Route]) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._routes.get(scope["path"]) if scope["type"] == "http" else None
        if route is None or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        scope["route"] = route
        await route.app(scope, receive, send)
