"""Who may come in at `/mcp`, and what is refused before a tool is called."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.serving import KEY, GatewayProcess

PAGE = "https://app.example"
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
ACCEPT = {"accept": "application/json, text/event-stream", "mcp-protocol-version": "2025-11-25"}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    settings = {
        "FILMGATE_STUDIO": "off",
        "FILMGATE_CORS_ORIGINS": PAGE,
        "FILMGATE_MAX_BODY_BYTES": "100000",
        "FILMGATE_PUBLIC_URL": "https://films.example",
    }
    with GatewayProcess(tmp_path_factory.mktemp("door"), **settings) as gateway:
        yield gateway


@pytest.fixture
def http(gateway: GatewayProcess) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=gateway.url, headers=ACCEPT, timeout=60) as client:
        yield client


BEARER = {"authorization": f"Bearer {KEY}"}


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Bearer sk-nobody"}, {"authorization": "Basic eDp5"}]
)
def test_no_key_no_tools(http: httpx2.Client, headers: dict[str, str]) -> None:
    for method in ("POST", "GET", "DELETE"):
        answer = http.request(method, "/mcp", headers=headers, json=LIST)
        assert (answer.status_code, answer.headers["content-type"]) == (401, "application/json")
        assert answer.json()["error"]["code"] == "invalid_api_key"


@pytest.mark.parametrize("path", ["/mcp", "/mcp/"])
def test_a_key_opens_it(http: httpx2.Client, path: str) -> None:
    answer = http.post(path, headers=BEARER, json=LIST)
    assert answer.status_code == 200 and "make_video" in answer.text
    assert answer.headers["mcp-session-id"]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_there_is_no_stream_and_no_session_to_end(http: httpx2.Client, method: str) -> None:
    assert http.request(method, "/mcp", headers=BEARER).status_code == 405


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (PAGE, 200),
        ("https://films.example", 200),
        ("http://localhost:6274", 200),
        ("https://evil.example", 403),
        ("null", 403),
    ],
)
def test_pages_that_the_operator_did_not_name_are_refused(
    http: httpx2.Client, origin: str, status: int
) -> None:
    answer = http.post("/mcp", headers=BEARER | {"origin": origin, "host": origin.split("//")[-1]}, json=LIST)
    assert answer.status_code == status, answer.text
    if status == 403:
        assert "FILMGATE_CORS_ORIGINS" in answer.json()["error"]["message"]


def test_a_body_has_the_gateway_s_bound(http: httpx2.Client) -> None:
    answer = http.post("/mcp", headers=BEARER, json=LIST | {"padding": "x" * 100_001})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "payload_too_large")


def test_without_the_extra_there_is_no_such_path(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    # An interpreter in which the package can't be found, as where the extra is not installed.
    (hidden / "sitecustomize.py").write_text(
        "import importlib.util\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'mcp' else find(name, *rest)\n"
    )
    with (
        GatewayProcess(
            tmp_path / "bare", FILMGATE_STUDIO="off", LD_PRELOAD="", PYTHONPATH=str(hidden)
        ) as gateway,
        gateway.client() as client,
    ):
        assert client.post("/mcp", headers=ACCEPT, json=LIST).status_code == 404
        assert client.get("/v1/models").status_code == 200
