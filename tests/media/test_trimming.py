"""The end of a clip is cut off without decoding what stays."""

from collections.abc import AsyncIterator
from pathlib import Path

import av
import pytest

from app.errors import ResultUndecodable, ResultUnreadable
from app.media.inspection import MediaInspector
from app.media.trimming import trim_clip
from tests.media.clips import make_clip

pytestmark = pytest.mark.slow


@pytest.fixture
async def inspector() -> AsyncIterator[MediaInspector]:
    made = MediaInspector(workers=1)
    yield made
    await made.close()


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as clip:
        return [bytes(packet) for packet in clip.demux(clip.streams.video[0]) if packet.size]


@pytest.mark.parametrize(
    ("name", "options", "codec"),
    [
        ("a.mp4", {"audio_seconds": 4.0}, "h264"),
        ("a.mov", {}, "h264"),
        ("a.webm", {"codec": "libvpx"}, "vp8"),
        ("a.mkv", {"gop": 24, "audio_seconds": 4.0}, "h264"),
        ("fragments.mp4", {"movflags": "frag_keyframe+empty_moov", "gop": 12}, "h264"),
    ],
)
def test_what_stays_is_what_was_made(
    tmp_path: Path, name: str, options: dict[str, object], codec: str
) -> None:
    source = make_clip(tmp_path / name, seconds=4.0, **options)  # type: ignore[arg-type]
    found = trim_clip(source, tmp_path / "trimmed", seconds=2.5)
    assert (found.codec, found.has_audio) == (codec, "audio_seconds" in options)
    assert found.seconds == pytest.approx(2.5, abs=0.2)
    kept, made = packets(tmp_path / "trimmed"), packets(source)
    assert kept == made[: len(kept)]
    assert len(kept) < len(made)


async def test_a_clip_that_can_not_be_trimmed_says_why(tmp_path: Path, inspector: MediaInspector) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(make_clip(tmp_path / "whole.mp4").read_bytes()[:2000])
    with pytest.raises(ResultUnreadable):
        await inspector.trim_clip(broken, tmp_path / "trimmed", seconds=1.0)
    stream = tmp_path / "stream"
    stream.write_bytes(b"".join(b"G" + bytes([n]) * 187 for n in range(50)))
    with pytest.raises(ResultUndecodable):
        await inspector.trim_clip(stream, tmp_path / "trimmed", seconds=1.0)
    # The child goes on with the next order.
    done = await inspector.trim_clip(tmp_path / "whole.mp4", tmp_path / "trimmed", seconds=1.0)
    assert done.seconds < 1.3
