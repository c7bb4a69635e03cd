"""Reads and writes storyboards in the two forms of the manuals."""

import re
from collections.abc import Sequence

from app.generation import Shot

FENCE = re.compile(r"```(?:[A-Za-z]*[ \t]*(?=\r?\n))?")
MARK = re.compile(r"\[\s*([0-9]{1,4}(?:\.[0-9]{1,3})?)\s*s(?:ec)?\s*\]", re.IGNORECASE)
SHOT = re.compile(r"^[ \t]*shot[ \t]*[0-9]{1,3}[ \t]*[:：]", re.IGNORECASE | re.MULTILINE)
DURATION = re.compile(
    r"^[ \t]*duration[ \t]*[:：][ \t]*([0-9]{1,4}(?:\.[0-9]{1,3})?)[ \t]*(?:s|sec|secs|seconds?)?[ \t]*\.?[ \t]*\r?$",
    re.IGNORECASE | re.MULTILINE,
)
SCENE = re.compile(r"^[ \t]*scene[ \t]*[:：][ \t]*", re.IGNORECASE | re.MULTILINE)


def read_storyboard(prompt: str) -> tuple[Shot, ...]:
    """The shots of ``prompt``, lengths in seconds; empty when it is no storyboard.

    Two forms are read: ``[5.0s]text`` marks, and ``Shot 1:`` blocks with ``duration:`` and ``Scene:``, also in a
    code block. Text before the first shot is put in front of that shot's text. If a shot lacks a length or text,
    the prompt is no storyboard.
    """
    text = FENCE.sub("", prompt).strip()
    return _read_blocks(text) or _read_marks(text)


def write_storyboard(prompt: str, shots: Sequence[Shot]) -> str:
    """The shots as storyboard text, for upstreams without shots. ``prompt`` comes first."""
    marked = [f"[{shot.seconds:g}s]{shot.prompt}" for shot in shots]
    return "\n".join([prompt, *marked] if prompt else marked)


def _read_marks(text: str) -> tuple[Shot, ...]:
    marks = list(MARK.finditer(text))
    # A single mark inside a sentence ("a clock [10s] before noon") is no storyboard.
    if not marks or (len(marks) == 1 and marks[0].start() > 0):
        return ()
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    parts = [(float(mark[1]), text[mark.end() : end].strip()) for mark, end in zip(marks, ends, strict=True)]
    return _make_shots(parts, preamble=text[: marks[0].start()].strip())


def _read_blocks(text: str) -> tuple[Shot, ...]:
    heads = list(SHOT.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    parts = []
    for head, end in zip(heads, ends, strict=False):
        block = text[head.end() : end]
        duration = DURATION.search(block)
        if duration is None:
            return ()
        scene = SCENE.sub("", block[: duration.start()] + block[duration.end() :], count=1)
        parts.append((float(duration[1]), scene.strip()))
    return _make_shots(parts, preamble=text[: heads[0].start()].strip() if heads else "")


def _make_shots(parts: list[tuple[float, str]], *, preamble: str) -> tuple[Shot, ...]:
    if any(seconds <= 0 or not text for seconds, text in parts):
        return ()
    shots = [Shot(seconds=seconds, prompt=text) for seconds, text in parts]
    if shots and preamble:
        shots[0] = Shot(seconds=shots[0].seconds, prompt=f"{preamble}\n{shots[0].prompt}")
    return tuple(shots)
