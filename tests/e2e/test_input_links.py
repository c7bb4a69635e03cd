"""A vendor that takes an input only at an address gets a signed one of ours, where the operator has set our public address."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.components import Components
from app.providers.base import Account
from tests.serving import GatewayProcess, until
from tests.upstream.media import tiny_mp4
from tests.upstream.vendors.kling import KlingServer

PUBLIC = "https://films.test"
pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def kling() -> Iterator[KlingServer]:
    with KlingServer() as server:
        yield server


def start_gateway(folder: Path, kling: KlingServer, **environment: str) -> tuple[GatewayProcess, str]:
    gateway = GatewayProcess(folder, FILMGATE_STUDIO="off", **environment)
    secret = "access-key|secret-of-the-account-0123"
    account = Account(id="", provider="kling", name="kling", base_url=kling.url, secret=secret)

    async def fill(components: Components) -> str:
        await components.pool.add(account)
        return await components.keys.create("tester")

    return gateway, gateway.prepare(fill)


def wish() -> dict[str, Any]:
    clip = "data:video/mp4;base64," + base64.b64encode(tiny_mp4()).decode()
    return {"model": "kling-v2-6", "prompt": "as in the clip", "reference_videos": [clip]}


def submitted(kling: KlingServer) -> dict[str, Any] | None:
    bodies = [seen.body for seen in kling.seen if seen.method == "POST"]
    return json.loads(bodies[-1]) if bodies else None


def test_the_vendor_fetches_it_from_us(kling: KlingServer, tmp_path: Path) -> None:
    kling.reset()
    gateway, key = start_gateway(tmp_path, kling, FILMGATE_PUBLIC_URL=PUBLIC)
    with gateway, gateway.client(key=key) as client:
        made = client.post("/v1/videos", json=wish())
        assert made.status_code == 200, made.text
        sent = until(lambda: submitted(kling))
        address = sent["video_url"]
        assert address.startswith(f"{PUBLIC}/files/inputs/")
        path = address.removeprefix(PUBLIC)
        with httpx2.Client(base_url=gateway.url) as vendor:
            fetched = vendor.get(path)
            assert (fetched.status_code, fetched.content) == (200, tiny_mp4())
            assert fetched.headers["content-type"] == "video/mp4"
            assert vendor.head(path).headers["content-length"] == str(len(tiny_mp4()))
            assert vendor.get(path.replace("/0.mp4", "/1.mp4")).status_code == 403
            assert vendor.get(path.partition("?")[0]).status_code == 403


def test_without_a_public_address_it_is_refused_by_its_name(kling: KlingServer, tmp_path: Path) -> None:
    kling.reset()
    gateway, key = start_gateway(tmp_path, kling)
    with gateway, gateway.client(key=key) as client:
        refused = client.post("/v1/videos", json=wish())
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "reference_videos")
    assert submitted(kling) is None
