"""Whose request it is, where a proxy in front of us says so."""

from collections.abc import Awaitable

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

HEADERS = frozenset({b"x-forwarded-for", b"x-forwarded-proto"})


class ForwardedAddresses:
    """uvicorn's layer, put before ``app`` only for requests that bear its headers: it looks at the address of each."""

    def __init__(self, app: ASGIApp, trusted: list[str]) -> None:
        self._app = app
        self._trusting = ProxyHeadersMiddleware(app, trusted)  # type: ignore[arg-type]

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        for name, _ in scope["headers"]:
            if name in HEADERS:
                return self._trusting(scope, receive, send)  # type: ignore[arg-type]
        return self._app(scope, receive, send)
