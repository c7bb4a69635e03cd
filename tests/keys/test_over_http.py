"""Limits and budgets of keys through the whole gateway, with the real SDK."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx2
import openai
import pytest

from app.catalog.price import ModelPrice
from app.components import Components
from tests.serving import GatewayProcess
from tests.upstream import FakeUpstream

KEYS: dict[str, dict[str, Any]] = {
    "narrow": {"models": ["veo*"], "project": "shop"},
    "wide": {"project": "shop"},
    "elsewhere": {"networks": ["203.0.113.0/24"]},
    "hurried": {"rpm": 2},
    "busy": {"tasks_limit": 1},
    "spending": {"budget_daily": "0.40", "budget_total": 7},
}
WISH = {"model": "sora-2", "prompt": "a paper boat"}


@dataclass
class Setting:
    gateway: GatewayProcess
    keys: dict[str, str]

    def client(self, name: str) -> httpx2.Client:
        return self.gateway.client(key=self.keys[name])


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    folder = tmp_path_factory.mktemp("limits")

    async def prepare(components: Components) -> dict[str, str]:
        await components.money.prices.set_price("sora-2", ModelPrice(per_call=Decimal("0.15")))
        return {
            name: (await components.keys.create_key({"name": name} | fields))[1]
            for name, fields in KEYS.items()
        }

    with FakeUpstream() as upstream:
        upstream.script(job_seconds=600)
        gateway = GatewayProcess(folder, FILMGATE_STUDIO="off", FILMGATE_WORKER="false")
        gateway.add_upstream(upstream.url)
        keys = gateway.prepare(prepare)
        with gateway:
            yield Setting(gateway, keys)


def code_of(answer: httpx2.Response) -> tuple[int, str, str]:
    error = answer.json()["error"]
    return answer.status_code, error["type"], error["code"]


def test_a_model_list_limits_creating_and_not_reading(setting: Setting) -> None:
    with setting.client("narrow") as client:
        refused = code_of(client.post("/v1/videos", json=WISH))
        assert refused == (403, "permission_error", "model_not_allowed")
        for path, body in (
            ("/v2/videos/generations", WISH),
            ("/v1/chat/completions", {"model": "sora-2", "messages": [{"role": "user", "content": "x"}]}),
            ("/v1/videos/generate", WISH),
        ):
            assert client.post(path, json=body).status_code == 403, path
        assert client.post("/v1/videos", json=WISH | {"model": "veo3"}).status_code == 200
        names = [model["id"] for model in client.get("/v1/models").json()["data"]]
        assert names
        assert all(name.startswith("veo") for name in names)
        assert client.get("/v1/models/sora-2").status_code == 404
        with setting.client("wide") as mate:
            made = mate.post("/v1/videos", json=WISH).json()["id"]
        for path in (f"/v1/videos/{made}", f"/v1/tasks/{made}", "/v1/videos", "/v1/usage"):
            assert client.get(path).status_code == 200, path
        assert client.post(f"/v1/tasks/{made}/cancel").status_code == 200


def test_another_network_is_403_and_a_local_proxy_is_trusted(setting: Setting) -> None:
    with setting.client("elsewhere") as client:
        assert code_of(client.get("/v1/models")) == (403, "permission_error", "ip_not_allowed")
        told = {"X-Forwarded-For": "203.0.113.9"}
        assert client.get("/v1/models", headers=told).status_code == 200


def test_requests_a_minute_are_counted_over_all_dialects(setting: Setting) -> None:
    with setting.client("hurried") as client:
        first = client.post("/v1/videos", json=WISH)
        assert (first.status_code, first.headers["x-ratelimit-remaining-requests"]) == (200, "1")
        assert client.post("/v2/videos/generations", json=WISH).status_code == 200
        refused = client.post("/v1/embeddings", json={"model": "bot", "input": "x"})
        assert code_of(refused) == (429, "rate_limit_error", "rate_limit_exceeded")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert refused.headers["x-ratelimit-remaining-requests"] == "0"
        for _ in range(5):
            look = client.get(f"/v1/videos/{first.json()['id']}")
            assert look.status_code == 200
            assert "x-ratelimit-limit-requests" not in look.headers
        assert client.delete(f"/v1/videos/{first.json()['id']}").status_code == 200


def test_tasks_in_flight(setting: Setting) -> None:
    with setting.client("busy") as client:
        first = client.post("/v1/videos", json=WISH).json()
        refused = client.post("/v1/videos", json=WISH)
        assert code_of(refused) == (429, "rate_limit_error", "rate_limit_exceeded")
        assert refused.headers["retry-after"] == "5"
        assert client.delete(f"/v1/videos/{first['id']}").status_code == 200
        assert client.post("/v1/videos", json=WISH).status_code == 200


def test_a_spent_budget_is_not_retried_and_says_so(setting: Setting) -> None:
    with openai.OpenAI(
        base_url=f"{setting.gateway.url}/v1", api_key=setting.keys["spending"], max_retries=5
    ) as sdk:
        made = [sdk.videos.create(model="sora-2", prompt=str(n)) for n in range(2)]
        with pytest.raises(openai.RateLimitError) as refused:
            sdk.videos.create(model="sora-2", prompt="too much")
        assert refused.value.code == "insufficient_quota"
        assert refused.value.response.headers["x-should-retry"] == "false"
        assert 0 < int(refused.value.response.headers["retry-after"]) <= 86400
        assert sdk.videos.retrieve(made[0].id).status == "queued"
    with setting.client("spending") as client:
        told = client.get("/v1/usage").json()
        assert told["budgets"] == [
            {"period": "daily", "budget": "0.40", "reserved": "0.30", "spent": "0.00", "left": "0.10"},
            {"period": "total", "budget": "7.00", "reserved": "0.30", "spent": "0.00", "left": "6.70"},
        ]
        assert (told["data"], told["total"]["cost"]) == ([], "0.00")
        table = client.get("/v1/usage?format=csv&group_by=model")
        assert (table.headers["content-type"], table.text) == (
            "text/csv; charset=utf-8",
            "model,requests,failed,input_tokens,output_tokens,cost,films,film_seconds\r\n",
        )
        for query, param in (
            ("from=x", "from"),
            ("format=xml", "format"),
            ("group_by=prompt", "group_by"),
            ("from=5&to=4", "from"),
        ):
            wrong = client.get(f"/v1/usage?{query}")
            assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, param)
        capabilities = client.get("/v1/models/sora-2").json()["capabilities"]
        assert capabilities["price"] == {"per_call": "0.15"}
    with setting.gateway.client() as other:
        assert other.get("/v1/usage").json()["budgets"] == []
