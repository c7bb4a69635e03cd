"""Segments become one film: proven by decoding it, picture by picture."""

from collections.abc import AsyncIterator
from pathlib import Path

import av
import numpy as np
import pytest

from app.errors import ResultUndecodable
from app.media.inspection import MediaInspector
from app.media.joining import cut_lengths, join_clips, save_last_picture
from app.media.labels.marking import label_clip
from app.media.labels.pictures import find_marks
from app.media.vendor_marks import C2PA_BOX, maker_boxes
from tests.media.clips import make_clip
from tests.media.test_trimming import packets

pytestmark = pytest.mark.slow
FPS = 24


@pytest.fixture
async def inspector() -> AsyncIterator[MediaInspector]:
    made = MediaInspector(workers=1)
    yield made
    await made.close()


def moments(path: Path) -> tuple[list[float], list[float]]:
    """When each picture and each piece of sound is shown, in seconds, as a decoder sees them."""
    found: tuple[list[float], list[float]] = ([], [])
    with av.open(str(path)) as clip:
        for packet in clip.demux():
            assert packet.dts is None or packet.pts is None or packet.pts >= packet.dts
        clip.seek(0)
        for frame in clip.decode():
            assert frame.time is not None
            found[isinstance(frame, av.AudioFrame)].append(frame.time)
    return found


def check_film(path: Path, *, seconds: float, fps: int = FPS, sound: bool = True) -> None:
    pictures, sounds = moments(path)
    steps = np.diff(pictures)
    assert len(pictures) == round(seconds * fps)
    assert steps.min() > 0 and steps.max() == pytest.approx(1 / fps, abs=0.002), "a jump in time"
    assert bool(sounds) == sound
    if sound:
        assert np.diff(sounds).min() > 0
        assert np.diff(sounds).max() < 0.13, "a hole in the sound"  # one of the clips has 0.1 s less
        assert sounds[-1] == pytest.approx(seconds, abs=0.13)


@pytest.mark.parametrize(
    ("name", "options", "sound"),
    [
        ("mp4", {"audio_seconds": 2.2}, True),
        ("mp4", {}, False),
        ("mov", {"audio_seconds": 1.9}, True),
        ("mkv", {"audio_seconds": 2.0, "gop": 12}, True),
        ("webm", {"codec": "libvpx"}, False),
    ],
)
def test_segments_of_one_form_are_joined_bit_for_bit(
    tmp_path: Path, name: str, options: dict[str, object], sound: bool
) -> None:
    clip = make_clip(tmp_path / f"a.{name}", seconds=2.0, **options)  # type: ignore[arg-type]
    film = tmp_path / "film"
    found = join_clips(clip, clip, clip, film, seconds=[2.0, 2.0, 2.0])
    assert found.seconds == pytest.approx(6.0, abs=0.06)
    check_film(film, seconds=6.0, sound=sound)
    assert packets(film) == packets(clip) * 3


def test_the_last_one_is_cut_where_the_lengths_do_not_add_up(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", seconds=2.0, audio_seconds=2.0)
    film = tmp_path / "film"
    join_clips(clip, clip, film, seconds=[2.0, 1.0])
    pictures, sounds = moments(film)
    # B-frames: an earlier picture may be drawn from one or two that are shown later.
    assert round(3.0 * FPS) <= len(pictures) <= round(3.0 * FPS) + 3
    assert np.diff(pictures).min() > 0
    assert sounds[-1] == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_what_their_vendor_marked_stays_marked(tmp_path: Path, codec: str) -> None:
    clips = []
    for name, made_with in (("a", "libx264"), ("b", codec)):
        plain = make_clip(tmp_path / f"plain-{name}.mp4", seconds=2.0, codec=made_with)
        label_clip(
            plain,
            tmp_path / f"{name}.mp4",
            service="a vendor",
            number=name,
            integrity="",
            text="",
            seconds=0.0,
            signed=False,
        )
        clips.append(tmp_path / f"{name}.mp4")
        with clips[-1].open("ab") as file:
            file.write((32).to_bytes(4, "big") + b"uuid" + C2PA_BOX + b"manifest")
    film = tmp_path / "film"
    join_clips(*clips, film, seconds=[2.0, 2.0])
    assert set(find_marks(film).marks) == {"aigc", "c2pa"}
    assert len(maker_boxes(film)) == 1
    check_film(film, seconds=4.0, sound=False)


@pytest.mark.parametrize(
    "other",
    [
        {"size": (160, 90), "audio_seconds": 2.0},
        {"fps": 30, "audio_seconds": 2.0},
        {"codec": "mpeg4", "audio_seconds": 2.0},
        {},
        {"size": (180, 320)},
    ],
)
def test_segments_of_different_forms_are_encoded_anew_with_their_sound(
    tmp_path: Path, other: dict[str, object]
) -> None:
    first = make_clip(tmp_path / "a.mp4", seconds=2.0, audio_seconds=2.0)
    second = make_clip(tmp_path / "b.mp4", seconds=2.0, **other)  # type: ignore[arg-type]
    film = tmp_path / "film"
    found = join_clips(first, second, first, film, seconds=[2.0, 2.0, 1.0])
    assert (found.width, found.height, found.codec, found.compatible) == (320, 180, "h264", True)
    check_film(film, seconds=5.0)


def test_pictures_of_the_next_segment_come_over_the_last_one(tmp_path: Path) -> None:
    colours = {"a": (200, 20, 20), "b": (20, 20, 200)}
    for name, colour in colours.items():
        with av.open(str(tmp_path / f"{name}.mp4"), "w") as out:
            video = out.add_stream("libx264", rate=FPS)
            video.width, video.height, video.pix_fmt = (
                (320, 180, "yuv420p") if name == "a" else (160, 90, "yuv420p")
            )
            picture = np.full((video.height, video.width, 3), colour, np.uint8)
            for _ in range(FPS):
                out.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            out.mux(video.encode())
    film = tmp_path / "film"
    join_clips(tmp_path / "a.mp4", tmp_path / "b.mp4", film, seconds=[1.0, 1.0])
    with av.open(str(film)) as clip:
        blue = [float(frame.to_ndarray(format="rgb24")[90, 160, 2]) for frame in clip.decode(video=0)]
    assert len(blue) == 2 * FPS
    assert blue[FPS - 1] < 40 and blue[-1] > 180
    assert 60 < blue[FPS + 3] < 150, "between the two"


def test_lengths_that_the_vendor_rounds_do_not_add_up_to_a_longer_film() -> None:
    assert cut_lengths([8.04, 8.04, 8.04, 4.04], [8, 8, 8, 1]) == pytest.approx([8.04, 8.04, 8.04, 0.88])
    assert cut_lengths([8.04, 8.04], [8, 8]) == [8.04, 8.04]
    assert cut_lengths([6.0, 6.0], [5, 4]) == [5, 4]
    assert cut_lengths([3.0], [8]) == [3.0]


async def test_the_last_picture_is_what_the_next_segment_begins_with(
    tmp_path: Path, inspector: MediaInspector
) -> None:
    clip = make_clip(tmp_path / "a.mp4", seconds=2.0)
    for seconds, number in ((2.0, 47), (1.0, 23)):
        await inspector.save_last_picture(clip, tmp_path / "last.jpg", seconds=seconds)
        with av.open(str(clip)) as source, av.open(str(tmp_path / "last.jpg")) as saved:
            pictures = [frame.to_ndarray(format="rgb24").astype(int) for frame in source.decode(video=0)]
            [last] = [frame.to_ndarray(format="rgb24").astype(int) for frame in saved.decode(video=0)]
        apart = [float(np.abs(picture - last).mean()) for picture in pictures]
        assert apart.index(min(apart)) == number


async def test_the_child_joins_and_says_what_it_can_not_join(
    tmp_path: Path, inspector: MediaInspector
) -> None:
    clip = make_clip(tmp_path / "a.mp4", seconds=1.0, audio_seconds=1.0)
    await inspector.join_clips([clip, clip], tmp_path / "film", seconds=[1.0, 1.0])
    check_film(tmp_path / "film", seconds=2.0)
    assert await inspector.measure_clip(tmp_path / "film") is not None
    stream = tmp_path / "stream"
    stream.write_bytes(b"".join(b"G" + bytes([n]) * 187 for n in range(50)))
    with pytest.raises(ResultUndecodable):
        await inspector.join_clips([clip, stream], tmp_path / "other", seconds=[1.0, 1.0])
    save_last_picture(clip, tmp_path / "last.jpg", seconds=1.0)
