"""Real clips are measured and pictured; broken ones are called broken."""

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from app.errors import ResultUnreadable
from app.media.analysis import analyze_image, analyze_video, probe_clip
from app.media.inspection import MediaInfo
from tests.media.clips import make_clip, make_picture

pytestmark = pytest.mark.slow


def opened(content: bytes | None) -> Image.Image:
    assert content is not None
    return Image.open(BytesIO(content))


def test_a_clip(clip: Path) -> None:
    found = analyze_video(clip)
    size = clip.stat().st_size
    assert found.probe == MediaInfo(
        width=320, height=180, seconds=2.0, fps=24.0, bytes=size, codec="h264", has_audio=True
    )
    with opened(found.thumbnail) as thumbnail, opened(found.spritesheet) as sheet:
        assert (thumbnail.format, thumbnail.size) == ("WEBP", (320, 180))
        assert (sheet.format, sheet.size) == ("JPEG", (800, 360))
        tiles = {
            sheet.crop((x, y, x + 160, y + 90)).tobytes()
            for x in range(0, 800, 160)
            for y in range(0, 360, 90)
        }
        assert len(tiles) == 20
    assert probe_clip(clip) == found.probe


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.webm", {"codec": "libvpx"}),
        ("a.mov", {}),
        ("a.mkv", {"audio_seconds": 4.0}),
        ("front.mp4", {"movflags": "+faststart"}),
        ("fragments.mp4", {"movflags": "frag_keyframe+empty_moov", "gop": 12}),
        ("one-frame.mp4", {"seconds": 0.01}),
        ("tall.mp4", {"size": (90, 1600)}),
        ("large.mp4", {"size": (1920, 1080), "seconds": 0.2}),
    ],
)
def test_other_forms(tmp_path: Path, name: str, options: dict[str, object]) -> None:
    found = analyze_video(make_clip(tmp_path / name, **options))  # type: ignore[arg-type]
    with opened(found.thumbnail) as thumbnail, opened(found.spritesheet) as sheet:
        assert max(thumbnail.size) <= 720
        assert sheet.width == 800
        assert sheet.height <= 4 * 640
        assert sheet.crop((640, sheet.height * 3 // 4, 800, sheet.height)).getextrema() != ((0, 0),) * 3


def test_a_long_clip_is_read_by_key_frames(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "long.mp4", seconds=65, fps=4, size=(64, 36), gop=8)
    found = analyze_video(path)
    assert found.probe.seconds == 65
    assert found.spritesheet


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("movflags", ["", "+faststart", "frag_keyframe+empty_moov"])
def test_part_of_a_clip(tmp_path: Path, movflags: str, share: float) -> None:
    path = make_clip(tmp_path / "clip.mp4", movflags=movflags, gop=12, audio_seconds=2.0)
    content = path.read_bytes()
    (tmp_path / "part.mp4").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ResultUnreadable):
        analyze_video(tmp_path / "part.mp4")


def test_half_a_webm(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.webm", codec="libvpx")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ResultUnreadable):
        analyze_video(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<!doctype html><title>Not found</title>",
        b'{"error": "expired"}',
        b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"\0\0\0\x20ftypisom" + b"\0" * 500,
        b"\0\0\0\x10ftypisom\0\0\0\0" + b"\xff" * 500,
        b"\x1a\x45\xdf\xa3" + b"webm" * 100,
        make_picture("JPEG"),
    ],
)
def test_no_clip_at_all(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(ResultUnreadable) as caught:
        analyze_video(path)
    assert caught.value.next_step == "retry_later"
    with pytest.raises(ResultUnreadable):
        probe_clip(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ResultUnreadable):
        analyze_video(tmp_path / "missing")
    with pytest.raises(ResultUnreadable):
        analyze_image(tmp_path / "missing")


@pytest.mark.parametrize(("form", "mode"), [("JPEG", "RGB"), ("PNG", "RGBA"), ("WEBP", "RGB"), ("GIF", "P")])
def test_pictures(tmp_path: Path, form: str, mode: str) -> None:
    path = tmp_path / "picture"
    content = make_picture(form, (1000, 500), mode=mode)
    path.write_bytes(content)
    found = analyze_image(path)
    assert found.probe == MediaInfo(1000, 500, 0.0, 0.0, len(content), form.lower(), False)
    assert found.spritesheet is None
    with opened(found.thumbnail) as thumbnail:
        assert (thumbnail.format, thumbnail.size) == ("WEBP", (720, 360))


@pytest.mark.parametrize("content", [b"", b"<html>", make_picture("PNG")[:500], make_picture("JPEG")[:-200]])
def test_broken_pictures(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "picture"
    path.write_bytes(content)
    with pytest.raises(ResultUnreadable):
        analyze_image(path)
