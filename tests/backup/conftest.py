"""Two gateways: one that is set up, one that is empty; and a place that keeps what is sent there."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from aiohttp import web
from pydantic import SecretStr

from app.accounts.definition import AccountDraft
from app.catalog.price import read_price
from app.catalog.route_documents import read_route
from app.components import Components
from app.db.session import Database
from app.media.delivery.options import DeliveryOptions
from app.validation import validate_document
from app.webhooks.notice_options import NoticeOptions
from app.webhooks.signing import new_secret
from tests.media.conftest import Serve, serve
from tests.stores import sqlite_store
from tests.tasks.conftest import Bench, replica, settings_for, upstream
from tests.upstream import FakeUpstream

__all__ = ["serve", "upstream"]
SECRETS = (
    "account-secret-canary",
    "proxy-password-canary",
    "option-secret-canary",
    "resolver-secret-canary",
    "token-canary",
)
Open = Callable[..., Awaitable[Bench]]
one_store = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
async def opened(tmp_path: Path, upstream: FakeUpstream) -> AsyncIterator[Open]:
    """``await opened("name")``: a gateway of its own on SQLite; ``root`` is its root key."""
    made: list[Any] = []

    async def make(name: str, *, root: str = "0123456789abcdef0123456789abcdef", **more: Any) -> Bench:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        url = sqlite_store(folder / "test.db")
        context = replica(settings_for(folder, url, secret_key=SecretStr(root), **more), upstream)
        made.append(context)
        return await context.__aenter__()

    yield make
    for context in made:
        await context.__aexit__(None, None, None)


@pytest.fixture
async def full(database_url: str, tmp_path: Path, upstream: FakeUpstream) -> AsyncIterator[Bench]:
    """On both stores: one of everything."""
    async with replica(settings_for(tmp_path, database_url), upstream) as bench:
        await fill(bench.components, upstream)
        yield bench


async def fill(components: Components, upstream: FakeUpstream) -> None:
    main = await components.accounts.add(
        validate_document(AccountDraft, MAIN | {"base_url": f"{upstream.url}/v1"}, whole="account")
    )
    await components.accounts.add(
        validate_document(
            AccountDraft, {"name": "spare", "provider": "openai_compatible"} | OFF, whole="account"
        )
    )
    by_id = {"account": main.account.id, "model": "upstream-model", "weight": 2}
    route = {"model": "films", "candidates": [by_id, {"tag": "pro"}], "note": "ours"}
    await components.catalog.routes.put(read_route(route))
    await components.catalog.routes.put(read_route({"model": "movies", "alias_of": "films"}))
    await components.money.prices.set_price("veo*", read_price({"per_second": {"720p": "0.10"}}))
    key, _ = await components.keys.create_key(
        {"name": "shop", "budget_daily": "2.5", "networks": ["10.0.0.0/8"]}
    )
    await components.keys.create_key({"name": "studio", "project": "films", "models": ["sora-2*"], "rpm": 6})
    await components.endpoints.create(
        key.owner, name="hook", url="https://example.com/hook", event_types=["video.failed"]
    )
    resolver = {"name": "r", "url": "https://example.com/resolve", "secret": "resolver-secret-canary"}
    await components.options.write(DeliveryOptions, {"resolvers": [resolver]})
    receiver = {"name": "pager", "url": "https://example.com/", "token": "token-canary"}
    await components.options.write(NoticeOptions, {"receivers": [receiver | {"secret": new_secret()}]})


OFF = {"base_url": "https://example.com/v1", "secret": "s2", "enabled": False}
MAIN: dict[str, Any] = {
    "name": "main",
    "provider": "openai_compatible",
    "secret": "account-secret-canary",
    "proxy": "http://user:proxy-password-canary@10.9.8.7:3128",
    "models": {"sora-2": "upstream-model"},
    "kinds": ["video"],
    "slots": 3,
    "limits": {"video": 2},
    "options": {"session_token": "option-secret-canary", "poll_seconds": 5},
    "tags": ["pro", "eu"],
    "plan": "team",
    "note": "paid until May",
    "weight": 2.5,
    "tier": 1,
    "rpm": 30,
    "quota": {"unit": "usd", "limit": "50", "left": "12.5", "period": "month"},
    "expires_at": 2_000_000_000.0,
}


class Shelf:
    """Keeps the last body that was put there, as JSON stores do; ``statuses`` are answered first."""

    def __init__(self) -> None:
        self.url = ""
        self.kept = b""
        self.wrapped = False
        self.statuses: list[int] = []
        self.seen: list[tuple[str, str]] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((request.method, request.headers.get("x-master-key", "")))
        body = await request.read()
        if self.statuses:
            return web.Response(status=self.statuses.pop(0))
        if request.method in ("PUT", "POST"):
            self.kept = body
            return web.json_response({"ok": True})
        text = b'{"record": ' + self.kept + b', "metadata": {}}' if self.wrapped else self.kept
        return web.Response(body=text, content_type="application/json")


@pytest.fixture
async def shelf(serve: Serve) -> Shelf:
    made = Shelf()
    made.url = await serve(made.answer)
    return made


async def marks_over(database: Database) -> None:
    """As if much time had gone by."""
    async with database.write() as connection:
        await connection.execute(sa.text("DELETE FROM marks"))
