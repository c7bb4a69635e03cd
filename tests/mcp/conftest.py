"""A gateway with the tools for agents before a fake upstream."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

from app.catalog.price import ModelPrice
from app.components import Components
from app.providers.base import Account
from tests.serving import KEY, GatewayProcess
from tests.upstream import FakeUpstream

Era = Literal["auto", "legacy"]
"""``auto`` is the newest protocol, without sessions; ``legacy`` the one of 2025, with a handshake."""
FILM = {"prompt": "a boat at dawn", "model": "sora-2", "seconds": 4}


@dataclass
class House:
    gateway: GatewayProcess
    upstream: FakeUpstream
    other: str
    """Another owner's key."""
    poor: str
    """A key whose budget is less than the price of a film."""

    @asynccontextmanager
    async def agent(
        self, era: Era = "auto", *, key: str = KEY, asks: Any = None, **headers: str
    ) -> AsyncIterator[Client]:
        """``asks`` answers what a person is asked; without it the agent can ask nobody."""
        headers = {"authorization": f"Bearer {key}"} | headers
        http = httpx2.AsyncClient(headers=headers, timeout=120)
        transport = streamable_http_client(f"{self.gateway.url}/mcp", http_client=http)
        async with http, Client(transport, mode=era, elicitation_callback=asks) as client:
            yield client


async def _fill(components: Components, upstream: str) -> tuple[str, str]:
    account = Account(
        id="",
        provider="openai_compatible",
        name="upstream",
        base_url=upstream,
        secret="upstream-secret",
        slots=20,
    )
    await components.pool.add(account)
    await components.money.prices.set_price("sora-2", ModelPrice(per_call=Decimal("0.5")))
    poor = await components.keys.create("poor", budget_total=Decimal("0.1"))
    return await components.keys.create("other"), poor


@pytest.fixture
def processes() -> int:
    """Of the gateway, on PostgreSQL."""
    return 1


@pytest.fixture
def house(tmp_path: Path, database_url: str, processes: int) -> Iterator[House]:
    several = {"FILMGATE_PROCESSES": str(processes)} if database_url.startswith("postgresql") else {}
    gateway = GatewayProcess(
        tmp_path / "gateway", FILMGATE_DATABASE_URL=database_url, FILMGATE_STUDIO="off", **several
    )
    with FakeUpstream(process=True) as upstream:
        other, poor = gateway.prepare(lambda components: _fill(components, upstream.url))
        gateway.start()
        yield House(gateway, upstream, other, poor)
        gateway.kill()


def facts(result: Any) -> dict[str, Any]:
    """What a tool answered, once it has worked."""
    assert not result.is_error, result.content
    assert result.structured_content
    found: dict[str, Any] = result.structured_content
    return found


def refusal(result: Any) -> str:
    """What a tool said when it refused."""
    assert result.is_error, result
    return str(result.content[0].text)
