"""The official Node SDKs, unchanged, and our own client: one script per theme, which prints what it found."""

import base64
import json
import re
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Setting
from tests.e2e.cutting import CuttingProxy
from tests.e2e.footage import make_picture, read_clip, read_picture
from tests.serving import ROOT
from tests.upstream.media import tiny_png
from tests.upstream.vendors.openai_words import SAID, SOUND, WORDS

pytestmark = pytest.mark.node
Run = Callable[..., dict[str, Any]]
OWN = ROOT / "clients" / "node"
SDKS = pytest.mark.parametrize("sdk", ["openai", (OWN / "index.js").as_uri()], ids=["openai", "own"])


@pytest.fixture(scope="module")
def run(node: str, packages: Path, setting: Setting, tmp_path_factory: pytest.TempPathFactory) -> Run:
    picture = tmp_path_factory.mktemp("node") / "tram.png"
    picture.write_bytes(make_picture())

    def ran(script: str, sdk: str = "openai", **environment: str) -> dict[str, Any]:
        done = subprocess.run(
            [node, script],
            cwd=packages,
            env={
                "GATEWAY": setting.base,
                "GATEWAY_KEY": setting.keys.node,
                "PICTURE": str(picture),
                "SDK": sdk,
            }
            | environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return ran


@SDKS
def test_videos(run: Run, sdk: str) -> None:
    found = run("videos.mjs", sdk)
    assert (found["plain"]["status"], found["plain"]["error"]) == ("queued", None)
    assert (found["done"]["status"], found["done"]["size"]) == ("completed", "320x180")
    assert [listed for listed in found["listed"] if listed in found["made"]] == found["made"]
    assert read_clip(base64.b64decode(found["video"])).seconds == 1.0
    assert read_picture(base64.b64decode(found["thumbnail"]))[0] == "webp"
    assert [end["status"] for end in found["ends"]] == ["completed"] * 5
    assert [end["remixed_from_video_id"] for end in found["ends"]] == [None] * 2 + [found["plain"]["id"]] * 3
    assert found["ends"][-1]["seconds"] == "3"
    assert found["again"] == found["character"]
    assert found["deleted"] == {"id": found["plain"]["id"], "object": "video.deleted", "deleted": True}
    assert found["after"] == 404
    assert ("receipt" in found) == (sdk != "openai")
    if "receipt" in found:
        assert f"video_{found['receipt']['receipt']['task']['id']}" == found["plain"]["id"]


def test_chat(run: Run) -> None:
    found = run("chat.mjs")
    assert "队列" in found["contents"][1]
    assert "视频生成成功！[点击这里](http" in "".join(found["contents"])
    assert found["reasons"].count("stop") == 1
    assert found["usage"]["total_tokens"] == 0
    assert found["whole"].startswith("```html\n<video src='http")
    assert found["text"] == found["words"] == "Hello from upstream"
    assert {"sora-2", "house-chat"} <= set(found["models"])


@SDKS
def test_errors(run: Run, sdk: str) -> None:
    found = run("errors.mjs", sdk)
    named = {
        name: (error["name"], error["code"], error["param"])
        for name, error in found.items()
        if name != "failed" and not (name == "stream" and sdk != "openai")  # ours has videos only
    }
    expected = {
        "key": ("AuthenticationError", "invalid_api_key", None),
        "model": ("BadRequestError", "model_not_found", "model"),
        "seconds": ("BadRequestError", "invalid_request", "seconds"),
        "id": ("NotFoundError", "not_found", None),
        "content": ("NotFoundError", "not_found", None),
        "stream": ("APIError", "content_policy_violation", None),
    }
    assert named == {name: error for name, error in expected.items() if name in named}
    assert len(named) == (6 if sdk == "openai" else 5)
    assert all(found[name]["requestID"].startswith("req_") for name in named if name != "stream")
    assert found["failed"]["status"] == "failed"
    assert found["failed"]["error"]["message"]


def test_what_is_relayed(run: Run) -> None:
    found = run("relayed.mjs")
    assert base64.b64decode(found["relayed"]) == base64.b64decode(found["edited"]) == tiny_png()
    assert read_picture(base64.b64decode(found["made"])) == ("png", 360, 360)
    assert base64.b64decode(found["speech"]) == SOUND
    assert found["vectors"] == [0.25, -0.5, 0.75, 1.0]
    assert found["flagged"] is True
    assert found["written"] == found["response"] == SAID
    assert found["pieces"] == list(WORDS)


def test_anthropics(run: Run) -> None:
    found = run("anthropic.mjs")
    for way, said, used in (("passed", "A red kite.", (9, 4)), ("translated", SAID, (7, 3))):
        told = found[way]
        assert told["whole"] == told["after"] == "".join(told["pieces"]) == said
        assert len(told["pieces"]) == 3
        assert (told["usage"]["input_tokens"], told["usage"]["output_tokens"]) == used
        assert told["stop"] == ["end_turn", "end_turn", "tool_use"]
        assert told["call"] == ["weather", {"city": "Oslo"}]
    assert found["tokens"]["input_tokens"] == 9
    assert (found["model"]["name"], found["key"]["name"]) == ("BadRequestError", "AuthenticationError")
    assert "Invalid model: claude-99" in found["model"]["message"]
    assert found["model"]["requestID"].startswith("req_")


def test_the_lock_file_names_no_host() -> None:
    assert "resolved" not in (ROOT / "tests/e2e/node/package-lock.json").read_text()


def test_ours_repeats_without_buying_twice(run: Run, cutting: CuttingProxy) -> None:
    address = f"http://127.0.0.1:{cutting.port}/v1"
    prompt = f"[studio:fast] {uuid.uuid4().hex}"
    found = run("once.mjs", (OWN / "index.js").as_uri(), GATEWAY=address, PROMPT=prompt, RETRIES="3")
    assert (found["listed"], found["status"]) == ([found["made"]], "completed")


def test_ours_is_packed_whole() -> None:
    packed = subprocess.run(
        ["npm", "pack", "--dry-run", "--json", "--offline"],
        cwd=OWN,
        capture_output=True,
        text=True,
        timeout=60,
    )
    (package,) = json.loads(packed.stdout)
    names = {file["path"] for file in package["files"]}
    assert names == {"README.md", "index.d.ts", "index.js", "package.json"}
    exported = set(
        re.findall(r"^export (?:async )?(?:class|function) (\w+)", (OWN / "index.js").read_text(), re.M)
    )
    typed = set(re.findall(r"^export (?:class|function) (\w+)", (OWN / "index.d.ts").read_text(), re.M))
    assert exported == typed
