"""The worked example of ``app/providers/README.md``, taken from the page and run against such a vendor."""

import importlib.util
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from app.errors import UpstreamAuthFailed
from app.generation import GenerationRequest
from app.providers.base import Account, Failed, Provider, Queued, Running, Submission, Succeeded
from app.providers.http import UpstreamClient
from tests.upstream.vendors.base import VendorServer

README = Path(__file__).parent.parent.parent / "app/providers/README.md"


class AcmeServer(VendorServer):
    """The vendor that the page describes."""

    states = ("waiting", "drawing", "polishing", "ready")

    def routes(self) -> list[BaseRoute]:
        return [Route("/jobs", self.start, methods=["POST"]), Route("/jobs/{id}", self.look)]

    async def start(self, request: Request) -> Response:
        await self.note(request)
        if request.headers.get("x-acme-key") != "acme-secret":
            return JSONResponse({"error": "who are you?"}, 401)
        return JSONResponse({"job": self.submitted(await request.json()).id})

    async def look(self, request: Request) -> Response:
        phase = self.jobs[request.path_params["id"]].look()
        told: dict[str, Any] = {"phase": phase}
        if phase == "ready":
            told["file"] = "https://files.acme.example/17.mp4"
        return JSONResponse(told)


@pytest.fixture(scope="module")
def acme(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    code = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert code
    path = tmp_path_factory.mktemp("example") / "acme.py"
    path.write_text(code[1])
    spec = importlib.util.spec_from_file_location("acme", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["acme"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["acme"]


@asynccontextmanager
async def speaker(module: ModuleType, vendor: AcmeServer, *, secret: str) -> AsyncIterator[Provider]:
    kind: type[Provider] = module.AcmeProvider
    account = Account(id="a", provider="acme", name="acme", base_url=vendor.url, secret=secret)
    async with httpx2.AsyncHTTPTransport() as transport:
        http = UpstreamClient(
            transport, base_url=kind.base_url_for(account), headers=kind.auth_headers(account)
        )
        provider = kind(account, http)
        yield provider
        await provider.close()


WISH = GenerationRequest(kind="video", model="acme-1", prompt="a kite", seconds=4)


async def test_the_example_makes_a_video(acme: ModuleType) -> None:
    with AcmeServer() as vendor:
        async with speaker(acme, vendor, secret="acme-secret") as provider:
            operation = await provider.start(WISH, Submission("key"))
            looks = [await provider.poll(operation) for _ in range(4)]
    assert [type(look) for look in looks] == [Queued, Running, Running, Succeeded]
    assert isinstance(looks[-1], Succeeded)
    assert looks[-1].files[0].url == "https://files.acme.example/17.mp4"
    assert vendor.jobs[operation.id].fields == {"model": "acme-1", "text": "a kite", "seconds": 4.0}


async def test_the_example_says_what_went_wrong(acme: ModuleType) -> None:
    with AcmeServer() as vendor:
        vendor.states = ("broken",)
        async with speaker(acme, vendor, secret="acme-secret") as provider:
            operation = await provider.start(WISH, Submission("key"))
            assert isinstance(await provider.poll(operation), Failed)
        async with speaker(acme, vendor, secret="another") as stranger:
            with pytest.raises(UpstreamAuthFailed):
                await stranger.start(WISH, Submission("key"))
