"""The server of `/mcp`: its tools call the gateway that it is a part of, within the process."""

import asyncio
import hashlib
import logging
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.request_state import RequestStateSecurity
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import Request
from starlette.types import ASGIApp

from app import __version__
from app.mcp.call_keys import Conversation
from app.mcp.gateway import GatewayCalls
from app.mcp.on_demand import CALLER
from app.mcp.server import create_server

BOUND = "x-filmgate-confirm-above"
PLAIN_AMOUNT = re.compile(r"\d{1,9}(\.\d{1,9})?")
PASSED_ON = ("accept-language", "host", "user-agent", "x-request-id")
"""Of the agent's request: links begin with its host, and the log has one id for both."""


@asynccontextmanager
async def running_manager(
    app: ASGIApp, drains: Callable[[], bool], *, max_body_bytes: int, state_keys: Sequence[bytes]
) -> AsyncIterator[StreamableHTTPSessionManager]:
    def calls_of(context: Context[Any, Any]) -> GatewayCalls:
        request = context.request_context.request
        assert isinstance(request, Request)
        return _calls_within(app, request, drains)

    logging.getLogger("mcp").setLevel(logging.WARNING)  # it has lines for each request, as we have
    # What one process has asked, another may be answered.
    state = RequestStateSecurity(keys=state_keys, bind_principal=_key_of)
    server = create_server(calls_of, version=__version__, state=state)
    server.streamable_http_app(
        stateless_http=True,
        max_request_body_size=max_body_bytes,
        # Origins are judged before (`on_demand.py`), by the gateway's own setting.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    async with server.session_manager.run():
        yield server.session_manager


def _key_of(context: ServerRequestContext[Any, Any]) -> str | None:
    assert isinstance(context.request, Request)
    found: str = context.request.scope["state"][CALLER]
    return hashlib.sha256(found.encode()).hexdigest()


def _bound_of(request: Request) -> float | None:
    text = request.headers.get(BOUND, "").strip()
    if text and not PLAIN_AMOUNT.fullmatch(text):
        raise ToolError(
            f"The host's header {BOUND} must be an amount in US dollars, like 0.50. Nothing was made."
        )
    return float(text) if text else None


def _calls_within(app: ASGIApp, request: Request, drains: Callable[[], bool]) -> GatewayCalls:
    address = request.client or ("127.0.0.1", 0)
    connection = httpx2.AsyncClient(
        transport=UnbrokenTransport(app, (address[0], address[1])),
        headers={name: value for name in PASSED_ON if (value := request.headers.get(name))},
        trust_env=False,
    )
    session = request.headers.get("mcp-session-id", "")
    return GatewayCalls(
        key=request.scope["state"][CALLER],
        base_url=f"{request.url.scheme}://gateway/v1",
        connection=connection,
        conversation=Conversation(session),
        drains=drains,
        confirm_above=_bound_of(request),
    )


class UnbrokenTransport(httpx2.AsyncBaseTransport):
    """Requests to our own application. An agent that goes away breaks none off: it would end in the middle of a
    transaction, as no other client can make it."""

    def __init__(self, app: ASGIApp, address: tuple[str, int]) -> None:
        self._inner = httpx2.ASGITransport(app=app, client=address, raise_app_exceptions=False)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answering = asyncio.create_task(self._inner.handle_async_request(request))
        RUNNING.add(answering)
        answering.add_done_callback(RUNNING.discard)
        return await asyncio.shield(answering)


RUNNING: set[asyncio.Task[httpx2.Response]] = set()
"""The event loop alone does not keep a task."""
