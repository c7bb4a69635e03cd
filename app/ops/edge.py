"""The outermost ASGI layer: request ids, the body limit, unexpected errors, metrics, and a line in the log."""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import structlog
from prometheus_client import Counter, Histogram
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import FilmgateError, PayloadTooLarge, ServiceUnavailable
from app.ops.access import REQUEST_ID, AccessLog, name_request
from app.ops.browser_policy import (
    NOSNIFF,
    PAGE_HEADER_NAMES,
    PAGE_WORDS,
    RAW_DOCS_POLICY,
    RAW_PAGE_HEADERS,
    RawHeader,
)
from app.ops.envelope import EnvelopesByPath, ErrorEnvelope, error_headers
from app.ops.metrics import REQUEST_SECONDS, REQUESTS
from app.ops.request_spans import end_span, follow_trace
from app.ops.tracing import HEADER as TRACE_HEADER

log = structlog.get_logger()
LIMITS = b"x-ratelimit-"
TYPE_LENGTH = 200
"""Nobody's type is longer; upstreams choose it, and what is remembered must be bounded."""
SWITCHED, FORBIDDEN = 101, 403


@lru_cache(maxsize=4096)
def _request_counters(route: str, method: str, status: int) -> tuple[Counter, Histogram]:
    return REQUESTS.labels(route, method, status), REQUEST_SECONDS.labels(route)


@dataclass
class DrainState:
    """``begun`` is set when the process is told to end: new POST requests are then answered with 503, and nothing new
    is sent to an upstream."""

    begun: bool = False


class EdgeMiddleware:
    """Plain ASGI, so that streams pass unchanged."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_body_bytes: int,
        unavailable: tuple[type[Exception], ...],
        drain: DrainState | None = None,
        envelopes: EnvelopesByPath | None = None,
        access: AccessLog | None = None,
    ) -> None:
        self._app = app
        self._access = access
        self._max = max_body_bytes
        self._unavailable = unavailable
        self._drain = drain or DrainState()
        self._envelopes = envelopes or EnvelopesByPath()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._pass_socket(scope, receive, send)
            return
        exchange = RequestExchange(scope, receive, send, max_body_bytes=self._max)
        try:
            if exchange.declared > self._max:
                raise exchange.too_large
            if scope["method"] == "POST" and self._drain.begun:
                raise ServiceUnavailable("The server is restarting; please try again.", retry_after=1)
            # A body of a declared length is never longer: the server sees to that.
            await self._app(scope, receive if exchange.declared else exchange.receive, exchange.send)
        except FilmgateError as error:
            await self._send_error(exchange, error)
        except self._unavailable as error:
            log.error("database.away", request_id=exchange.id, error=type(error).__name__)
            away = ServiceUnavailable("The database does not answer; please try again.", retry_after=2)
            await self._send_error(exchange, away)
        except Exception:  # the outermost handler: nothing else may decide what a client sees
            log.exception("request.failed", request_id=exchange.id, path=scope["path"])
            unknown = FilmgateError("Something went wrong here. The request id tells the operator what.")
            await self._send_error(exchange, unknown)
        finally:
            exchange.record_end(self._access)

    async def _pass_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        exchange = SocketExchange(scope, send)
        try:
            await self._app(scope, receive, exchange.send)
        finally:
            exchange.record_end(self._access)

    async def _send_error(self, exchange: "RequestExchange", error: FilmgateError) -> None:
        await exchange.send_error(error, self._envelopes.envelope_for(exchange.path))


class FastPath:
    """Outermost: sends calls to raw ASGI endpoints before ``app``, the framework, sees them.

    The framework's layers, its router and its exit stack take as long as all the work of a relayed call. ``layers`` puts
    around the endpoints what they need. ``routes`` (by path, POST only, no patterns) may be filled after construction;
    ``lookups`` are those of GET whose path ends in a name, by ``lookup_key`` of their pattern.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        routes: Mapping[str, Route],
        layers: Callable[[ASGIApp], ASGIApp],
        lookups: Mapping[str, Route] | None = None,
    ) -> None:
        self._app = app
        self._routes = routes
        self._lookups = lookups or {}
        self._layered = layers(_call_route)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        route = self._find_route(scope) if scope["type"] == "http" else None
        if route is None:
            return self._app(scope, receive, send)
        scope["route"] = route
        return self._layered(scope, receive, send)

    def _find_route(self, scope: Scope) -> Route | None:
        path, method = scope["path"], scope["method"]
        if method == "POST":
            return self._routes.get(path)
        return self._lookups.get(lookup_key(path)) if method == "GET" and not path.endswith("/") else None


def _call_route(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
    call: Awaitable[None] = scope["route"].app(scope, receive, send)
    return call


def lookup_key(path: str) -> str:
    """What a GET for ``path`` and its pattern have in common: all but the name at the end."""
    return path.rpartition("/")[0]


class RequestExchange:
    """One request and its answer, observed while they pass."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, max_body_bytes: int) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._max = max_body_bytes
        self._read = 0
        self._status = 0
        self._began = time.perf_counter()
        self.path: str = scope["path"]
        self.declared = 0
        given, trace = [], b""
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit():
                self.declared = int(value)
            elif name == REQUEST_ID:
                given.append(value)
            elif name == TRACE_HEADER:
                trace = value
        self._notes = name_request(scope, given)
        self._span = follow_trace(scope, self._notes, trace)
        self.id = self._notes.id

    @property
    def too_large(self) -> PayloadTooLarge:
        return PayloadTooLarge(f"The body is larger than the limit of {self._max} bytes.")

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._read += len(message.get("body", b""))
            if self._read > self._max:
                raise self.too_large
        return message

    def send(self, message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            given = message.get("headers", ())
            own = self._scope["state"].get("headers")
            if own is not None:  # our own rate limit headers replace the upstream's
                given = [*(h for h in given if not h[0].startswith(LIMITS)), *own]
            headers = message["headers"] = guarded_headers(given)
            headers.append((REQUEST_ID, self.id.encode()))
        return self._send(message)

    async def send_error(self, error: FilmgateError, envelope: ErrorEnvelope) -> None:
        """Send the error as a response, unless one has started."""
        if self._status:
            return
        body = envelope.error_bytes(error, request_id=self.id)
        headers = {
            "content-type": "application/json",
            "content-length": str(len(body)),
            **error_headers(error),
        }
        if envelope.request_id_header:
            headers[envelope.request_id_header] = self.id
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": error.status, "headers": raw})
        await self.send({"type": "http.response.body", "body": body})

    def record_end(self, access: AccessLog | None) -> None:
        """Count the request, and write its line."""
        passed = time.perf_counter() - self._began
        route = self._route_pattern()
        requests, seconds = _request_counters(
            route, self._scope["method"] if route != "none" else "any", self._status
        )
        requests.inc()
        seconds.observe(passed)
        if self._span is not None:
            end_span(self._span, self._scope, self._notes, status=self._status)
        if access is not None:
            access.write(self._scope, self._notes, status=self._status, seconds=passed)

    def _route_pattern(self) -> str:
        """The route's pattern, never a path that a client chose."""
        pattern = getattr(self._scope.get("route"), "path", None)
        if pattern:
            return str(pattern)
        fixed = "endpoint" in self._scope and not self._scope.get("path_params")
        return self.path if fixed else "none"


class SocketExchange:
    """One WebSocket, or the refusal of one, observed while it passes."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._status = 0
        self._began = time.perf_counter()
        self._notes = name_request(scope, [value for name, value in scope["headers"] if name == REQUEST_ID])
        self._span = follow_trace(scope, self._notes, dict(scope["headers"]).get(TRACE_HEADER, b""))

    def send(self, message: Message) -> Awaitable[None]:
        if not self._status:
            opened = SWITCHED if message["type"] == "websocket.accept" else FORBIDDEN
            self._status = message.get("status", opened)
        return self._send(message)

    def record_end(self, access: AccessLog | None) -> None:
        if self._span is not None:
            end_span(self._span, self._scope, self._notes, status=self._status)
        if access is not None:
            passed = time.perf_counter() - self._began
            access.write(self._scope, self._notes, status=self._status, seconds=passed)


def guarded_headers(headers: Iterable[RawHeader]) -> list[RawHeader]:
    """The headers of an answer with those that bind a browser to the policy, in place of what an upstream says there."""
    result = list(headers)
    if _is_page(result):
        ours = [RAW_DOCS_POLICY, *RAW_PAGE_HEADERS[1:]] if RAW_DOCS_POLICY in result else RAW_PAGE_HEADERS
        return [*(header for header in result if header[0].lower() not in PAGE_HEADER_NAMES), *ours]
    if NOSNIFF not in result:
        result.append(NOSNIFF)
    return result


def _is_page(headers: Iterable[RawHeader]) -> bool:
    """Whether a browser may open the answer as a document. A redirect has no type, and leads to one."""
    for name, value in headers:
        lower = name.lower()
        if lower == b"location":
            return True
        if lower == b"content-type":
            return _is_page_type(value) if len(value) <= TYPE_LENGTH else True
    return False


@lru_cache(maxsize=1024)
def _is_page_type(value: bytes) -> bool:
    kind = value.lower()
    return any(word in kind for word in PAGE_WORDS)
