"""What comes out of the renderer is the clip that was asked for."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from app.errors import UpstreamRejected
from app.generation import Shot
from app.providers.studio.planning import make_plan
from tests.providers.studio.clips import (
    difference,
    filling,
    frames_of,
    make_request,
    media,
    picture,
    rendered,
)

pytestmark = pytest.mark.slow


def test_a_clip_is_h264_and_aac_of_the_exact_size_and_length(tmp_path: Path) -> None:
    path = rendered(make_request("A lake " * 40, size="322x181", seconds=1.5), tmp_path)
    with av.open(path) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.codec_context.name, audio.codec_context.name) == ("h264", "aac")
        assert (video.width, video.height, video.pix_fmt) == (322, 180, "yuv420p")
        assert (video.frames, video.average_rate) == (36, 24)
        assert container.duration is not None
        assert abs(container.duration / av.time_base - 1.5) < 0.03
        title = container.metadata["title"]
        assert title.startswith("A lake A lake")
        assert len(title) <= 120
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_the_tone_is_quiet_and_fades(tmp_path: Path) -> None:
    path = rendered(make_request(seconds=3.0), tmp_path)
    with av.open(path) as container:
        sound = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)
    loudness = 20 * np.log10(np.sqrt((sound[:, 48000:96000] ** 2).mean()))
    assert -40 < loudness < -22
    assert np.abs(sound[:, :400]).max() < 0.01


def test_the_same_request_gives_the_same_frames(tmp_path: Path) -> None:
    one = frames_of(rendered(make_request(seed=7), tmp_path / "one"))
    same = frames_of(rendered(make_request(seed=7), tmp_path / "same"))
    other = frames_of(rendered(make_request(seed=8), tmp_path / "other"))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert difference(one[0], other[0]) > 3


def test_something_moves(tmp_path: Path) -> None:
    frames = frames_of(rendered(make_request(seconds=2.0), tmp_path))
    assert difference(frames[0][:140], frames[-1][:140]) > 0.3


@pytest.mark.parametrize(
    "text", ["黄昏的群山与湖水", "A calm evening", "Тихий вечер", "中文 mixed with English"]
)
def test_a_prompt_is_drawn(text: str, tmp_path: Path) -> None:
    """Same seed text, so only the words differ: white strokes where the blank has none."""
    blank = make_request("")
    with_words = rendered(make_request(text), tmp_path / "words", origin=blank)
    assert bright(frames_of(with_words)[0]) > bright(frames_of(rendered(blank, tmp_path / "blank"))[0]) + 100


def bright(frame: np.ndarray) -> int:
    """Near-white pixels in the part that holds the words."""
    return int((frame[60:155, :220].min(axis=2) > 200).sum())


@pytest.mark.parametrize(
    "text",
    ["🎬🐈‍⬛👩🏽‍🚀", "한국어 텍스트", "مرحبا", "\x00\x1b[31m\u202e", "a\n\n\nb", "W" * 3000, "，" * 200],
)
def test_strange_text_does_no_harm(text: str, tmp_path: Path) -> None:
    assert len(frames_of(rendered(make_request(text, seconds=0.2), tmp_path))) == 5


def test_a_first_frame_is_the_first_frame(tmp_path: Path) -> None:
    content = picture()
    frames = frames_of(rendered(make_request(media=(media("first_frame", content),), seconds=2.0), tmp_path))
    assert difference(frames[0], filling(content, 320, 180)) < 6
    assert difference(frames[0], frames[-1]) > 6


def test_a_last_frame_is_the_last_frame(tmp_path: Path) -> None:
    first, last = picture(seed=3), picture(seed=4)
    inputs = (media("first_frame", first), media("last_frame", last))
    frames = frames_of(rendered(make_request(media=inputs, seconds=2.0), tmp_path))
    assert difference(frames[0], filling(first, 320, 180)) < 6
    assert difference(frames[-1], filling(last, 320, 180)) < 6


def test_a_storyboard_changes_look_at_its_boundary(tmp_path: Path) -> None:
    shots = (Shot(seconds=1, prompt="Dawn"), Shot(seconds=1, prompt="正午"), Shot(seconds=1, prompt="Night"))
    frames = frames_of(rendered(make_request(shots=shots, seconds=3.0), tmp_path))
    assert len(frames) == 72
    within = difference(frames[13], frames[23])
    assert difference(frames[23], frames[47]) > 4 * within
    assert difference(frames[47], frames[71]) > 4 * within


def test_extend_plays_the_source_and_goes_on(tmp_path: Path) -> None:
    source = rendered(make_request("The beginning"), tmp_path / "source")
    clip = media("source_video", source.read_bytes(), "video/mp4")
    frames = frames_of(
        rendered(make_request("Then rain", action="extend", seconds=5.0, media=(clip,)), tmp_path / "longer")
    )
    original = frames_of(source)
    assert len(frames) == 144
    assert difference(frames[10][:60], original[10][:60]) < 4
    assert difference(frames[24][:60], original[-1][:60]) < 6
    assert difference(frames[-1], original[-1]) > 8


def test_edit_plays_the_source_in_other_colours(tmp_path: Path) -> None:
    source = rendered(make_request("The beginning", style="golden"), tmp_path / "source")
    clip = media("source_video", source.read_bytes(), "video/mp4")
    request = make_request("In blue", action="edit", style="news", media=(clip,), seconds=None)
    frames = frames_of(rendered(request, tmp_path / "edited"))
    assert len(frames) == 24
    assert difference(frames[12], frames_of(source)[12]) > 8


def test_a_remix_keeps_the_land_and_changes_the_colours(tmp_path: Path) -> None:
    original = make_request("A road", style="golden")
    one = frames_of(rendered(original, tmp_path / "one"))[0].astype(np.float32).mean(axis=2)
    remix = make_request("A road at night", action="remix", style="news")
    two = frames_of(rendered(remix, tmp_path / "two", origin=original))[0].astype(np.float32).mean(axis=2)
    assert np.corrcoef(one[:60].ravel(), two[:60].ravel())[0, 1] > 0.7


@pytest.mark.parametrize("kind", ["video", "image"])
def test_only_who_asks_gets_a_mark(kind: str, tmp_path: Path) -> None:
    def corner(watermark: bool | None) -> np.ndarray[Any, np.dtype[np.float32]]:
        request = make_request(kind=kind, size="640x360", seconds=0.2, watermark=watermark)
        path = rendered(request, tmp_path / str(watermark))
        frame = frames_of(path)[0] if kind == "video" else np.asarray(Image.open(path))
        return frame.astype(np.float32)[310:336, 520:]

    assert difference(corner(None), corner(False)) == 0
    assert difference(corner(True), corner(False)) > 2


@pytest.mark.parametrize("sound", [None, False])
def test_silence_is_silent(tmp_path: Path, sound: bool | None) -> None:
    with av.open(rendered(make_request(size="320x180", seconds=1, sound=sound), tmp_path)) as container:
        blocks = [frame.to_ndarray() for frame in container.decode(audio=0)]
    loudest = max(float(np.abs(block).max()) for block in blocks)
    assert (loudest > 0.001) == (sound is None)


def test_an_image_is_a_png_of_the_asked_size(tmp_path: Path) -> None:
    with Image.open(rendered(make_request(kind="image", size="256x384"), tmp_path)) as opened:
        assert (opened.format, opened.size) == ("PNG", (256, 384))
        assert len(set(opened.convert("RGB").resize((8, 8)).get_flattened_data())) > 20


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"size": None}, (720, 1280)),
        ({"size": None, "aspect_ratio": "16:9", "resolution": "1080p"}, (1920, 1080)),
        ({"size": None, "kind": "image"}, (1024, 1024)),
        ({"size": "17x3"}, (16, 16)),
        ({"size": "1x1"}, (16, 16)),
    ],
)
def test_sizes(fields: dict[str, str | None], expected: tuple[int, int]) -> None:
    plan = make_plan(make_request(**fields), ())
    assert (plan.width, plan.height) == expected


@pytest.mark.parametrize(
    "fields", [{"size": "big"}, {"size": "4000x4000"}, {"seconds": 61.0}, {"seconds": -1.0}]
)
def test_what_cannot_be_rendered_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(UpstreamRejected) as refused:
        make_plan(make_request(**fields), ())
    assert refused.value.param in fields
