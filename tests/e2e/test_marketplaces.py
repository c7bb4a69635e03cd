"""Films of Together, SiliconFlow, Zhipu and the predictions services through a whole gateway: asked for with OpenAI's words, made
by the vendor's simulator, stored here before the vendor's link dies."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from app.components import Components
from app.providers.base import Account
from tests.serving import GatewayProcess, until
from tests.upstream.media import tiny_mp4
from tests.upstream.vendors.front import ScriptedServer
from tests.upstream.vendors.predictions import PredictionsServer
from tests.upstream.vendors.siliconflow import SiliconFlowServer
from tests.upstream.vendors.together import TogetherServer
from tests.upstream.vendors.zhipu import ZhipuServer

VENDORS: dict[str, tuple[type[ScriptedServer], str, dict[str, Any]]] = {
    "predictions": (PredictionsServer, "bytedance/seedance-2.0", {"seconds": 8, "size": "1280x720"}),
    "siliconflow": (SiliconFlowServer, "Wan-AI/Wan2.2-T2V-A14B", {"seconds": 5, "size": "720x1280"}),
    "together": (TogetherServer, "black-forest-labs/FLUX-3", {"seconds": 12, "size": "1920x1080"}),
    "zhipu": (ZhipuServer, "cogvideox-3", {"seconds": 10, "size": "1920x1080"}),
}
"""A simulator, a model of it, and a wish that the model fulfils."""

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def vendors() -> Iterator[dict[str, ScriptedServer]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(server()) for name, (server, _, _) in VENDORS.items()}


@pytest.fixture(scope="module")
def client(
    vendors: dict[str, ScriptedServer], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx2.Client]:
    gateway = GatewayProcess(tmp_path_factory.mktemp("marketplaces"), FILMGATE_STUDIO="off")

    async def fill(components: Components) -> str:
        blank = Account(id="", provider="", name="", secret="secret-0123456789")
        for name, (_, model, _) in VENDORS.items():
            await components.pool.add(
                replace(blank, provider=name, name=name, base_url=vendors[name].url, models={name: model})
            )
        return await components.keys.create("tester")

    key = gateway.prepare(fill)
    with gateway, gateway.client(key=key) as http:
        yield http


@pytest.mark.parametrize("name", VENDORS)
def test_a_film_is_made_and_stored(
    client: httpx2.Client, vendors: dict[str, ScriptedServer], name: str
) -> None:
    vendor = vendors[name]
    vendor.reset()
    if isinstance(vendor, SiliconFlowServer):
        vendor.dead_links = 1  # the first link has died before it was followed: a new look brings another
    made = client.post("/v1/videos", json={"model": name, "prompt": "A red kite", **VENDORS[name][2]})
    assert made.status_code == 200, made.text
    path = f"/v1/videos/{made.json()['id']}"
    until(lambda: client.get(path).json()["status"] in {"completed", "failed"})
    assert client.get(path).json()["status"] == "completed", client.get(path).text
    assert client.get(f"{path}/content").content == tiny_mp4()
    assert vendor.counts["submit"] == 1


@pytest.mark.parametrize(
    ("name", "wish", "param"),
    [
        ("predictions", {"seconds": 30}, "seconds"),
        ("siliconflow", {"seconds": 8}, "seconds"),
        ("together", {"watermark": True}, "watermark"),
        ("zhipu", {"seed": 7}, "seed"),
    ],
)
def test_what_a_vendor_cannot_be_told_is_refused_at_once(
    client: httpx2.Client, vendors: dict[str, ScriptedServer], name: str, wish: dict[str, Any], param: str
) -> None:
    vendors[name].reset()
    answer = client.post("/v1/videos", json={"model": name, "prompt": "A red kite", **wish})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert vendors[name].counts["submit"] == 0
