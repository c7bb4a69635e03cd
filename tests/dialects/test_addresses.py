"""Addresses that come of a base URL typed wrong: they work where it is clear what was meant, else the answer says what to
change."""

import pytest

from app.ops.addresses import repaired_path
from tests.dialects.conftest import ServedGateway

BODY = {
    "model": "studio",
    "prompt": "[studio:reject] x",
    "messages": [{"role": "user", "content": "[studio:reject] x"}],
}


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/",
        "/v1//models",
        "//v1/models",
        "/v1/v1/models",
        "/models",
        "/V1/models",
        "/v1/v1//models/",
    ],
)
def test_a_list_by_other_addresses(served: ServedGateway, path: str) -> None:
    with served.client() as client:
        found = client.get(f"{served.url}{path}")
        assert found.status_code == 200
        assert found.json() == client.get("/v1/models").json()


@pytest.mark.parametrize(
    "path",
    ["/v1/videos/", "/v1/v1/videos", "/videos", "/v1//videos", "/v2/videos/generations/", "/v1/v2/videos/generations",
     "/api/v1/v1/videos", "/chat/completions", "/v1/v1/chat/completions", "/v1/api/v1/videos"],
)  # fmt: skip
def test_a_create_by_other_addresses(served: ServedGateway, path: str) -> None:
    """Whatever comes of it, the request has arrived."""
    with served.client() as client:
        answer = client.post(f"{served.url}{path}", json=BODY)
        assert answer.status_code in (200, 202, 400), answer.text


def test_other_addresses_are_counted_by_their_route(served: ServedGateway) -> None:
    with served.client() as client:
        counted = 'filmgate_requests_total{method="GET",route="/v1/tasks/{name}",status="404"}'
        before = _count(client.get("/metrics").text, counted)
        assert client.get(f"{served.url}/tasks/{'0' * 32}/").status_code == 404
        assert _count(client.get("/metrics").text, counted) == before + 1


def _count(metrics: str, name: str) -> float:
    return next((float(line.split()[-1]) for line in metrics.splitlines() if line.startswith(name)), 0.0)


@pytest.mark.parametrize("path", ["/v1/chat/completions/chat/completions", "/v3/models", "/v1/nothing"])
def test_what_is_nowhere_says_what_to_change(served: ServedGateway, path: str) -> None:
    with served.client() as client:
        answer = client.post(path, json=BODY)
        assert answer.status_code == 404
        assert "base URL" in answer.json()["error"]["message"]


def test_the_address_alone_leads_a_browser_to_a_page(served: ServedGateway) -> None:
    with served.client() as client:
        page = client.get("/", headers={"accept": "text/html,*/*;q=0.8"})
        assert (page.status_code, page.headers["location"]) == (307, "admin/")
        assert "/docs" in client.get("/").json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/videos", "GET, POST"),
        ("/v1/videos/video_1", "DELETE, GET"),
        ("/v1/tasks/x/cancel", "POST"),
        ("/v1/chat/completions", "POST"),
        ("/v1/webhook_endpoints", "GET, POST"),
    ],
)
def test_allow_names_every_method(served: ServedGateway, path: str, methods: str) -> None:
    with served.client() as client:
        answer = client.request("PATCH", path)
        assert (answer.status_code, answer.headers["allow"]) == (405, methods)


@pytest.mark.parametrize(
    "path",
    ["/", "/admin/", "/admin//x", "/docs", "/v1/models", "/v1/models/org/name", "/v1/videos/a/content", "/api/v1/videos",
     "/api/v3/contents/generations/tasks", "/v2/videos/generations", "/sora/v1/characters", "/files/a/b.mp4", "/healthz"],
)  # fmt: skip
def test_right_addresses_stay(path: str) -> None:
    assert repaired_path(path) == path
