"""One gateway with a panel for these tests: an owner, a viewer, the admin token, the studio, a fake upstream.

Every answer that a `Browser` gets is searched for secrets that no answer may hold.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.serving import KEY, GatewayProcess, until
from tests.upstream import FakeUpstream
from tests.webhooks.receiver import Receiver

PASSWORD = "correct horse battery"
TOKEN = "admin-token-canary-0123456789abcdef"
ROOT_KEY = "a-root-key-canary-0123456789abcdef"
UPSTREAM_SECRET = "upstream-secret-canary-4711-abcd"
PROXY_PASSWORD = "proxy-password-canary-815"
OPTION_SECRET = "option-secret-canary-1234"
SEALED = (PASSWORD, TOKEN, ROOT_KEY, UPSTREAM_SECRET, PROXY_PASSWORD, KEY)
CANARIES = (*SEALED, OPTION_SECRET)


def refuse_canaries(answer: httpx2.Response) -> None:
    """Only a confirmed export may hold a secret of an account."""
    if answer.headers.get("content-type", "").startswith("text/event-stream"):
        return
    answer.read()
    exports = answer.request.method == "POST" and answer.request.url.path.endswith("/accounts/export")
    found = [canary for canary in CANARIES if canary in answer.text and not exports]
    assert not found, (answer.request.method, str(answer.request.url), found)


@dataclass
class Browser:
    """A client that signs in as the panel does: with a cookie, and its CSRF value on every write."""

    http: httpx2.Client
    csrf: str = field(default="", repr=False)

    def sign_in(self, name: str, password: str = PASSWORD) -> httpx2.Response:
        answer = self.http.post("/session", json={"name": name, "password": password})
        if answer.status_code == 200:
            self.csrf = answer.json()["csrf"]
        return answer

    def ask(self, method: str, path: str, **options: Any) -> httpx2.Response:
        headers = {"x-csrf-token": self.csrf} | options.pop("headers", {})
        return self.http.request(method, path, headers=headers, **options)

    def get(self, path: str, **options: Any) -> Any:
        return self.must("GET", path, **options)

    def post(self, path: str, *, status: int = 200, **options: Any) -> Any:
        return self.must("POST", path, status=status, **options)

    def must(self, method: str, path: str, *, status: int = 200, **options: Any) -> Any:
        answer = self.ask(method, path, **options)
        assert answer.status_code == status, (method, path, answer.status_code, answer.text)
        return answer.json() if status != 204 else None

    def refused(self, method: str, path: str, **options: Any) -> tuple[int, str | None]:
        """The status and the `param` of the error."""
        answer = self.ask(method, path, **options)
        assert answer.status_code >= 400, answer.text
        return answer.status_code, answer.json()["error"].get("param")

    def ended(self, task_id: str) -> Any:
        """The task after it has ended."""
        return until(lambda: found if (found := self.get(f"/tasks/{task_id}"))["finished_at"] else None)

    def newest_change(self) -> Any:
        return next(iter(self.get("/audit?limit=1")["data"]), {"id": 0})


def browser(gateway: GatewayProcess, **options: Any) -> Browser:
    hooks = {"response": [refuse_canaries]}
    return Browser(
        httpx2.Client(base_url=f"{gateway.url}/admin/api", timeout=60, event_hooks=hooks, **options)
    )


@pytest.fixture(scope="module")
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream() as found:
        yield found


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as found:
        yield found


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    folder: Path = tmp_path_factory.mktemp("panel")
    with GatewayProcess(
        folder,
        FILMGATE_STUDIO="on",
        FILMGATE_ADMIN_PASSWORD=PASSWORD,
        FILMGATE_ADMIN_TOKEN=TOKEN,
        FILMGATE_SECRET_KEY=ROOT_KEY,
    ) as found:
        yield found


@pytest.fixture(scope="module")
def owner(gateway: GatewayProcess) -> Iterator[Browser]:
    found = browser(gateway)
    with found.http:
        assert found.sign_in("admin").status_code == 200
        yield found


@pytest.fixture(scope="module")
def viewer(gateway: GatewayProcess, owner: Browser) -> Iterator[Browser]:
    owner.post("/admins", status=201, json={"name": "looker", "role": "viewer", "password": PASSWORD})
    found = browser(gateway)
    with found.http:
        assert found.sign_in("looker").status_code == 200
        yield found


@pytest.fixture
def nobody(gateway: GatewayProcess) -> Iterator[Browser]:
    found = browser(gateway)
    with found.http:
        yield found


@pytest.fixture(scope="module")
def farm(owner: Browser, upstream: FakeUpstream) -> Any:
    """An account at the fake upstream that makes `film`."""
    return owner.post("/accounts", status=201, json=account("farm", upstream))


def account(name: str, upstream: FakeUpstream, **given: Any) -> dict[str, Any]:
    return {
        "provider": "openai_compatible",
        "name": name,
        "base_url": f"{upstream.url}/v1",
        "secret": UPSTREAM_SECRET,
        "models": {"film": "film-up"},
        "kinds": ["video"],
        "slots": 50,
    } | given


@pytest.fixture(scope="module")
def key(owner: Browser) -> Any:
    """A client key with its secret."""
    return owner.post("/keys", status=201, json={"name": "shop", "note": "=cmd()"})


@pytest.fixture(scope="module")
def film(owner: Browser, farm: Any, key: Any, gateway: GatewayProcess) -> Any:
    """The details of a finished task of that key."""
    made = make(gateway, key["secret"], prompt="=HYPERLINK(a boat)")
    found = owner.ended(made)
    assert found["state"] == "completed", json.dumps(found)
    return found


def make(gateway: GatewayProcess, secret: str, **given: Any) -> str:
    """Create a video as a client does; returns the id that the panel uses."""
    fields = {"model": "film", "prompt": "a boat", "seconds": "4"} | given
    with gateway.client(key=secret) as client:
        answer = client.post("/v1/videos", json=fields)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"]).removeprefix("video_")
