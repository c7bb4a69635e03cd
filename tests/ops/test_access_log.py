"""A client's request id leads through everything: the log, the task, its timeline, its bill, and the vendor's log."""

import json
from pathlib import Path
from typing import Any

import httpx2
import sqlalchemy as sa

from app.components import Components
from app.db.tables import usage
from tests.serving import KEY, GatewayProcess, until
from tests.upstream import FakeUpstream

CLIENT = "203.0.113.5"
EVENT = "request.answered"


def lines_of(gateway: GatewayProcess) -> list[dict[str, Any]]:
    whole, _, _ = gateway.log.read_text().rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


def answered(gateway: GatewayProcess, request_id: str) -> dict[str, Any]:
    """Its line, once the answer has ended."""
    return until(
        lambda: next(
            (
                line
                for line in lines_of(gateway)
                if line["event"] == EVENT and line["request_id"] == request_id
            ),
            None,
        )
    )


def send(client: httpx2.Client, request_id: str, path: str, **given: Any) -> httpx2.Response:
    answer = client.request(
        given.pop("method", "POST"),
        path,
        headers={"x-request-id": request_id, "x-forwarded-for": CLIENT, **given.pop("headers", {})},
        **given,
    )
    assert answer.headers["x-request-id"] == request_id
    return answer


async def _usage_rows(components: Components) -> list[tuple[str, str | None]]:
    async with components.database.read() as connection:
        rows = await connection.execute(sa.select(usage.c.path, usage.c.request_id).order_by(usage.c.path))
        return [(row.path, row.request_id) for row in rows]


def test_a_request_id_leads_everywhere(tmp_path: Path, database_url: str) -> None:
    gateway = GatewayProcess(tmp_path / "gateway", FILMGATE_DATABASE_URL=database_url, FILMGATE_STUDIO="off")
    with FakeUpstream() as upstream:
        account = gateway.add_upstream(upstream.url)
        with gateway, gateway.client() as client:
            film = send(client, "film-1", "/v1/videos", json={"model": "sora-2", "prompt": "A kite"})
            assert film.status_code == 200
            task = film.json()["id"].removeprefix("video_")
            until(lambda: client.get(f"/v1/videos/{film.json()['id']}").json()["status"] == "completed")
            chat = {"model": "bot", "messages": [{"role": "user", "content": "Hello"}]}
            assert send(client, "chat:1/2", "/v1/chat/completions", json=chat).status_code == 200
            own = client.post("/v1/chat/completions", json=chat).headers["x-request-id"]
            assert upstream.counters().last["chat"].headers["x-request-id"] == own
            bad = client.post("/v1/chat/completions", json=chat, headers={"x-request-id": "no good <id>"})
            assert upstream.counters().last["chat"].headers["x-request-id"] == bad.headers["x-request-id"]
            assert send(client, "bad-1", "/v1/videos", json={"model": "sora-2"}).status_code == 400
            stranger = {"authorization": "Bearer sk-nobody-has-this-key"}
            assert send(client, "bad-2", "/v1/models/sk-secret-in-a-path", method="GET").status_code == 404
            assert (
                send(client, "bad-3", "/v1/chat/completions", json=chat, headers=stranger).status_code == 401
            )
            assert send(client, "well-1", "/healthz", method="GET").status_code == 200
            key = answered(gateway, "film-1")["key"]
            answers = {
                name: answered(gateway, name) for name in ("film-1", "chat:1/2", "bad-1", "bad-2", "bad-3")
            }
            # Sums of a database that counts in a type of its own.
            until(lambda: client.get("/v1/usage").json()["total"]["requests"] == 4)
            assert client.get("/v1/usage?format=csv").status_code == 200
        sent, lines = upstream.counters().last, lines_of(gateway)
        rows = gateway.prepare(_usage_rows)
        timeline = gateway.prepare(lambda components: components.repository.read_timeline(task))
    for line in answers.values():
        assert line["client"] == CLIENT
        assert line["ms"] > 0
        assert line["level"] == "info"
    told = {
        name: {field: line.get(field) for field in ("status", "path", "key", "model", "account", "task")}
        for name, line in answers.items()
    }
    nothing = {"key": key, "model": None, "account": None, "task": None}
    chat_line = {"status": 200, "path": "/v1/chat/completions", "key": key, "model": "bot"}
    assert told == {
        "film-1": nothing | {"status": 200, "path": "/v1/videos", "model": "sora-2", "task": task},
        "chat:1/2": chat_line | {"account": account.id, "task": None},
        "bad-1": nothing | {"status": 400, "path": "/v1/videos"},
        "bad-2": nothing | {"status": 404, "path": "/v1/models/[hidden]"},
        "bad-3": nothing | {"status": 401, "path": "/v1/chat/completions", "key": None},
    }
    made = next(line for line in lines if line["event"] == "task.created")
    assert (made["task"], made["request_id"]) == (task, "film-1")
    assert timeline[0]["detail"]["request_id"] == "film-1"
    assert rows == [
        ("/v1/chat/completions", "chat:1/2"),
        ("/v1/chat/completions", own),
        ("/v1/chat/completions", bad.headers["x-request-id"]),
        ("tasks/video", "film-1"),
    ]
    assert sent["create"].headers["x-request-id"] == sent["poll"].headers["x-request-id"] == "film-1"
    quiet = [line for line in lines if line.get("path") == "/healthz"]
    assert quiet == []
    assert KEY not in gateway.log.read_text()
    with GatewayProcess(gateway.folder, **gateway.environment | {"FILMGATE_ACCESS_LOG": "false"}) as silent:
        before = len([line for line in lines_of(silent) if line["event"] == EVENT])
        with silent.client() as client:
            assert client.get("/v1/models").status_code == 200
    assert len([line for line in lines_of(silent) if line["event"] == EVENT]) == before
