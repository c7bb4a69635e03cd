"""The user's two published sample programs run as they stand: only address and key are replaced."""

import re
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tests.e2e.conftest import Setting
from tests.e2e.footage import make_picture, read_clip
from tests.serving import KEY

FOLDER = Path(__file__).parent / "manual"
ADDRESS = "https://api.apiyi.com/v1/"
KEY_LINE = 'API_KEY = "sk-"'


def run(program: str, setting: Setting, folder: Path, *, prompt: str = "") -> str:
    """What it prints; the two values are replaced where the program says that they should be. ``prompt`` stands before the
    program's own."""
    source = (FOLDER / program).read_text()
    assert source.count(ADDRESS) == source.count(KEY_LINE) == 1
    source = source.replace(ADDRESS, f"{setting.base}/").replace(KEY_LINE, f'API_KEY = "{KEY}"')
    source = source.replace('prompt = "', f'prompt = "{prompt}').replace(
        'prompt1 = "', f'prompt1 = "{prompt}'
    )
    (folder / program).write_text(source)
    done = subprocess.run(
        [sys.executable, "-X", "utf8", program], cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("program", "saved"),
    [("text_to_video.py", "cat_playing.mp4"), ("image_to_video.py", "cat_playground.mp4")],
)
def test_a_sample_program_runs(
    setting: Setting, keyless: httpx2.Client, tmp_path: Path, program: str, saved: str
) -> None:
    (tmp_path / "cat.png").write_bytes(make_picture(704, 1280))
    printed = run(program, setting, tmp_path)
    assert re.search(r"队列", printed)
    steps = [int(step) for step in re.findall(r"^进度: (\d+)%$", printed, re.MULTILINE)]
    assert len(steps) >= 3
    assert steps == sorted(set(steps))
    link = re.search(r"视频链接: (\S+)", printed)
    assert link, printed
    assert keyless.head(link[1]).status_code == 200
    assert "❌" not in printed
    clip = read_clip((tmp_path / saved).read_bytes())
    assert (clip.codec, clip.size, clip.seconds) == ("h264", "704x1280", 10)


@pytest.mark.parametrize("program", ["text_to_video.py", "image_to_video.py"])
def test_a_sample_program_prints_why_there_is_no_video(
    setting: Setting, tmp_path: Path, program: str
) -> None:
    (tmp_path / "cat.png").write_bytes(make_picture(704, 1280))
    printed = run(program, setting, tmp_path, prompt="[studio:moderate] ")
    assert re.search(
        "^⚠.*❌ 视频生成失败: The prompt goes against the content policy.$", printed, re.MULTILINE
    )
    assert "❌ 未能获取视频链接" in printed
