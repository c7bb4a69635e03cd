"""A real ComfyUI on the CPU makes films through a real gateway: no model, no weights.

Runs where ``FILMGATE_TEST_COMFYUI`` names the folder of a ComfyUI (and ``FILMGATE_TEST_COMFYUI_PYTHON`` its Python).
docs/comfyui.md says how one is set up.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import BadRequestError, OpenAI

from app.components import Components
from app.providers.base import Account
from tests.e2e.footage import read_clip
from tests.e2e.waiting import ended
from tests.serving import KEY, GatewayProcess
from tests.upstream import closed_port
from tests.upstream.media import tiny_png

COMFYUI = os.environ.get("FILMGATE_TEST_COMFYUI", "")
PYTHON = os.environ.get("FILMGATE_TEST_COMFYUI_PYTHON", sys.executable)
PAGE = Path(__file__).parent.parent.parent / "docs" / "comfyui.md"
STARTS_WITHIN = 300.0
"""Seconds; it imports PyTorch."""


@pytest.fixture(scope="module")
def comfyui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a ComfyUI of our own, with folders of its own."""
    port, folder = closed_port(), tmp_path_factory.mktemp("comfyui")
    command = [
        PYTHON,
        "main.py",
        "--cpu",
        "--listen",
        "127.0.0.1",
        "--port",
        str(port),
        "--disable-all-custom-nodes",
    ]
    for name in ("input", "output", "temp", "user"):
        (folder / name).mkdir()
        command += [f"--{name}-directory", str(folder / name)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=COMFYUI, stdout=log, stderr=log)
    try:
        wait_until_it_answers(f"http://127.0.0.1:{port}", process, folder / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + STARTS_WITHIN
    while process.poll() is None and time.monotonic() < end:
        try:
            if httpx2.get(f"{url}/queue").status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.5)
    pytest.fail(f"ComfyUI did not start:\n{log.read_text()[-2000:]}")


def documented_workflows() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(PAGE.read_text(encoding="utf-8").split("```json\n")[1].split("```")[0])
    return found


@pytest.fixture(scope="module")
def client(comfyui: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAI]:
    options: dict[str, Any] = {"workflows": documented_workflows(), "poll_cap_seconds": 0.5}

    async def add_account(components: Components) -> None:
        account = Account(id="", provider="comfyui", name="own", base_url=comfyui, options=options)
        await components.pool.add(account)

    gateway = GatewayProcess(tmp_path_factory.mktemp("gateway"))
    gateway.prepare(add_account)
    with gateway, OpenAI(base_url=f"{gateway.url}/v1", api_key=KEY, max_retries=0) as found:
        yield found


def test_a_film_of_one_colour(client: OpenAI) -> None:
    made = client.videos.create(model="colour", prompt="A red kite", size="320x192", seconds=2)  # type: ignore[call-overload]
    assert ended(client, made.id).status == "completed"
    clip = read_clip(client.videos.download_content(made.id).read())
    assert (clip.codec, clip.size, clip.seconds) == ("h264", "320x192", 2.0)


def test_a_film_of_a_picture(client: OpenAI) -> None:
    picture = ("kite.png", tiny_png(), "image/png")
    made = client.videos.create(model="still", prompt="A red kite", input_reference=picture)
    assert ended(client, made.id).status == "completed"
    assert read_clip(client.videos.download_content(made.id).read()).codec == "h264"


def test_a_picture_that_is_missing(client: OpenAI) -> None:
    with pytest.raises(BadRequestError, match="needs input_reference") as refused:
        client.videos.create(model="still", prompt="A red kite")
    assert refused.value.param == "input_reference"


def test_a_size_that_it_refuses(client: OpenAI) -> None:
    """Its own validation speaks, after the gateway has taken the request."""
    made = client.videos.create(model="colour", prompt="A red kite", size="20000x192", seconds=1)  # type: ignore[call-overload]
    video = ended(client, made.id)
    assert video.status == "failed" and video.error is not None
    assert "bigger than max" in video.error.message
