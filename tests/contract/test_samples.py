"""The manuals' printed samples run as they stand: only address and key are replaced.

Those that can't work as printed (a picture that ends in "...", a program that reads ``[DONE]`` as JSON) run
too, and meet what they must; where a second value is replaced, the table says which.
"""

import base64
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from app.components import Components
from app.providers.base import Account
from tests.conftest import leave_out
from tests.e2e.footage import make_picture, read_clip
from tests.media.clips import make_clip
from tests.serving import KEY, GatewayProcess, until
from tests.upstream import FakeUpstream

FOLDER = Path(__file__).parent / "samples"
PACKAGES = Path(__file__).parent / "node"
PROGRAMS = {".sh": ["bash"], ".py": [sys.executable, "-X", "utf8"], ".mjs": ["node"], ".cjs": ["node"]}
KEYS = (
    "han1234",
    "{{YOUR_API_KEY}}",
    "YOUR_API_KEY",
    "<API-Key>",
    "sk-your-api-key-here",
    "sk-Uk",
)
ADDRESSES = {
    "http://localhost:8000": "$base",
    "https://your-api.com": "$base",
    "https://api.apiyi.com": "$base",
    "{{BASE_URL}}": "$base",
    "fetch('/v1": "fetch('$base/v1",
    'fetch("/': 'fetch("$base/',
    '"/v2/': '"$base/v2/',
}
IMAGE = r"!\[Generated Image\]\(http://\S+\)"
VIDEO = r"<video src='http://\S+' controls></video>"
CHARACTER = r"✨ 角色已识别: .*\(@([a-z.0-9]+)\).*角色创建成功，角色名@\1"
DONE = r".*data: \[DONE\]"
REFUSED = r'"param":"{}"'
MADE = r'{"task_id":"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"}'
PICTURE = "https://github.com/dianping/cat/raw/master/cat-home/src/main/webapp/images/logo/cat_logo03.png"


@dataclass(frozen=True)
class Sample:
    """``prints`` is found in what it prints, ``fails`` in its error output if it is to fail."""

    name: str
    prints: str
    fails: str = ""
    replaced: Mapping[str, str] = field(default_factory=dict)
    saves: str = ""
    """A video that it leaves behind."""

    def __str__(self) -> str:
        return self.name + "".join(f", {old} replaced" for old in self.replaced)


SAMPLES = [
    Sample("text_to_image.sh", IMAGE + DONE),
    Sample("text_to_image.py", IMAGE + DONE),
    Sample("image_to_image.sh", REFUSED.format("image")),
    Sample("image_to_image.py", IMAGE + DONE),
    Sample("text_to_video.sh", VIDEO + DONE),
    Sample("image_to_video.sh", REFUSED.format("image")),
    Sample("remix.sh", REFUSED.format("remix_target_id")),
    Sample("storyboard.sh", "The shots take 20 seconds together"),
    Sample("task.sh", "No such task: task_xxx"),
    Sample(
        "poll_task.py",
        r"任务状态: completed, 进度: 100.0%\n任务完成！结果: \['http",
        replaced={"task_xxx": "$task"},
    ),
    Sample("async_mode.py", r"任务已提交，task_id: \S+\n.*任务完成！结果: \['http"),
    Sample("create_character.sh", REFUSED.format("video")),
    Sample("create_character.py", CHARACTER + DONE),
    Sample("character_video.sh", REFUSED.format("video")),
    Sample("character_video.py", CHARACTER + ".*" + VIDEO + DONE),
    Sample("complete.py", IMAGE, fails="JSONDecodeError"),
    Sample(
        "complete.py",
        rf"{IMAGE}.*完成！.*{IMAGE}.*完成！.*{VIDEO}.*完成！",
        replaced={'if data.startswith("data: "):': 'if data.startswith("data: {"):'},
    ),
    Sample("return_format.py", r"Video URL: http://\S+"),
    Sample("videos_submit.sh", r'"status":"queued"', replaced={"/path/to/image.png": "image.png"}),
    Sample("videos_look.sh", r'"status":"completed"', replaced={"video_abc123def456": "$task"}),
    Sample("videos_download.sh", "", replaced={"video_abc123def456": "$task"}, saves="video.mp4"),
    Sample("videos.py", "", replaced={"sleep(30)": "sleep(0.2)"}, saves="video.mp4"),
    Sample("videos.cjs", "", replaced={"resolve, 30000": "resolve, 200"}, saves="video.mp4"),
    Sample("videos.sh", "", replaced={"sleep 30": "sleep 0.2"}, saves="video.mp4"),
    Sample("models.mjs", r'"id":"sora-2","object":"model".*"success":true'),
    Sample("any_chat.sh", "Hello from upstream", replaced={"{{model}}": "house-chat"}),
    Sample("veo_submit.sh", MADE),
    Sample("veo_look.sh", r'"status":"SUCCESS".*"output":"http', replaced={"{task_id}": "$task"}),
    Sample("veo.mjs", MADE),
    Sample("sora_chat.mjs", r"✅ 视频生成成功，\[点击这里\]\(http", replaced={PICTURE: "$picture"}),
    Sample("sora_text.mjs", MADE),
    Sample("sora_image.mjs", REFUSED.format("hd")),
    Sample("sora_storyboard.mjs", MADE),
    Sample("sora_character.mjs", REFUSED.format("from_task")),
    Sample("sora_cameo.mjs", REFUSED.format("hd")),
    Sample("return_format.mjs", r"Progress: 🎬 .*Progress: http://\S+\n.*Stream completed"),
]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """Pictures and styled clips come from the studio, Sora's names from an upstream that is quick."""
    found = GatewayProcess(tmp_path_factory.mktemp("sampled"), FILMGATE_STUDIO="on")

    async def fill(components: Components) -> None:
        account = Account(
            id="",
            provider="openai_compatible",
            name="quick",
            base_url=f"{upstream.url}/v1",
            secret="x",
            models={"sora-2": "sora-2", "sora-1.0": "sora-2"},
            kinds=frozenset({"video"}),
            slots=20,
        )
        await components.pool.add(account)
        text = {"models": {"house-chat": "fake-chat"}, "kinds": frozenset({"text"}), "name": "text"}
        await components.pool.add(replace(account, **text))

    with FakeUpstream() as upstream:
        found.prepare(fill)
        with found:
            yield found


@dataclass(frozen=True)
class Running:
    process: subprocess.Popen[str]
    folder: Path


@pytest.fixture(scope="module")
def packages() -> None:
    """What the samples import, installed from the lock file, once; kept until the lock file changes."""
    lock = (PACKAGES / "package-lock.json").read_text()
    mark = PACKAGES / "node_modules" / ".installed-from"
    if shutil.which("npm") is None or (mark.exists() and mark.read_text() == lock):
        return
    told = ["npm", "ci", "--no-audit", "--no-fund"]
    done = subprocess.run(told, cwd=PACKAGES, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    mark.write_text(lock)


@pytest.fixture(scope="module")
def running(
    gateway: GatewayProcess, packages: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Running]]:
    """All of them at the same time, each in a folder of its own; ``$task`` has been completed by then."""
    with gateway.client() as http:
        task = http.post("/v1/videos", json={"prompt": "a cat"}).json()["id"]
        until(lambda: http.get(f"/v1/videos/{task}").json()["status"] == "completed")
    picture = "data:image/png;base64," + base64.b64encode(make_picture()).decode()
    values = {"$base": gateway.url, "$task": task, "$picture": picture}
    clip = make_clip(tmp_path_factory.mktemp("clip") / "video.mp4", size=(64, 36))
    begun = {
        str(sample): begin(sample, tmp_path_factory.mktemp("sample"), values=values, clip=clip)
        for sample in SAMPLES
        if shutil.which(PROGRAMS[Path(sample.name).suffix][0])
    }
    yield begun
    for each in begun.values():
        each.process.kill()
        each.process.communicate()


def begin(sample: Sample, folder: Path, *, values: Mapping[str, str], clip: Path) -> Running:
    source = (FOLDER / sample.name).read_text()
    for old, new in (*ADDRESSES.items(), *((key, KEY) for key in KEYS), *sample.replaced.items()):
        assert old in source or old not in sample.replaced
        source = source.replace(old, new)
    for name, value in values.items():
        source = source.replace(name, value)
    (folder / sample.name).write_text(source)
    for name in ("image.png", "input.png"):
        (folder / name).write_bytes(make_picture())
    (folder / "video.mp4").write_bytes(clip.read_bytes())
    if sample.saves:
        (folder / sample.saves).unlink()
    process = subprocess.Popen(
        [*PROGRAMS[Path(sample.name).suffix], sample.name],
        cwd=folder,
        env=os.environ | {"NO_PROXY": "127.0.0.1", "NODE_PATH": str(PACKAGES / "node_modules")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    return Running(process, folder)


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_a_sample(sample: Sample, running: dict[str, Running]) -> None:
    begun = running.get(str(sample))
    if begun is None:
        leave_out(f"{PROGRAMS[Path(sample.name).suffix][0]} is not installed")
    assert begun
    printed, complained = begun.process.communicate(timeout=120)
    assert re.search(sample.prints, printed, re.DOTALL), (printed, complained)
    assert bool(begun.process.returncode) == bool(sample.fails), complained
    assert sample.fails in complained
    if sample.saves:
        assert read_clip((begun.folder / sample.saves).read_bytes()).codec == "h264"
