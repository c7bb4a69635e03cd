"""``FILMGATE_CORS_ORIGINS``: pages of other origins may call, and can read every answer; without it, none may."""

import asyncio
import json
import socket
from collections.abc import Iterator

import httpx2
import pytest
import websockets
from websockets.exceptions import InvalidStatus

from app.components import Components
from app.ops.cross_origin import OriginRules
from app.providers.base import Account
from app.settings import Settings
from tests.security.conftest import BODY_LIMIT
from tests.serving import KEY, GatewayProcess
from tests.upstream import FakeUpstream

APP, OTHER = "https://app.example", "https://evil.example"
SENT_BY_SDKS = (
    "authorization,content-type,x-stainless-lang,x-stainless-retry-count,idempotency-key,anthropic-version"
)
ALLOWED, EXPOSED = "access-control-allow-origin", "access-control-expose-headers"
PATHS = [
    "/v1/videos",
    "/v1/chat/completions",
    "/v1/messages",
    "/v1/models",
    "/v2/videos/generations",
    "/nowhere",
]


class StrictGateway(GatewayProcess):
    module = "tests.security.strict_gateway"
    hurried = ""
    """A key that may call once a minute."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StrictGateway]:
    found = StrictGateway(
        tmp_path_factory.mktemp("browsers"),
        FILMGATE_STUDIO="on",
        FILMGATE_CORS_ORIGINS=f"{APP}, http://localhost:3000",
        FILMGATE_MAX_BODY_BYTES=str(BODY_LIMIT),
    )
    with FakeUpstream() as upstream:

        async def fill(components: Components) -> None:
            account = Account(
                id="", provider="openai_compatible", name="words", base_url=f"{upstream.url}/v1", secret="x",
                models={"house-chat": "fake"}, kinds=frozenset({"text"}), slots=4,
            )  # fmt: skip
            await components.pool.add(account)
            found.hurried = (await components.keys.create_key({"name": "hurried", "rpm": 1}))[1]

        found.prepare(fill)
        with found:
            yield found


@pytest.fixture(scope="module")
def page(gateway: GatewayProcess) -> Iterator[httpx2.Client]:
    """A page of an origin that is allowed."""
    with gateway.client() as found:
        found.headers["origin"] = APP
        yield found


def preflight(client: httpx2.Client, path: str, *, origin: str = APP, **more: str) -> httpx2.Response:
    """As browsers ask: without the key."""
    asked = {"access-control-request-method": "POST", "access-control-request-headers": SENT_BY_SDKS}
    return client.options(path, headers={"origin": origin, "authorization": ""} | asked | more)


@pytest.mark.parametrize("path", PATHS)
def test_a_preflight_is_answered(path: str, page: httpx2.Client) -> None:
    answer = preflight(page, path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers[ALLOWED] == APP
    assert answer.headers["access-control-allow-headers"] == SENT_BY_SDKS
    assert {"GET", "POST", "DELETE"} <= set(answer.headers["access-control-allow-methods"].split(", "))
    assert answer.headers["access-control-max-age"] == "7200"
    assert "Origin" in answer.headers["vary"]
    assert "access-control-allow-credentials" not in answer.headers
    assert "access-control-allow-private-network" not in answer.headers


def test_a_page_of_the_internet_may_reach_a_private_address_if_it_is_allowed(page: httpx2.Client) -> None:
    asked = {"access-control-request-private-network": "true"}
    assert preflight(page, "/v1/videos", **asked).headers["access-control-allow-private-network"] == "true"
    assert (
        "access-control-allow-private-network"
        not in preflight(page, "/v1/videos", origin=OTHER, **asked).headers
    )


def test_an_origin_that_is_not_named_is_told_so(page: httpx2.Client) -> None:
    answer = preflight(page, "/v1/videos", origin=OTHER)
    assert answer.status_code == 403
    assert ALLOWED not in answer.headers
    assert "Origin" in answer.headers["vary"]
    assert f"Pages of {OTHER} may not call" in answer.json()["error"]["message"]
    assert "FILMGATE_CORS_ORIGINS" in answer.json()["error"]["message"]
    read = page.get("/v1/models", headers={"origin": OTHER})
    assert (read.status_code, ALLOWED in read.headers, read.headers["vary"]) == (200, False, "Origin")


@pytest.mark.parametrize(
    "path", ["/admin/api/tasks", "/admin/", "/ADMIN/api/tasks", "//admin/api/tasks", "/metrics"]
)
def test_the_panel_is_for_no_other_origin(path: str, page: httpx2.Client) -> None:
    address = str(page.base_url).rstrip("/") + path
    assert preflight(page, address).status_code != 204
    assert not [name for name in page.get(address).headers if name.startswith("access-control-")]


def errors(page: httpx2.Client, hurried: str) -> Iterator[tuple[int, httpx2.Response]]:
    """Answers of every layer, from the router to the outermost."""
    create = {"model": "sora-2", "prompt": "x"}
    yield 401, page.get("/v1/models", headers={"authorization": "Bearer wrong"})
    yield 400, page.post("/v1/videos", json=create | {"seconds": "soon"})
    yield 404, page.get("/v1/videos/video_0")
    yield 404, page.get("/nowhere")
    yield 405, page.put("/v1/videos")
    yield 413, page.post("/v1/videos", content=b"{" + b" " * BODY_LIMIT + b"}")
    yield 413, page.post("/v1/chat/completions", content=b"{" + b" " * BODY_LIMIT + b"}")
    yield 400, page.post("/v1/chat/completions", content=b"{")
    page.post("/v1/videos", headers={"authorization": f"Bearer {hurried}"})
    yield 429, page.post("/v1/videos", headers={"authorization": f"Bearer {hurried}"})
    yield 416, page.get(finished_film(page), headers={"range": "bytes=99999999-"})


def finished_film(page: httpx2.Client) -> str:
    asked = {"model": "sora_video2", "messages": [{"role": "user", "content": "[studio:fast] x"}]}
    small = {"seconds": 1, "size": "64x64", "stream": True}
    assert page.post("/v1/chat/completions", json=asked | small).status_code == 200
    return f"/v1/videos/{page.get('/v1/videos?limit=1').json()['data'][0]['id']}/content"


def test_every_error_can_be_read(page: httpx2.Client, gateway: StrictGateway) -> None:
    answers = errors(page, gateway.hurried)
    seen = [(status, answer.status_code, answer.headers.get(ALLOWED)) for status, answer in answers]
    assert seen == [(status, status, APP) for status, _, _ in seen]


def test_so_can_what_the_connection_itself_refuses(gateway: GatewayProcess) -> None:
    """A body that never comes is answered below the application, when the head has told the origin."""
    head = f"POST /v1/videos HTTP/1.1\r\nHost: x\r\nOrigin: {APP}\r\nAuthorization: Bearer {KEY}\r\nContent-Length: 9\r\n\r\n"
    port = int(gateway.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(head.encode())
        answer = connection.recv(65536).decode().lower()
    assert answer.startswith("http/1.1 408")
    assert f"\r\n{ALLOWED}: {APP}\r\n" in answer


def test_streams_relayed_answers_and_downloads(page: httpx2.Client) -> None:
    asked = {"model": "house-chat", "messages": [{"role": "user", "content": "x"}]}
    film = finished_film(page)
    answers = [
        page.post("/v1/chat/completions", json=asked),
        page.post("/v1/chat/completions", json=asked | {"stream": True}),
        page.post(
            "/v1/chat/completions", json=asked | {"model": "sora_video2", "stream": True, "seconds": 1}
        ),
        page.get(film),
        page.get(film, headers={"range": "bytes=0-9"}),
        page.head(film),
    ]
    for answer in answers:
        assert answer.is_success
        assert answer.headers[ALLOWED] == APP
        exposed = answer.headers[EXPOSED].split(", ")
        assert {
            "x-request-id",
            "retry-after",
            "content-disposition",
            "content-range",
            "openai-poll-after-ms",
        } <= set(exposed)
        assert "Origin" in answer.headers["vary"]
    assert answers[4].headers["content-range"].startswith("bytes 0-9/")


def test_a_program_is_asked_nothing(gateway: GatewayProcess) -> None:
    with gateway.client() as program:
        answer = program.get("/v1/models")
    assert (answer.status_code, ALLOWED in answer.headers, answer.headers["vary"]) == (200, False, "Origin")


@pytest.mark.parametrize(
    ("origin", "status"),
    [(APP, 400), ("http://localhost:3000", 400), ("own", 400), (None, 400), (OTHER, 403), ("null", 403)],
)
def test_a_websocket_of_a_page(origin: str | None, status: int, gateway: GatewayProcess) -> None:
    """400: the session lacks its model, so the origin was let through."""
    shown = gateway.url if origin == "own" else origin
    address = gateway.url.replace("http", "ws", 1) + "/v1/realtime"
    protocols = [websockets.Subprotocol(f"openai-insecure-api-key.{KEY}"), websockets.Subprotocol("realtime")]

    async def refused() -> tuple[int, bytes]:
        with pytest.raises(InvalidStatus) as raised:
            async with websockets.connect(
                address, origin=shown and websockets.Origin(shown), subprotocols=protocols
            ):
                raise AssertionError
        return raised.value.response.status_code, raised.value.response.body or b"{}"

    seen, body = asyncio.run(refused())
    assert seen == status
    if status == 403:
        assert "FILMGATE_CORS_ORIGINS" in json.loads(body)["error"]["message"]


def test_without_the_setting_nothing_is_there(guarded_http: httpx2.Client) -> None:
    assert preflight(guarded_http, "/v1/videos").status_code == 405
    answer = guarded_http.get("/v1/models", headers={"origin": APP})
    assert not [name for name in answer.headers if name.startswith("access-control-") or name == "vary"]


@pytest.fixture
def guarded_http(http: httpx2.Client) -> httpx2.Client:
    return http


def test_every_origin() -> None:
    rules = OriginRules(["*"])
    assert dict(rules.answer_headers(b"https://x.example"))[ALLOWED.encode()] == b"*"
    assert rules.allows(b"null")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("https://app.example", ["https://app.example"]),
        (" HTTPS://App.Example:443 ,http://localhost:3000", ["https://app.example", "http://localhost:3000"]),
        ("http://app.example:80", ["http://app.example"]),
        ("http://[::1]:8080", ["http://[::1]:8080"]),
        ("https://bücher.example", ["https://xn--bcher-kva.example"]),
        ("capacitor://localhost", ["capacitor://localhost"]),
        ("*", ["*"]),
        ("", []),
    ],
)
def test_origins_are_written_as_browsers_send_them(written: str, read: list[str]) -> None:
    assert Settings(cors_origins=written).origins == read


@pytest.mark.parametrize(
    "written",
    [
        "app.example", "https://app.example/", "https://app.example/path", "https://*.example", "null", "https://",
        "https://user@app.example", "https://app.example?x", "https://app.example:port", "*,https://app.example",
        "https://app.example https://b.example", "http://[::1", "//app.example",
    ],
)  # fmt: skip
def test_what_is_no_origin_is_refused_by_name(written: str) -> None:
    with pytest.raises(ValueError, match=r"write (it like https://app.example|them without it)") as refused:
        Settings(cors_origins=written)
    assert "cors_origins" in str(refused.value)
