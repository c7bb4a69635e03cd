"""Health checks are answered at once; the clients' API is loaded by the first request for it, once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from app import gateway_app
from app.client_api import FrontedAPI, create_client_api
from app.gateway_app import ClientParts, GatewayApp
from app.main import create_app
from app.settings import Settings


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[FrontedAPI]:
    """The clients' APIs that were made."""
    made: list[FrontedAPI] = []

    def create(app: GatewayApp, parts: ClientParts) -> FrontedAPI:
        made.append(create_client_api(app, parts))
        return made[-1]

    monkeypatch.setattr("app.client_api.create_client_api", create)
    return made


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[httpx2.AsyncClient]:
    app = create_app(Settings(data_dir=folder, studio="off", worker=False, api_key="sk-fg-" + "k" * 30))
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client:
            yield client


async def test_many_first_requests_load_it_once(
    tmp_path: Path, loaded: list[FrontedAPI], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_app, "PAUSE_SECONDS", 3600)
    async with opened(tmp_path) as client:
        for path, status in {"/healthz": 200, "/readyz": 200, "/metrics": 200}.items():
            assert (await client.get(path)).status_code == status
        assert (await client.post("/healthz")).headers["allow"] == "GET, HEAD"
        assert loaded == []
        answers = await asyncio.gather(*[client.get("/v1/models") for _ in range(5)])
    assert [answer.status_code for answer in answers] == [401] * 5
    assert len(loaded) == 1


async def test_it_is_loaded_without_a_request(
    tmp_path: Path, loaded: list[FrontedAPI], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_app, "PAUSE_SECONDS", 0.01)
    async with opened(tmp_path), asyncio.timeout(30):
        while not loaded:  # noqa: ASYNC110 - another thread appends
            await asyncio.sleep(0.01)
