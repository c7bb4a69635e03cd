"""Browser apps of other origins: what CORS asks for, in one layer around everything else, so that errors can be read too.

It is there only where the operator names origins. A key travels in a header and never in a cookie, so no answer allows
credentials, and what a browser holds for this origin (the panel's session) stays out of reach. The panel, its API and the
metrics are not for other origins, whichever are named.
"""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import PermissionDenied
from app.ops.envelope import OWN_ENVELOPE

RawHeaders = list[tuple[bytes, bytes]]
ANY_ORIGIN = "*"
PRIVATE_PATHS = ("/admin", "/metrics")
METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
PREFLIGHT_SECONDS = b"7200"
"""Chromium remembers a preflight for no longer."""
EXPOSED = (
    b"x-request-id, request-id, openai-organization, openai-processing-ms, openai-version, openai-poll-after-ms, "
    b"retry-after, retry-after-ms, x-should-retry, "
    b"x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, "
    b"x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens, "
    b"content-disposition, content-length, content-range, content-type, accept-ranges, etag, last-modified, location, *"
)
"""``*`` is for whatever else an upstream tells; older browsers do not know it."""
HEADER_NAMES = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~, -]{1,4096}")
PLAIN_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[a-z0-9_-]+(\.[a-z0-9_-]+)*)(:[0-9]{1,5})?")
DEFAULT_PORTS = {"http": 80, "https": 443}
STATE = "cross_origin"
"""In the scope's state: the headers of an answer that the connection itself has to give."""


def read_origin(text: str) -> str:
    """An origin as browsers send it. Raises ``ValueError`` with a sentence for the operator."""
    origin = text.strip().lower()
    try:
        parts = urlsplit(origin)
        if not origin.isascii():
            origin = origin.replace(parts.hostname or "", (parts.hostname or "").encode("idna").decode())
        if parts.port is not None and parts.port == DEFAULT_PORTS.get(parts.scheme):
            origin = origin.rpartition(":")[0]
    except ValueError:
        origin = ""
    if not PLAIN_ORIGIN.fullmatch(origin):
        raise ValueError(f"{text.strip()} is no origin; write it like https://app.example, without a path")
    return origin


class OriginRules:
    """Which origins may call. ``own_address`` is the gateway's own for browsers, if the operator has named it."""

    def __init__(self, origins: Iterable[str], *, own_address: str | None = None) -> None:
        self._origins = frozenset(origins)
        self._allows_all = ANY_ORIGIN in self._origins
        self._own = urlsplit(own_address).netloc if own_address else ""

    def answer_headers(self, origin: bytes | None) -> RawHeaders:
        """For every answer. A list makes it depend on who asks, which caches must know."""
        if self._allows_all:
            return [(b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", EXPOSED)]
        varies: RawHeaders = [(b"vary", b"Origin")]
        if origin is None or not self.allows(origin):
            return varies
        return [
            (b"access-control-allow-origin", origin),
            (b"access-control-expose-headers", EXPOSED),
            *varies,
        ]

    def allows(self, origin: bytes) -> bool:
        return self._allows_all or origin.decode("latin-1").lower() in self._origins

    def is_own(self, origin: bytes, host: bytes | None) -> bool:
        """Whether the page was loaded from the gateway itself."""
        place = urlsplit(origin.decode("latin-1")).netloc
        return bool(place) and place in (self._own, (host or b"").decode("latin-1"))


class CrossOriginLayer:
    """The outermost layer of all where ``FILMGATE_CORS_ORIGINS`` is set."""

    def __init__(self, app: ASGIApp, *, rules: OriginRules) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or _is_private(scope["path"]):
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        origin = headers.get(b"origin")
        if scope["type"] == "websocket":
            await self._open_socket(scope, receive, send, origin=origin, host=headers.get(b"host"))
        elif scope["method"] == "OPTIONS" and origin and b"access-control-request-method" in headers:
            await self._answer_preflight(send, origin, headers)
        else:
            added = self._rules.answer_headers(origin)
            scope.setdefault("state", {})[STATE] = added
            await self._app(scope, receive, _adding(send, added))

    async def _open_socket(
        self, scope: Scope, receive: Receive, send: Send, *, origin: bytes | None, host: bytes | None
    ) -> None:
        """Browsers ask no preflight for a WebSocket, but they say whose page opens it. Programs say nothing."""
        if origin is None or self._rules.allows(origin) or self._rules.is_own(origin, host):
            await self._app(scope, receive, send)
            return
        await receive()
        refusal = _refusal(origin)
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008, "reason": "This origin is not allowed."})
            return
        head = [(b"content-type", b"application/json")]
        await send({"type": "websocket.http.response.start", "status": refusal.status, "headers": head})
        await send({"type": "websocket.http.response.body", "body": OWN_ENVELOPE.error_bytes(refusal)})

    async def _answer_preflight(self, send: Send, origin: bytes, headers: dict[bytes, bytes]) -> None:
        """Answered here, as a preflight carries no key. One header is allowed like the other: SDKs send many of their own."""
        varies = (b"vary", b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
        if not self._rules.allows(origin):
            refusal = _refusal(origin)
            body = OWN_ENVELOPE.error_bytes(refusal)
            head = [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode()),
                varies,
            ]
            await send({"type": "http.response.start", "status": refusal.status, "headers": head})
            await send({"type": "http.response.body", "body": body})
            return
        asked = headers.get(b"access-control-request-headers", b"")
        answer = [
            *(
                header
                for header in self._rules.answer_headers(origin)
                if header[0] == b"access-control-allow-origin"
            ),
            (b"access-control-allow-methods", METHODS),
            (b"access-control-max-age", PREFLIGHT_SECONDS),
            varies,
        ]
        if HEADER_NAMES.fullmatch(asked):
            answer.append((b"access-control-allow-headers", asked))
        if headers.get(b"access-control-request-private-network") == b"true":
            answer.append((b"access-control-allow-private-network", b"true"))
        await send({"type": "http.response.start", "status": 204, "headers": answer})
        await send({"type": "http.response.body", "body": b""})


def _is_private(path: str) -> bool:
    plain = "/" + path.lstrip("/").lower()
    return any(plain == private or plain.startswith(f"{private}/") for private in PRIVATE_PATHS)


def _refusal(origin: bytes) -> PermissionDenied:
    shown = origin.decode("latin-1")[:200]
    return PermissionDenied(
        f"Pages of {shown} may not call this gateway. Its operator allows them with FILMGATE_CORS_ORIGINS."
    )


def _adding(send: Send, added: RawHeaders) -> Send:
    """``send`` with the headers in every answer's head, in place of what an upstream says there."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = message.get("headers", ())
            kept = [header for header in given if not header[0].lower().startswith(b"access-control-")]
            message["headers"] = [*kept, *added]
        await send(message)

    return send_with_headers
