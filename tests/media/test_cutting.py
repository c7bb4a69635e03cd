"""A moment is cut out of a clip, whatever the clip's form, and looked at."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.errors import InvalidRequest, ResultUnreadable
from app.media.analysis import probe_video
from app.media.cutting import TooShort, cut_clip
from app.media.inspection import MediaInspector
from tests.media.clips import make_clip

pytestmark = pytest.mark.slow


@pytest.fixture
async def inspector() -> AsyncIterator[MediaInspector]:
    made = MediaInspector(workers=1)
    yield made
    await made.close()


@pytest.mark.parametrize(
    ("name", "options", "size", "sound"),
    [
        ("a.mp4", {"audio_seconds": 4.0}, (320, 180), True),
        ("a.webm", {"codec": "libvpx"}, (320, 180), False),
        ("fragments.mp4", {"movflags": "frag_keyframe+empty_moov", "gop": 12}, (320, 180), False),
        ("odd.mkv", {"size": (2400, 100)}, (1920, 80), False),
    ],
)
def test_a_moment(
    tmp_path: Path, name: str, options: dict[str, object], size: tuple[int, int], sound: bool
) -> None:
    source = make_clip(tmp_path / name, seconds=4.0, **options)  # type: ignore[arg-type]
    found = cut_clip(source, tmp_path / "moment.mp4", start=1.5, end=3.0)
    assert (found.codec, found.width, found.height) == ("h264", *size)
    assert found.has_audio == sound
    assert found.seconds == pytest.approx(1.5, abs=0.1)
    assert found == probe_video(tmp_path / "moment.mp4")


def test_what_is_too_short_or_broken(tmp_path: Path, clip: Path) -> None:
    with pytest.raises(TooShort, match="2 seconds"):
        cut_clip(clip, tmp_path / "moment.mp4", start=1.0, end=3.0)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(clip.read_bytes()[:2000])
    with pytest.raises(ResultUnreadable):
        cut_clip(broken, tmp_path / "moment.mp4", start=0.0, end=1.0)


async def test_in_another_process(inspector: MediaInspector, tmp_path: Path, clip: Path) -> None:
    found = await inspector.cut_clip(clip, tmp_path / "moment.mp4", start=0.5, end=1.5)
    assert found == probe_video(tmp_path / "moment.mp4")
    with pytest.raises(InvalidRequest, match="only 2 seconds"):
        await inspector.cut_clip(clip, tmp_path / "again.mp4", start=1.0, end=3.0)
    with pytest.raises(ResultUnreadable):
        await inspector.cut_clip(tmp_path / "missing", tmp_path / "again.mp4", start=0.0, end=1.0)
