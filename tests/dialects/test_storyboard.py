"""Both storyboard forms of the feature manual, and texts that only look like one."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.catalog.presets import preset_for
from app.dialects.fields.length import fitting_shots
from app.dialects.fields.words import Stated
from app.dialects.prompt.storyboard import read_storyboard
from app.generation import Shot

CATS = ((5.0, "猫猫从飞机上跳伞"), (5.0, "猫猫降落"), (10.0, "猫猫在田野奔跑"))
BLOCKS = "Shot 1:\nduration: 7.5sec\nScene: a cat wakes\n\nShot 2:\nduration: 2 s\nScene: it runs,\nfast"
BLOCK_SHOTS = ((7.5, "a cat wakes"), (2.0, "it runs,\nfast"))

READ = [
    # feature manual, 视频分镜
    ("[5.0s]猫猫从飞机上跳伞 [5.0s]猫猫降落 [10.0s]猫猫在田野奔跑", CATS),
    ("[5.0s]猫猫从飞机上跳伞\n[5.0s]猫猫降落\n[10.0s]猫猫在田野奔跑", CATS),
    ("```\n[5.0s]猫猫从飞机上跳伞\n[5.0s]猫猫降落\n[10.0s]猫猫在田野奔跑\n```", CATS),
    ("```text\r\n[5.0s]猫猫从飞机上跳伞\r\n[5.0s]猫猫降落\r\n[10.0s]猫猫在田野奔跑\r\n```", CATS),
    ("```[5s]a [5s]b```", ((5.0, "a"), (5.0, "b"))),
    # client-api §5
    (BLOCKS, BLOCK_SHOTS),
    (f"```\n{BLOCKS}\n```", BLOCK_SHOTS),
    (BLOCKS.lower(), BLOCK_SHOTS),
    (BLOCKS.replace("\n", "\r\n"), ((7.5, "a cat wakes"), (2.0, "it runs,\r\nfast"))),
    ("Shot 1:\nScene: a\nCamera: low\nduration: 3", ((3.0, "a\nCamera: low"),)),
    ("[ 2.5 sec ]a[1S]b", ((2.5, "a"), (1.0, "b"))),
    ("[10s] a cat", ((10.0, "a cat"),)),
    ("In black and white. [5s]a [5s]b", ((5.0, "In black and white.\na"), (5.0, "b"))),
    ("In colour.\nShot 1:\nduration: 4s\nScene: a", ((4.0, "In colour.\na"),)),
]

NOT_READ = [
    "",
    "a cat",
    "a clock [10s] before noon",
    "[5.0s]",
    "[5.0s][5.0s]a cat",
    "[0s]a cat",
    "[s]a cat",
    "[12345s]a cat",
    "[竖屏]一只猫",
    "Shot 1: a cat",
    "Shot 1:\nScene: no length",
    "Shot 1:\nduration: 5s",
    "Shot 1:\nduration: long\nScene: a",
]


@pytest.mark.parametrize(("prompt", "shots"), READ)
def test_read(prompt: str, shots: tuple[tuple[float, str], ...]) -> None:
    assert tuple((shot.seconds, shot.prompt) for shot in read_storyboard(prompt)) == shots


@pytest.mark.parametrize("prompt", NOT_READ)
def test_an_ordinary_prompt(prompt: str) -> None:
    assert read_storyboard(prompt) == ()


TEXTS = st.text("abc 猫,.!", min_size=1).map(str.strip).filter(bool)
SECONDS = st.integers(1, 9999).map(lambda tenth: tenth / 10)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(SECONDS, TEXTS), min_size=1, max_size=8))
def test_written_shots_are_read_back(shots: list[tuple[float, str]]) -> None:
    marks = " ".join(f"[{seconds}s]{text}" for seconds, text in shots)
    blocks = "\n".join(f"Shot {n}:\nduration: {s}sec\nScene: {text}" for n, (s, text) in enumerate(shots, 1))
    for prompt in (marks, blocks):
        assert [(shot.seconds, shot.prompt) for shot in read_storyboard(prompt)] == shots


@settings(max_examples=200, deadline=None)
@given(st.text("[]s.0159 \n`Shotduration:Scene猫", max_size=80))
def test_any_text_gives_shots_or_none(prompt: str) -> None:
    assert all(shot.seconds > 0 and shot.prompt for shot in read_storyboard(prompt))


@pytest.mark.parametrize("piece", [" ", "[", "[ ", "```", "```a", "shot ", "Shot 1:\n", "\n ", "duration:"])
def test_long_texts_of_one_piece_are_read(piece: str) -> None:
    assert read_storyboard(piece * 50_000) == ()


@given(
    st.lists(st.one_of(st.integers(1, 600).map(float), st.floats(0.1, 600)), min_size=1, max_size=10),
    st.integers(10, 25),
)
def test_shots_are_shortened_to_what_a_models_name_says(lengths: list[float], seconds: int) -> None:
    shots = Stated("prompt", tuple(Shot(seconds=length, prompt="a") for length in lengths))
    preset = replace(preset_for("sora2-landscape-10s"), seconds=seconds)
    found = [shot.seconds for shot in fitting_shots(shots, float(seconds), preset=preset)]
    assert len(found) == len(lengths)
    assert min(found) > 0
    assert sum(found) <= seconds + 1e-6
    if sum(lengths) <= seconds:
        assert found == lengths
    elif all(length.is_integer() for length in lengths):
        assert sum(found) == seconds
        assert all(length.is_integer() for length in found)
