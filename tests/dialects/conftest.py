"""Two gateways: one for the contract tests of all dialects, where the studio makes the videos and pictures, and one that
shows what a task was made with."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from app.providers.base import Account
from tests.serving import KEY, GatewayProcess, until
from tests.upstream.vendors.comfyui import ComfyServer

ADMIN_TOKEN = "admin-token-of-the-dialects-0123456789abcdef"
TASK_ID = re.compile(r"(?<![0-9a-z])[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}")
HEARING = "hears-all"
"""A model of an upstream that takes sounds and reference videos; ``studio`` takes all other inputs and options."""
HEARING_WORKFLOW = {
    "graph": {name: {"class_type": "Any"} for name in ("text", "picture", "clip", "clip2", "sound")},
    "inputs": {
        "prompt": {"node": "text", "field": "text"},
        "seconds": {"node": "text", "field": "seconds"},
        "reference_image": {"node": "picture", "field": "image"},
        "reference_video": [{"node": "clip", "field": "file"}, {"node": "clip2", "field": "file"}],
        "audio": {"node": "sound", "field": "file"},
    },
}


@dataclass(frozen=True)
class ServedGateway:
    """A running gateway; ``other_key`` belongs to another owner."""

    url: str
    other_key: str
    key: str = KEY

    def client(self, key: str | None = None) -> httpx2.Client:
        headers = {"authorization": f"Bearer {key or self.key}"}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=60)


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedGateway]:
    gateway = GatewayProcess(tmp_path_factory.mktemp("dialects"), FILMGATE_STUDIO="on")
    other_key = gateway.prepare(lambda components: components.keys.create("other"))
    with gateway:
        yield ServedGateway(gateway.url, other_key)


@dataclass(frozen=True)
class FilmGateway:
    """A running gateway; ``own`` is a finished film of the key (32 hex digits)."""

    http: httpx2.Client
    admin: httpx2.Client
    own: str

    def request_of(self, task_id: str) -> dict[str, Any]:
        """What the task was made with, as the panel shows it; fields that were left open are missing."""
        answer = self.admin.get(f"/admin/api/tasks/{task_id}")
        assert answer.status_code == 200, answer.text
        request: dict[str, Any] = answer.json()["request"]
        return request

    def read(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """What the task is made with that ``body`` creates."""
        answer = self.http.post(path, json=body)
        assert answer.status_code in (200, 202), answer.text
        return self.request_of(new_task_id(answer.json()))

    def refused(self, path: str, body: dict[str, Any]) -> tuple[str, str]:
        """The field that the refusal names, and its message."""
        answer = self.http.post(path, json=body)
        assert answer.status_code == 400, answer.text
        error = answer.json()["error"]
        return error.get("param") or error["metadata"]["param"], error["message"]


def new_task_id(answer: dict[str, Any]) -> str:
    """The 32 hex digits of the task in any dialect's answer to a create."""
    found = TASK_ID.search(json.dumps(answer))
    assert found, answer
    return found[0].replace("-", "")


def roles_in(request: dict[str, Any]) -> list[str]:
    return [item["role"] for item in request.get("media", ())]


@pytest.fixture(scope="package")
def films(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FilmGateway]:
    gateway = GatewayProcess(
        tmp_path_factory.mktemp("films"), FILMGATE_STUDIO="on", FILMGATE_ADMIN_TOKEN=ADMIN_TOKEN
    )
    with ExitStack() as stack:
        account = Account(
            id="",
            provider="comfyui",
            name="hears",
            base_url=stack.enter_context(ComfyServer()).url,
            secret="",
            models={HEARING: "hears"},
            options={"workflows": {"hears": HEARING_WORKFLOW}},
            kinds=frozenset({"video"}),
            slots=20,
        )
        gateway.prepare(lambda components: components.pool.add(account))
        stack.enter_context(gateway)
        http = stack.enter_context(gateway.client())
        admin = stack.enter_context(gateway.client(key=ADMIN_TOKEN))
        body = {"model": "studio", "prompt": "[studio:fast] own", "seconds": 1, "size": "64x64"}
        own = http.post("/v1/videos", json=body).json()["id"]
        until(lambda: http.get(f"/v1/videos/{own}").json()["status"] == "completed")
        yield FilmGateway(http, admin, own.removeprefix("video_"))
