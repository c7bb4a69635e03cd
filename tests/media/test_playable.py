"""Films are written for every player: again without decoding where that is enough, encoded where it is not."""

from pathlib import Path

import av
import pytest

from app.errors import ResultUnreadable
from app.media.analysis import probe_video
from app.media.inspection import COMPATIBLE, PLAYLIST, SEGMENTS
from app.media.playable import write_compatible, write_stream
from app.media.storyboard import playlist_text, storyboard_text
from tests.media.clips import make_clip

pytestmark = pytest.mark.slow
# Name, how it is made, whether it plays everywhere as it is, and whether its pictures are copied bit for bit.
FORMS = [
    ("front.mp4", {"movflags": "+faststart"}, True, True),
    ("behind.mp4", {}, False, True),
    ("quiet.mkv", {"audio_seconds": 0.0}, False, True),
    ("hevc.mp4", {"codec": "libx265", "movflags": "+faststart"}, False, False),
    ("vp9.webm", {"codec": "libvpx-vp9"}, False, False),
]


def first_packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


@pytest.mark.parametrize(("name", "options", "as_it_is", "copied"), FORMS, ids=[form[0] for form in FORMS])
def test_every_form_becomes_one_that_plays_everywhere(
    tmp_path: Path, name: str, options: dict[str, object], as_it_is: bool, copied: bool
) -> None:
    source = make_clip(tmp_path / name, **options)  # type: ignore[arg-type]
    before = probe_video(source)
    assert before.compatible is as_it_is
    write_compatible(source, tmp_path)
    made = probe_video(tmp_path / COMPATIBLE)
    assert made.compatible
    assert (made.codec, made.has_audio) == ("h264", before.has_audio)
    assert (made.width, made.height) == (before.width, before.height)
    assert made.seconds == pytest.approx(before.seconds, abs=0.1)
    assert (first_packets(tmp_path / COMPATIBLE) == first_packets(source)) is copied


@pytest.mark.parametrize(("name", "options"), [(form[0], form[1]) for form in FORMS])
def test_every_form_becomes_a_stream(tmp_path: Path, name: str, options: dict[str, object]) -> None:
    source = make_clip(tmp_path / name, seconds=5.0, gop=24, **options)  # type: ignore[arg-type]
    write_stream(source, tmp_path)
    playlist = (tmp_path / PLAYLIST).read_text()
    assert playlist.count("#EXT-X-BYTERANGE") >= 2
    assert playlist.endswith("#EXT-X-ENDLIST\n")
    (tmp_path / "elsewhere").write_bytes((tmp_path / SEGMENTS).read_bytes())
    (tmp_path / SEGMENTS).unlink()
    (tmp_path / PLAYLIST).write_text(playlist_text(playlist, name=SEGMENTS, link="elsewhere"))
    reader = {"allowed_extensions": "ALL", "extension_picky": "0"}
    with av.open(str(tmp_path / PLAYLIST), format="hls", options=reader) as stream:
        pictures = sum(1 for _ in stream.decode(video=0))
        assert stream.streams.video[0].codec_context.name == "h264"
    with av.open(str(source)) as container:
        assert pictures == sum(1 for _ in container.decode(video=0))


@pytest.mark.parametrize("write", [write_compatible, write_stream])
def test_what_is_no_film_is_refused(tmp_path: Path, write: object) -> None:
    source = tmp_path / "broken.mp4"
    source.write_bytes(b"\0\0\0\x20ftypisom" + b"\0" * 500)
    with pytest.raises(ResultUnreadable):
        write(source, tmp_path)  # type: ignore[operator]


def test_a_storyboard_names_a_part_of_the_sheet_for_each_moment() -> None:
    text = storyboard_text(seconds=4000.0, width=1920, height=1080, sheet_link="/files/1/spritesheet.jpg?s=1")
    head, *cues = text.split("\n\n")
    assert head == "WEBVTT"
    assert cues[0].splitlines() == [
        "00:00:00.000 --> 00:03:20.000",
        "/files/1/spritesheet.jpg?s=1#xywh=0,0,160,90",
    ]
    assert cues[19].splitlines() == [
        "01:03:20.000 --> 01:06:40.000",
        "/files/1/spritesheet.jpg?s=1#xywh=640,270,160,90",
    ]
    assert len(cues) == 20
