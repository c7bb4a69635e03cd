"""Canaries: no secret appears in an answer, a log line, the metrics or the description of the API."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from app.components import Components
from app.providers.base import Account
from tests.serving import KEY, GatewayProcess, until
from tests.upstream import FakeUpstream

ROOT_KEY = "canary-root-5f1d7c3b9a2e4860"
ACCOUNT = "canary-account-7d2f91c64e0b"
CLIENT = KEY
FILMS = {"film-400": 400, "film-401": 401, "film-403": 403, "film-500": 500}
TEXTS = {"text-200": 200, "text-401": 401, "text-500": 500}
ECHO = {
    "error": {"message": f"Incorrect API key provided: {ACCOUNT}", "type": "x", "code": "invalid_api_key"}
}


async def _fill(components: Components, url: str) -> str:
    # One account per mishap: some are put aside after it.
    for name in (*FILMS, *TEXTS, "far-film"):
        account = Account(
            id="",
            provider="openai_compatible",
            name=name,
            base_url="http://127.0.0.1:9/v1" if name == "far-film" else f"{url}/v1",
            secret=ACCOUNT,
            models={name: "upstream-model"},
            kinds=frozenset({"text" if name in TEXTS else "video"}),
        )
        await components.pool.add(account)
    return await components.keys.create("second")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[GatewayProcess, FakeUpstream, str]]:
    gateway = GatewayProcess(
        tmp_path_factory.mktemp("secrets"),
        FILMGATE_STUDIO="on",
        FILMGATE_SECRET_KEY=ROOT_KEY,
        FILMGATE_LOG_LEVEL="debug",
        FILMGATE_TASK_DEADLINE_SECONDS="4",
    )
    with FakeUpstream() as upstream:
        second = gateway.prepare(lambda components: _fill(components, upstream.url))
        with gateway:
            yield gateway, upstream, second


def drive(gateway: GatewayProcess, upstream: FakeUpstream, second: str) -> str:
    """Everything that works and much that fails; all that was answered, heads and bodies."""
    heard: list[str] = []

    def keep(answer: httpx2.Response) -> None:
        answer.read()
        heard.append(f"{answer.status_code} {dict(answer.headers)} {answer.text}")

    messages = [{"role": "user", "content": "hello"}]
    with httpx2.Client(
        base_url=gateway.url,
        headers={"authorization": f"Bearer {CLIENT}"},
        event_hooks={"response": [keep]},
        timeout=60,
    ) as http:

        def ended(body: dict[str, object]) -> None:
            task = http.post("/v1/videos", json=body).json()["id"]
            until(lambda: http.get(f"/v1/videos/{task}").json()["status"] in ("completed", "failed"))
            http.get(f"/v1/videos/{task}/content")
            http.get(f"/v1/tasks/{task}")

        small = {"prompt": "[studio:fast] x", "seconds": 1, "size": "64x64"}
        for model, status in FILMS.items():
            upstream.fault("create", do="status", status=status, body=ECHO)
            ended(small | {"model": model})
        upstream.fault("poll", do="status", status=401, body=ECHO)
        for model in ("film-400", "studio", "far-film"):
            ended(small | {"model": model})
        for model, status in TEXTS.items():
            if status != 200:
                upstream.fault("chat", do="status", status=status, body=ECHO)
            http.post("/v1/chat/completions", json={"model": model, "messages": messages})
        for key in (second, "sk-wrong", ROOT_KEY):
            http.get("/v1/models", headers={"authorization": f"Bearer {key}"})
            http.get(f"/v1/models?key={key}", headers={"x-api-key": key})
        http.post("/v1/videos", content=b"{", headers={"content-type": "application/json"})
        http.post("/v1/videos", json=small | {"input_reference": f"http://user:{ACCOUNT}@127.0.0.1:9/a.png"})
        for path in ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/v1/models", "/v1/tasks"):
            http.get(path)
    return "\n".join(heard)


def test_no_secret_gets_out(scene: tuple[GatewayProcess, FakeUpstream, str]) -> None:
    gateway, upstream, second = scene
    answered = drive(gateway, upstream, second)
    logged = gateway.log.read_text()
    assert "task.created" in logged
    canaries = {"account": ACCOUNT, "client": CLIENT, "second": second, "root": ROOT_KEY}
    for name, secret in canaries.items():
        assert secret not in answered, name
        assert secret not in logged, name


def test_no_secret_lies_in_the_store(scene: tuple[GatewayProcess, FakeUpstream, str]) -> None:
    gateway, _, second = scene
    files = [path for path in gateway.folder.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in files)
    for secret in (ACCOUNT, CLIENT, second, ROOT_KEY):
        assert not [path for path in files if secret.encode() in path.read_bytes()]


def test_the_root_key_is_its_owners_alone(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path / "data", FILMGATE_STUDIO="on"):
        assert (tmp_path / "data" / "root.key").stat().st_mode & 0o777 == 0o600
