"""`/mcp` of a gateway: who may come in, and the server behind it, which is loaded with the first request."""

import asyncio
import importlib.util
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import MethodNotAllowed, PermissionDenied

SESSION = b"mcp-session-id"
CALLER = "agent_key"
"""In the scope's state: the key that was admitted."""


class SessionManager(Protocol):
    """What is used of the SDK's manager."""

    async def handle_request(self, scope: Scope, receive: Receive, send: Send) -> None: ...


class AgentsOnDemand:
    """An ASGI application. Every request stands for itself, so processes and replicas need to know nothing of each other.

    ``admit`` returns the key of a request or raises ``FilmgateError``; ``allows_origin`` judges the page that a browser
    names, ``drains`` says whether the gateway is about to stop. ``admit``, ``serve_app``,
    the gateway that the tools call, and ``state_keys``, which seal what is asked of a person, must be set before the first
    request.
    """

    def __init__(
        self, *, max_body_bytes: int, allows_origin: Callable[[bytes], bool], drains: Callable[[], bool]
    ) -> None:
        self.admit: Callable[[Scope], Awaitable[str]] | None = None
        self._max = max_body_bytes
        self._allows_origin = allows_origin
        self._serving: asyncio.Task[None] | None = None
        self._manager: asyncio.Future[SessionManager] | None = None
        self._over = asyncio.Event()
        self.state_keys: Sequence[bytes] = ()
        self.serve_app: ASGIApp | None = None
        self._drains = drains

    def routes(self) -> list[Route]:
        """None where the extra is not installed."""
        installed = importlib.util.find_spec("mcp") is not None
        return [Route(path, self) for path in ("/mcp", "/mcp/")] if installed else []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        origin = headers.get(b"origin")
        if origin is not None and not self._allows_origin(origin):
            raise PermissionDenied(
                f"Pages of {origin.decode('latin-1')[:200]} may not call this gateway. Its operator can name them in "
                "FILMGATE_CORS_ORIGINS."
            )
        assert self.admit is not None
        scope["state"][CALLER] = await self.admit(scope)
        if scope["method"] != "POST":
            # GET would open a stream for what the server says by itself, and DELETE end a session: there is neither.
            raise MethodNotAllowed("/mcp answers POST only: every message stands for itself.")
        manager = await self._load_once()
        await manager.handle_request(scope, receive, send if SESSION in headers else _naming_session(send))

    async def close(self) -> None:
        self._over.set()
        if self._serving is not None:
            await self._serving

    async def _load_once(self) -> SessionManager:
        if self._manager is None:
            self._manager = asyncio.get_running_loop().create_future()
            # In a task of its own: who opens the manager must also close it.
            self._serving = asyncio.create_task(self._serve(self._manager), name="agents")
        return await asyncio.shield(self._manager)

    async def _serve(self, manager: "asyncio.Future[SessionManager]") -> None:
        assert self.serve_app is not None
        # In a thread: it takes longer than other requests may wait.
        module = await asyncio.to_thread(importlib.import_module, "app.mcp.http")
        async with module.running_manager(
            self.serve_app, self._drains, max_body_bytes=self._max, state_keys=self.state_keys
        ) as running:
            manager.set_result(running)
            await self._over.wait()


def _naming_session(send: Send) -> Send:
    """Names a session in the answer, as clients that open one keep its name. Nothing is kept here: the name tells the
    third call of one conversation from the third of another (`app/mcp/call_keys.py`)."""

    async def named(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), (SESSION, uuid.uuid4().hex.encode())]
        await send(message)

    return named
