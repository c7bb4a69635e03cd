"""The panel's API is loaded by the first request for it, once."""

import asyncio
from typing import cast

import httpx2
from fastapi import FastAPI, Request

from app.admin.panel import PanelServices
from app.panel import PanelOnDemand


async def test_many_first_requests_load_it_once() -> None:
    loaded: list[FastAPI] = []
    services = cast(PanelServices, object())

    def finish(app: FastAPI) -> None:
        async def answer(request: Request) -> dict[str, bool]:
            return {"served": request.app.state.panel is services}

        app.add_api_route("/looked-at", answer)
        loaded.append(app)

    panel = PanelOnDemand(finish)
    panel.services = services
    transport = httpx2.ASGITransport(panel)
    async with httpx2.AsyncClient(transport=transport, base_url="http://panel") as client:
        answers = await asyncio.gather(*[client.get("/looked-at") for _ in range(5)])
    assert [answer.json() for answer in answers] == [{"served": True}] * 5
    assert len(loaded) == 1
