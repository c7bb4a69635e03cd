"""The outermost ASGI layer: request ids, the body limit, unexpected errors, and metrics."""

import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import structlog
from prometheus_client import Counter, Histogram
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import FilmgateError, PayloadTooLarge, ServiceUnavailable
from app.ops.envelope import EnvelopesByPath, ErrorEnvelope, error_headers
from app.ops.metrics import REQUEST_SECONDS, REQUESTS

log = structlog.get_logger()
LIMITS = b"x-ratelimit-"
SAFE_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")


@lru_cache(maxsize=4096)
def _request_counters(route: str, method: str, status: int) -> tuple[Counter, Histogram]:
    return REQUESTS.labels(route, method, status), REQUEST_SECONDS.labels(route)


@dataclass
class DrainState:
    """``begun`` is set when the process is told to end: new POST requests are then answered with 503."""

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
    ) -> None:
        self._app = app
        self._max = max_body_bytes
        self._unavailable = unavailable
        self._drain = drain or DrainState()
        self._envelopes = envelopes or EnvelopesByPath()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = RequestExchange(scope, receive, send, max_body_bytes=self._max)
        try:
            if exchange.declared > self._max:
                raise exchange.too_large
            if scope["method"] == "POST" and self._drain.begun:
                raise ServiceUnavailable("The server is restarting; please try again.", retry_after=1)
            await self._app(scope, exchange.receive, exchange.send)
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
            exchange.record_metrics()

    async def _send_error(self, exchange: "RequestExchange", error: FilmgateError) -> None:
        await exchange.send_error(error, self._envelopes.envelope_for(exchange.path))


class FastPath:
    """Innermost middleware: sends calls to raw ASGI endpoints without the framework's router.

    The router, its exception layer and its exit stack take as long as all the work of a relayed call. ``routes`` (by path,
    POST only, no patterns) may be filled after construction.
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
        given = ""
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit():
                self.declared = int(value)
            elif name == b"x-request-id":
                given = value.decode("latin-1")
        self.id = given if SAFE_ID.fullmatch(given) else f"req_{secrets.token_hex(16)}"
        scope.setdefault("state", {})["request_id"] = self.id

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

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            given = message.get("headers", ())
            own = self._scope["state"].get("headers")
            if own is not None:  # our own rate limit headers replace the upstream's
                given = [*(h for h in given if not h[0].startswith(LIMITS)), *own]
            message["headers"] = [*given, (b"x-request-id", self.id.encode())]
        await self._send(message)

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

    def record_metrics(self) -> None:
        route = self._route_pattern()
        requests, seconds = _request_counters(
            route, self._scope["method"] if route != "none" else "any", self._status
        )
        requests.inc()
        seconds.observe(time.perf_counter() - self._began)

    def _route_pattern(self) -> str:
        """The route's pattern, never a path that a client chose."""
        pattern = getattr(self._scope.get("route"), "path", None)
        if pattern:
            return str(pattern)
        fixed = "endpoint" in self._scope and not self._scope.get("path_params")
        return self.path if fixed else "none"
