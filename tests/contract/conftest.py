"""The gateway that the contract is held against, one without a usable account, and things made before."""

import base64
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.catalog.price import ModelPrice
from app.components import Components
from app.providers.base import Account
from tests.e2e.footage import make_picture
from tests.media.clips import make_clip
from tests.serving import KEY, GatewayProcess, until
from tests.upstream import FakeUpstream

UNKNOWN_KEY = "sk-fg-nobody-0123456789abcdefghijklm"
MANUAL = {"videos_dialect": "manual"}
TERMS: dict[str, dict[str, Any]] = {
    "manual": {"options": MANUAL},
    "disabled": {"options": MANUAL},
    "narrow": {"options": MANUAL, "models": ["veo*"]},
    "hurried": {"options": MANUAL, "rpm": 1},
    "full": {"options": MANUAL, "tasks_limit": 0},
    "spent": {"options": MANUAL, "budget_total": "0.01"},
}
"""Keys of which each meets one limit; a call of ``veo2-pro`` costs more than ``spent`` has."""


@dataclass(frozen=True)
class Place:
    """A gateway, the forms in which a key is shown to it, and what rows may speak of by name."""

    url: str
    headers: Mapping[str, Mapping[str, str]]
    things: Mapping[str, str]


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@pytest.fixture(scope="package")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    gateway = GatewayProcess(
        tmp_path_factory.mktemp("usual"), FILMGATE_STUDIO="on", FILMGATE_STUDIO_WORKERS="4"
    )

    async def fill(components: Components) -> dict[str, str]:
        text = Account(
            id="",
            provider="openai_compatible",
            name="text",
            base_url=f"{upstream.url}/v1",
            secret="x",
            models={"house-chat": "fake-chat"},
            kinds=frozenset({"text"}),
        )
        await components.pool.add(text)
        await components.money.prices.set_price("veo2-pro", ModelPrice(per_call=Decimal("0.15")))
        raw = {
            name: (await components.keys.create_key({"name": name} | terms))[1]
            for name, terms in TERMS.items()
        }
        await components.keys.revoke((await components.keys.authenticate(raw["disabled"])).id)
        return raw

    with ExitStack() as stack:
        upstream = stack.enter_context(FakeUpstream())
        raw = gateway.prepare(fill)
        stack.enter_context(gateway)
        headers = {
            **{name: {"authorization": key} for name, key in raw.items()},  # the async manual sends it bare
            "usual": bearer(KEY),
            "none": {},
            "unknown": bearer(UNKNOWN_KEY),
            "printed": bearer("han1234"),
        }
        clip = make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", size=(64, 36)).read_bytes()
        files = {name: f"{upstream.url}/files/{name}" for name in ("image.png", "video.mp4")}
        addresses = {"picture_url": files["image.png"], "clip_url": files["video.mp4"]}
        yield Place(gateway.url, headers, addresses | made_before(gateway.url, headers, clip=clip))


@pytest.fixture(scope="package")
def deserted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    gateway = GatewayProcess(tmp_path_factory.mktemp("deserted"), FILMGATE_STUDIO="off")

    async def fill(components: Components) -> None:
        account = Account(
            id="",
            provider="openai_compatible",
            name="resting",
            base_url="http://127.0.0.1:9/v1",
            secret="x",
            models={"*": "*"},
        )
        added = await components.pool.add(account)
        await components.pool.disable(added.id, reason="for this test")

    gateway.prepare(fill)
    with gateway:
        yield Place(gateway.url, {"usual": bearer(KEY)}, {})


@pytest.fixture(scope="package")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One task that its upstream has queued, one that waits for its place, one on its way there."""
    gateway = GatewayProcess(
        tmp_path_factory.mktemp("crowded"),
        FILMGATE_STUDIO="off",
        # The submission that hangs must hang until the last test of it, however slow the machine is.
        FILMGATE_SUBMIT_TIMEOUT_SECONDS="3600",
    )
    with FakeUpstream() as upstream:
        upstream.script(statuses=["queued"])
        upstream.fault("create", do="hang", times=None, prompt="slowly")
        account = Account(
            id="", provider="openai_compatible", name="one", base_url=upstream.url, secret="x", slots=1,
            models={"sora-2": "sora-2"},
        )  # fmt: skip

        async def fill(components: Components) -> None:
            await components.pool.add(account)
            await components.pool.add(replace(account, name="other", models={"veo3": "veo3"}))

        gateway.prepare(fill)
        with gateway, gateway.client() as http:

            def submit(model: str, prompt: str, *, state: str) -> str:
                path = "/v2/videos/generations"
                task = str(http.post(path, json={"model": model, "prompt": prompt}).json()["task_id"])
                until(lambda: http.get(f"{path}/{task}").json()["status"] == state)
                return task

            things = {
                "queued": submit("sora-2", "a cat", state="QUEUED"),
                "waiting": submit("sora-2", "a dog", state="NOT_START"),
                "leaving": submit("veo3", "slowly", state="SUBMITTED"),
            }
            yield Place(gateway.url, {"usual": bearer(KEY)}, things)
            gateway.kill()  # a drain would wait for the submission that hangs


def made_before(url: str, headers: Mapping[str, Mapping[str, str]], *, clip: bytes) -> dict[str, str]:
    """Ids of tasks in each state, of either key; a picture and a clip as data URIs."""
    picture = make_picture(64, 36)
    things = {
        "picture": "data:image/png;base64," + base64.b64encode(picture).decode(),
        "bare_picture": base64.b64encode(picture).decode(),
        "clip": "data:video/mp4;base64," + base64.b64encode(clip).decode(),
    }
    prompts = {"video": "[studio:fast] a cat", "failed": "[studio:moderate] a storm"}
    with httpx2.Client(base_url=url, timeout=60) as http:
        for key in ("usual", "manual"):
            for name, prompt in prompts.items():
                body = {"prompt": prompt, "seconds": 3, "size": "64x64"}
                made = http.post("/v1/videos", json=body, headers=headers[key]).json()
                things[name if key == "usual" else f"{key}_{name}"] = made["id"].removeprefix("video_")
            body = {"prompt": "[studio:slow=600] a long wait", "seconds": 1, "size": "64x64"}
            made = http.post("/v1/videos", json=body, headers=headers[key]).json()
            things["running" if key == "usual" else f"{key}_running"] = made["id"][6:]
        hidden = {"model": "sora-2", "prompt": prompts["video"], "size": "64x64", "private": True}
        made = http.post("/v2/videos/generations", json=hidden, headers=headers["usual"]).json()
        things["private"] = made["task_id"].replace("-", "")
        made = http.post("/v1/videos", json=body | {"model": "sora-2"}, headers=headers["usual"]).json()
        things["cancelled"] = made["id"][6:]
        http.post(f"/v1/tasks/{made['id']}/cancel", headers=headers["usual"])
        until(lambda: rested(http, headers, things))
        made = http.post(
            "/sora/v1/characters",
            json={"from_task": things["video"], "timestamps": "1,3"},
            headers=headers["usual"],
        )
        things["username"] = made.json()["username"]
        things["bare_clip"] = base64.b64encode(clip).decode()
    return things


def rested(http: httpx2.Client, headers: Mapping[str, Any], things: Mapping[str, str]) -> bool:
    """Whether each task is where its name says."""
    expected = {
        "video": "completed",
        "failed": "failed",
        "manual_video": "completed",
        "manual_failed": "failed",
        "running": "in_progress",
        "manual_running": "in_progress",
        "private": "completed",
        "cancelled": "failed",
    }
    return all(
        http.get(
            f"/v1/videos/{things[name]}", headers=headers["manual" if "manual" in name else "usual"]
        ).json()["status"]
        == word
        for name, word in expected.items()
    )


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("samples")
