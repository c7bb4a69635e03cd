"""A stream that has nothing to tell still shows that it lives, and begins before anything has happened."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from pydantic import SecretStr

from app.dialects.openai_images import routes
from app.dialects.prompt import chat_answer
from app.main import create_app
from app.settings import Settings
from tests.serving import KEY, GatewayProcess

pytestmark = pytest.mark.slow

LONG = "[studio:slow=600] a heron"
SMALL = {"size": "64x64", "seconds": 1}
CHAT: dict[str, Any] = {"model": "sora_video2", "messages": [{"role": "user", "content": LONG}], **SMALL}


@pytest.fixture
async def http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx2.AsyncClient]:
    """The whole application, with keep-alives fifty times as often as they are."""
    for module in (chat_answer, routes):
        monkeypatch.setattr(module, "KEEP_ALIVE_SECONDS", 0.3)
    settings = Settings(data_dir=tmp_path, api_key=SecretStr(KEY), studio="on", studio_test_directives=True)
    server = uvicorn.Server(uvicorn.Config(create_app(settings), log_config=None))
    listener = socket.create_server(("127.0.0.1", 0))  # who calls before the start waits here
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    port = listener.getsockname()[1]
    headers = {"authorization": f"Bearer {KEY}"}
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60) as client:
        yield client
    server.should_exit = server.force_exit = True
    await serving


async def test_comments_while_one_waits(http: httpx2.AsyncClient) -> None:
    asked = {
        "/v1/chat/completions": CHAT,
        "/v1/videos/generate": {"prompt": LONG, **SMALL},
        "/v1/images/generations": {"prompt": LONG},
    }
    told = await asyncio.gather(*(comments(http, path, body=body) for path, body in asked.items()))
    assert told == [[": keep-alive"] * 3] * 3


async def test_the_first_chunk_waits_for_nothing(http: httpx2.AsyncClient) -> None:
    """It is there while the task has not even begun."""
    async with http.stream("POST", "/v1/chat/completions", json=CHAT | {"stream": True}) as answer:
        task = answer.headers["x-task-id"]
        first = json.loads((await anext(answer.aiter_lines())).removeprefix("data: "))
        state = (await http.get(f"/v1/videos/{task}")).json()["status"]
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert state in ("queued", "in_progress")


async def comments(http: httpx2.AsyncClient, path: str, *, body: dict[str, Any]) -> list[str]:
    """The first three of a stream."""
    found: list[str] = []
    async with http.stream("POST", path, json=body | {"stream": True}) as answer:
        async for line in answer.aiter_lines():
            if line.startswith(":"):
                found.append(line)
            if len(found) == 3:
                break
    return found


def test_a_stream_that_ends_with_the_server_says_that_the_task_goes_on(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path, FILMGATE_STUDIO="on") as gateway, gateway.client() as client:
        body = CHAT | {"stream": True}
        with client.stream(
            "POST", "/v1/chat/completions", json=body, headers={"accept-language": "en"}
        ) as answer:
            lines = (line for line in answer.iter_lines() if line)
            next(line for line in lines if "视频生成中" in line)
            gateway.stop()
            told, error, done = lines
    text = json.loads(told[6:])["choices"][0]["delta"]["content"]
    assert text.startswith("❌ Error: interrupted: The server is restarting; the task goes on.")
    assert json.loads(error[6:])["error"]["code"] == "unavailable"
    assert done == "data: [DONE]"
