"""Real clips are measured and pictured; broken ones are called broken."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from app.errors import ResultUndecodable, ResultUnreadable
from app.media.analysis import (
    draw_image_previews,
    draw_video_previews,
    measure_clip,
    probe_image,
    probe_video,
)
from app.media.inspection import SPRITESHEET, THUMBNAIL, MediaInfo, result_content_type
from tests.media.clips import make_clip, make_picture

pytestmark = pytest.mark.slow


@contextmanager
def drawn(clip: Path) -> Iterator[tuple[Image.Image, Image.Image]]:
    """Its thumbnail and its sprite sheet."""
    draw_video_previews(clip, clip.parent)
    with Image.open(clip.parent / THUMBNAIL) as thumbnail, Image.open(clip.parent / SPRITESHEET) as sheet:
        yield thumbnail, sheet


def test_a_clip(clip: Path) -> None:
    size = clip.stat().st_size
    assert probe_video(clip) == MediaInfo(
        width=320, height=180, seconds=2.0, fps=24.0, bytes=size, codec="h264", has_audio=True
    )
    assert measure_clip(clip) == probe_video(clip)
    with drawn(clip) as (thumbnail, sheet):
        assert (thumbnail.format, thumbnail.size) == ("WEBP", (320, 180))
        assert (sheet.format, sheet.size) == ("JPEG", (800, 360))
        tiles = {
            sheet.crop((x, y, x + 160, y + 90)).tobytes()
            for x in range(0, 800, 160)
            for y in range(0, 360, 90)
        }
        assert len(tiles) == 20


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
    clip = make_clip(tmp_path / name, **options)  # type: ignore[arg-type]
    assert probe_video(clip).width == options.get("size", (320, 180))[0]  # type: ignore[index]
    with drawn(clip) as (thumbnail, sheet):
        assert max(thumbnail.size) <= 720
        assert sheet.width == 800
        assert sheet.height <= 4 * 640
        assert sheet.crop((640, sheet.height * 3 // 4, 800, sheet.height)).getextrema() != ((0, 0),) * 3


def test_a_long_clip_is_read_by_key_frames(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "long.mp4", seconds=65, fps=4, size=(64, 36), gop=8)
    assert probe_video(path).seconds == 65
    with drawn(path) as (_, sheet):
        assert sheet.width == 800


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("movflags", ["", "+faststart", "frag_keyframe+empty_moov"])
def test_part_of_a_clip(tmp_path: Path, movflags: str, share: float) -> None:
    path = make_clip(tmp_path / "clip.mp4", movflags=movflags, gop=12, audio_seconds=2.0)
    content = path.read_bytes()
    (tmp_path / "part.mp4").write_bytes(content[: int(len(content) * share)])
    for read in (probe_video, lambda part: draw_video_previews(part, tmp_path)):
        with pytest.raises(ResultUnreadable):
            read(tmp_path / "part.mp4")
    assert {entry.name for entry in tmp_path.iterdir()} == {"clip.mp4", "part.mp4"}


def test_half_a_webm(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.webm", codec="libvpx")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ResultUnreadable):
        probe_video(path)


def test_a_whole_file_that_shows_no_picture(tmp_path: Path) -> None:
    """Its boxes are in order, but what should be pictures is noise."""
    content = make_clip(tmp_path / "clip.mp4").read_bytes()
    begin = content.index(b"mdat") + 4
    size = int.from_bytes(content[begin - 8 : begin - 4], "big") - 8
    (tmp_path / "noise.mp4").write_bytes(content[:begin] + b"\xff" * size + content[begin + size :])
    with pytest.raises(ResultUnreadable):
        probe_video(tmp_path / "noise.mp4")


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
        probe_video(path)
    assert caught.value.next_step == "retry_later"


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ResultUnreadable):
        probe_video(tmp_path / "missing")
    with pytest.raises(ResultUnreadable):
        probe_image(tmp_path / "missing")


@pytest.mark.parametrize(("form", "mode"), [("JPEG", "RGB"), ("PNG", "RGBA"), ("WEBP", "RGB"), ("GIF", "P")])
def test_pictures(tmp_path: Path, form: str, mode: str) -> None:
    path = tmp_path / "picture"
    content = make_picture(form, (1000, 500), mode=mode)
    path.write_bytes(content)
    assert probe_image(path) == MediaInfo(1000, 500, 0.0, 0.0, len(content), form.lower(), False)
    draw_image_previews(path, tmp_path)
    assert not (tmp_path / SPRITESHEET).exists()
    with Image.open(tmp_path / THUMBNAIL) as thumbnail:
        assert (thumbnail.format, thumbnail.size) == ("WEBP", (720, 360))


@pytest.mark.parametrize("content", [b"", b"<html>", make_picture("PNG")[:500], make_picture("JPEG")[:-200]])
def test_broken_pictures(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "picture"
    path.write_bytes(content)
    for read in (probe_image, lambda picture: draw_image_previews(picture, tmp_path)):
        with pytest.raises(ResultUnreadable):
            read(path)


@pytest.mark.parametrize(
    ("content", "kind", "expected"),
    [
        (b"G" + b"\xff" * 187 + b"G" + b"\xff" * 400, "video", "video/mp2t"),
        (b"RIFF\0\0\0\0AVI LIST" + b"\0" * 100, "video", "video/x-msvideo"),
        (b"FLV\x01\x05" + b"\0" * 100, "video", "video/x-flv"),
        (b"OggS\0\x02" + b"\0" * 100, "video", "video/ogg"),
        (bytes(range(256)), "video", "application/octet-stream"),
        (b"\0\0\0\x20ftypavif" + b"\0" * 100, "image", "image/avif"),
        (b"\0\0\0\x20ftypheic" + b"\0" * 100, "image", "image/heic"),
        (b"\xff\x0a" + bytes(range(200)), "image", "image/jxl"),
    ],
)  # fmt: skip
def test_what_nothing_here_decodes_is_told_apart(
    tmp_path: Path, content: bytes, kind: str, expected: str
) -> None:
    path = tmp_path / "result"
    path.write_bytes(content)
    with pytest.raises(ResultUndecodable):
        (probe_video if kind == "video" else probe_image)(path)
    assert result_content_type(content, kind=kind, stated="text/html") == expected


@pytest.mark.parametrize("kind", ["video", "image", "audio"])
@pytest.mark.parametrize(
    "content",
    [b"", b"<!doctype html>", b'{"error": "expired"}', b"\xef\xbb\xbf<xml/>", "未找到".encode()[:-1]],
)
def test_a_text_is_no_media(content: bytes, kind: str) -> None:
    with pytest.raises(ResultUnreadable) as caught:
        result_content_type(content, kind=kind, stated=f"{kind}/x-new")
    assert not isinstance(caught.value, ResultUndecodable)


def test_quicktime_without_its_first_box(tmp_path: Path) -> None:
    content = make_clip(tmp_path / "clip.mov").read_bytes()
    size = int.from_bytes(content[:4], "big")
    assert content[4:8] == b"ftyp"
    old = tmp_path / "old.mov"
    # Offsets inside count from the beginning, so a box of the same size takes its place.
    old.write_bytes(size.to_bytes(4, "big") + b"wide" + content[8:])
    with drawn(old) as (thumbnail, _):
        assert thumbnail.size == (320, 180)


def test_a_codec_without_a_decoder(tmp_path: Path) -> None:
    content = make_clip(tmp_path / "clip.mp4").read_bytes()
    clip = tmp_path / "new.mp4"
    clip.write_bytes(content.replace(b"avc1", b"vvc9"))
    with pytest.raises(ResultUndecodable):
        probe_video(clip)
