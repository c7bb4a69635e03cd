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
from tests.node_packages import install_packages
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
CLIP = "https://filesystem.site/cdn/20251030/javYrU4etHVFDqg8by7mViTWHlMOZy.mp4"
PIANO = "A cat playing piano"
REFUSED_PROMPT = "A cat that is refused"
FAILED = "❌ 视频生成失败: .*No such cats"
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
        return self.name + "".join(f", {old} replaced by {new}" for old, new in self.replaced.items())


SAMPLES = [
    Sample("text_to_image.sh", IMAGE + DONE),
    Sample("text_to_image.py", IMAGE + DONE),
    Sample("image_to_image.sh", REFUSED.format("image")),
    Sample("image_to_image.py", IMAGE + DONE),
    Sample("text_to_video.sh", VIDEO + DONE),
    Sample("image_to_video.sh", REFUSED.format("image")),
    Sample("remix.sh", REFUSED.format("remix_target_id")),
    Sample("storyboard.sh", rf"分镜共 20 秒.*缩短为 3\+2\+5 秒.*{VIDEO}{DONE}"),
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
    Sample("sora_character.mjs", r'"id":"ch_[0-9a-f]{32}"', replaced={CLIP: "$clip", '"1,3"': '"0,1"'}),
    Sample("sora_cameo.mjs", REFUSED.format("hd")),
    Sample("return_format.mjs", r"Progress: 🎬 .*Progress: http://\S+\n.*Stream completed"),
    # What went wrong is told by each program that reads a stream, and by the one that waits.
    Sample("return_format.mjs", rf"Progress: {FAILED}.*Stream completed", replaced={PIANO: REFUSED_PROMPT}),
    Sample("return_format.py", f"Video URL: {FAILED}", replaced={PIANO: REFUSED_PROMPT}),
    Sample(
        "complete.py",
        rf"❌ 图片生成失败: The prompt goes.*{IMAGE}.*完成！.*{FAILED}",
        replaced={
            'if data.startswith("data: "):': 'if data.startswith("data: {"):',
            "一只可爱的小猫咪": "[studio:moderate] 一只可爱的小猫咪",
            "一只小猫在草地上奔跑": REFUSED_PROMPT,
        },
    ),
    Sample("poll_task.py", r"任务状态: failed.*任务失败: .*No such cats", replaced={"task_xxx": "$failed"}),
    Sample("async_mode.py", r"任务失败: .*No such cats", replaced={"一只小猫在草地上奔跑": REFUSED_PROMPT}),
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
            models={"sora-2": "sora-2"},
            kinds=frozenset({"video"}),
            slots=20,
        )
        await components.pool.add(account)
        text = {"models": {"house-chat": "fake-chat"}, "kinds": frozenset({"text"}), "name": "text"}
        await components.pool.add(replace(account, **text))

    with FakeUpstream() as upstream:
        refusal = {"error": {"message": "No such cats here.", "code": "invalid_request"}}
        upstream.fault("create", do="status", status=400, body=refusal, times=None, prompt=REFUSED_PROMPT)
        found.prepare(fill)
        with found:
            yield found


@dataclass(frozen=True)
class Running:
    process: subprocess.Popen[str]
    folder: Path


@pytest.fixture(scope="module")
def packages() -> None:
    """What the samples import."""
    if shutil.which("npm") is not None:
        install_packages(PACKAGES)


@pytest.fixture(scope="module")
def running(
    gateway: GatewayProcess, packages: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Running]]:
    """All of them at the same time, each in a folder of its own; ``$task`` has been completed by then."""
    with gateway.client() as http:
        task = http.post("/v1/videos", json={"prompt": "a cat"}).json()["id"]
        until(lambda: http.get(f"/v1/videos/{task}").json()["status"] == "completed")
        failed = http.post("/v1/videos", json={"prompt": REFUSED_PROMPT}).json()["id"]
        until(lambda: http.get(f"/v1/videos/{failed}").json()["status"] == "failed")
    picture = "data:image/png;base64," + base64.b64encode(make_picture()).decode()
    values = {"$base": gateway.url, "$task": task, "$failed": failed, "$picture": picture}
    clip = make_clip(tmp_path_factory.mktemp("clip") / "video.mp4", size=(64, 36))
    values["$clip"] = "data:video/mp4;base64," + base64.b64encode(clip.read_bytes()).decode()
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
