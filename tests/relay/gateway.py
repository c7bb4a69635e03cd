"""The relay in a real server on a free port, over a real store."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import sqlalchemy as sa
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from app.accounts.pool import AccountPool
from app.catalog.catalog import Catalog
from app.catalog.prices import PriceRepository
from app.db.session import DATABASE_AWAY, Database
from app.db.tables import usage
from app.dialects.anthropic import routes as anthropic
from app.dialects.openai_images import routes as openai_images
from app.dialects.openai_relayed import routes as openai_relayed
from app.dialects.registry import envelopes_by_path
from app.keys.key import ClientKey
from app.keys.service import KeyRing
from app.media.guard import OutboundGuard
from app.ops.edge import EdgeMiddleware, FastPath
from app.providers import registry
from app.providers.base import Account
from app.relay.realtime import RealtimeEndpoint
from app.relay.relay import Metering, Relay
from app.relay.routes import (
    ChatEndpoint,
    ImagesEndpoint,
)
from app.relay.upstream import UpstreamClient, open_session
from app.usage.budgets import BudgetTracker
from app.usage.recorder import UsageRecorder
from app.vault import Vault
from tests.stores import sqlite_store
from tests.upstream.transport import loopback_transport

CHAT = "/v1/chat/completions"


class FallbackEndpoint:
    """In place of the chat and images dialects: answers what it was given."""

    async def as_json(self, scope: Scope, *, body: bytes) -> bytes | None:
        return None

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, *, body: bytes, key: ClientKey, path: str = ""
    ) -> None:
        answer = JSONResponse({"elsewhere": body.decode(), "key": key.id})
        await answer(scope, receive, send)


@dataclass
class RelayGateway:
    port: int
    key: str
    pool: AccountPool
    database: Database
    recorder: UsageRecorder
    client: httpx2.AsyncClient
    keys: KeyRing
    prices: PriceRepository

    async def add_account(self, origin: str, **given: Any) -> Account:
        """An account at ``origin``, whose secret is ``sk-up-<name>``."""
        name = given.pop("name", "first")
        account = Account(
            id="",
            provider=given.pop("provider", "openai_compatible"),
            name=name,
            base_url=f"{origin}/v1",
            secret=given.pop("secret", f"sk-up-{name}"),
            models=given.pop("models", {"bot": "vendor-bot"}),
            **given,
        )
        return await self.pool.add(account)

    async def send_chat(self, **fields: Any) -> httpx2.Response:
        return await self.client.post(CHAT, json={"model": "bot", "messages": [], **fields})

    async def usage_rows(self, count: int = 1) -> list[Any]:
        """The usage rows, once there are ``count``."""
        async with asyncio.timeout(120):
            while True:
                await self.recorder.flush()
                async with self.database.read() as connection:
                    rows = (await connection.execute(sa.select(usage).order_by(usage.c.id))).all()
                if len(rows) >= count:
                    return list(rows)
                await asyncio.sleep(0.01)


@asynccontextmanager
async def running_gateway(
    folder: Path, *, silence_seconds: float = 60, database_url: str = ""
) -> AsyncIterator[RelayGateway]:
    """``silence_seconds``: how long an upstream may pause, or leave a WebSocket's ping unanswered."""
    async with AsyncExitStack() as stack:
        database = Database(database_url or sqlite_store(folder / "relay.db"))
        stack.push_async_callback(database.close)
        vault = Vault(b"r" * 32)
        guard = OutboundGuard(("127.0.0.1",))
        transport = await stack.enter_async_context(loopback_transport())
        pool = AccountPool(
            database, vault, build=lambda account: registry.create_provider(account, transport), embedded=None
        )
        stack.push_async_callback(pool.close)
        keys = KeyRing(database, vault)
        budgets, prices = BudgetTracker(database), PriceRepository(database)
        stack.push_async_callback(budgets.close)
        stack.push_async_callback(prices.close)
        recorder = UsageRecorder(database, budgets=budgets)
        stack.push_async_callback(recorder.close)
        session = await stack.enter_async_context(open_session(guard, silence_seconds=silence_seconds))
        upstreams = UpstreamClient(
            session, pool, handshake_seconds=silence_seconds, heartbeat_seconds=silence_seconds
        )
        stack.push_async_callback(upstreams.wait_for_writes)
        relay = Relay(
            keys=keys,
            catalog=Catalog(pool),
            upstreams=upstreams,
            recorder=recorder,
            metering=Metering(prices, budgets),
            max_body_bytes=4 * 1024 * 1024,
        )
        raw = await keys.create("tests")
        port = await _start_server(stack, relay)
        client = httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{port}",
            headers={"Authorization": f"Bearer {raw}"},
            timeout=120,
            trust_env=False,
        )
        await stack.enter_async_context(client)
        yield RelayGateway(port, raw, pool, database, recorder, client, keys, prices)


async def _start_server(stack: AsyncExitStack, relay: Relay) -> int:
    endpoints: dict[str, ASGIApp] = {
        "chat/completions": ChatEndpoint(relay, FallbackEndpoint()),
        **{
            route.path: route.endpoint(relay, route.path)
            for route in (*openai_relayed.ROUTES.relayed, *anthropic.ROUTES.relayed)
        },
        **{
            route.path: ImagesEndpoint(relay, route.path, FallbackEndpoint())
            for route in openai_images.ROUTES.relayed
        },
    }
    routes = [Route(f"/v1/{path}", endpoint, methods=["POST"]) for path, endpoint in endpoints.items()]
    edge = partial(
        EdgeMiddleware,
        max_body_bytes=8 * 1024 * 1024,
        unavailable=DATABASE_AWAY,
        envelopes=envelopes_by_path(),
    )
    realtime = WebSocketRoute("/v1/realtime", RealtimeEndpoint(relay))
    others = Starlette(routes=[*routes, realtime], middleware=[Middleware(edge)])
    app = FastPath(others, routes={route.path: route for route in routes}, layers=edge)
    config = uvicorn.Config(
        app, interface="asgi3", http="httptools", lifespan="off", log_level="critical", access_log=False
    )
    server = uvicorn.Server(config)
    # It listens from here on, so nobody has to wait until it has started.
    listener = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(server.serve(sockets=[listener]))

    async def stop() -> None:
        server.should_exit = True
        server.force_exit = True
        await serving

    stack.push_async_callback(stop)
    port: int = listener.getsockname()[1]
    return port
