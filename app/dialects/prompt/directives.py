"""Directives in a prompt: orientation, length, hd, style, remix link."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from app.catalog.presets import STYLES

Orientation = Literal["portrait", "landscape"]

ORIENTATIONS: dict[str, Orientation] = {
    "竖屏": "portrait",
    "横屏": "landscape",
    "portrait": "portrait",
    "landscape": "landscape",
}
HD = ("高清", "hd")

WORD = re.compile(r"竖屏|横屏|高清|(?:10|15|25)s|portrait|landscape|hd", re.IGNORECASE | re.ASCII)
GAP = re.compile(r"[\s,，、;；/|]*")
TAIL = re.compile(r"[\s,，、;；:：/|]*")
HARD = re.compile(r"[ \t]*[,，、;；:：/|\r\n]")
SOFT = re.compile(r"\s|$|[(（\[【{]")
PREPOSITION = re.compile(r"[ \t]+(?:of|in|by|with|at|on|from|for|to|and|or)\b", re.IGNORECASE)
BEFORE_CHINESE = re.compile(r"[ \t]+[\u3400-\u9fff]")
GROUP = re.compile(r"[(（\[【]([^()（）\[\]【】]{1,64})[)）\]】]")
STYLE = re.compile(r"\{\s*([A-Za-z]+)\s*\}")
SHARE_ID = r"s_[0-9a-f]{32}(?![\w=-])"
SHARE = re.compile(
    rf"(?<!\w)(?:https?://)?(?:www\.)?sora\.chatgpt\.com/p/({SHARE_ID})(?:[?#/][\w?#/&=%.~+-]*)?"
    rf"|(?<![\w/.=-])({SHARE_ID})(?!/|\.\w)",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Directives:
    """A prompt and the directives that were removed from it. ``remix_of`` is ``s_<32 hex>``."""

    prompt: str
    orientation: Orientation | None = None
    seconds: int | None = None
    hd: bool = False
    style: str | None = None
    remix_of: str | None = None


@dataclass(frozen=True, slots=True)
class _DirectiveWord:
    """One directive word and its position."""

    word: str
    start: int
    end: int

    @property
    def is_chinese(self) -> bool:
        return not self.word.isascii()

    @property
    def is_length(self) -> bool:
        return self.word[0].isdigit()


def read_directives(prompt: str) -> Directives:
    """Removes the directives from ``prompt``. A prompt without any is returned unchanged.

    A Chinese word (竖屏 横屏 高清) is a directive when a separator or the end follows. The words that are
    also plain English (portrait, landscape, hd, 10s) need more: brackets, a comma, colon or line break
    between or behind them, a Chinese directive in the same list, or a length with a second directive
    beside it (``10s`` alone also before Chinese text). Before a preposition they are plain text:
    "portrait of a lady", "10s of thousands". ``[10s]`` alone in square brackets is a storyboard's mark,
    not a directive. When two contradict each other, the last one counts.
    """
    found = Directives(prompt)
    while (more := _strip_once(found)) != found:
        found = more
    return found


def _strip_once(found: Directives) -> Directives:
    """One pass. Removing a directive may uncover a share link that was not recognised behind it."""
    target, text = _take_share_link(found.prompt)
    found = replace(found, prompt=text, remix_of=found.remix_of or target)
    position, begun = len(text) - len(text.lstrip()), False
    while step := _next_directives(text, position, begun=begun):
        words, style, end = step
        found = replace(_apply_words(found, words), style=style or found.style)
        position, begun = _match_end(TAIL, text, end), True
    return replace(found, prompt=text[position:]) if begun else found


def share_id(text: str) -> str | None:
    """``s_<32 hex>`` if ``text`` is exactly one share link or bare id."""
    match = SHARE.fullmatch(text.strip())
    return (match[1] or match[2]).lower() if match else None


def _take_share_link(prompt: str) -> tuple[str | None, str]:
    links = list(SHARE.finditer(prompt))
    if not links:
        return None, prompt
    starts = [0, *(link.end() for link in links)]
    ends = [*(link.start() for link in links), len(prompt)]
    text = " ".join(prompt[start:end].strip(" \t") for start, end in zip(starts, ends, strict=True))
    return (links[0][1] or links[0][2]).lower(), text.strip()


def _next_directives(text: str, position: int, *, begun: bool) -> tuple[list[str], str | None, int] | None:
    """The next directives at ``position``: their words, a style, and their end."""
    if style := STYLE.match(text, position):
        name = style[1].lower()
        return ([], name, style.end()) if name in STYLES else None
    if group := GROUP.match(text, position):
        words = _parse_group(group[1])
        mark = group[0][0] == "[" and len(words) == 1 and words[0][0].isdigit()
        return (words, None, group.end()) if words and not mark else None
    run = _unbracketed_words(text, position)
    if run and _is_list(text, run, begun=begun):
        return [found.word for found in run], None, run[-1].end
    return None


def _parse_group(text: str) -> list[str]:
    """The directive words of ``text``; empty if it holds anything else."""
    found = list(_scan_words(text, _match_end(GAP, text, 0)))
    if not found or _match_end(TAIL, text, found[-1].end) != len(text):
        return []
    return [word.word for word in found]


def _scan_words(text: str, position: int) -> Iterator[_DirectiveWord]:
    while match := WORD.match(text, position):
        yield _DirectiveWord(match[0].lower(), match.start(), match.end())
        position = _match_end(GAP, text, match.end())


def _unbracketed_words(text: str, position: int) -> list[_DirectiveWord]:
    run = list(_scan_words(text, position))
    for left, right in pairwise(run):
        if left.end == right.start and not (left.is_chinese or right.is_chinese):
            return []  # "hdhd" is one unknown word
    while run and not _ends_well(text, run[-1]):
        run.pop()
    return run


def _ends_well(text: str, found: _DirectiveWord) -> bool:
    if HARD.match(text, found.end):
        return True
    if not SOFT.match(text, found.end):
        return False
    return found.is_chinese or not PREPOSITION.match(text, found.end)


def _is_list(text: str, run: list[_DirectiveWord], *, begun: bool) -> bool:
    if any(found.is_chinese or HARD.match(text, found.end) for found in run):
        return True
    if any(found.is_length for found in run) and (len(run) > 1 or begun):
        return True
    return run[-1].is_length and BEFORE_CHINESE.match(text, run[-1].end) is not None


def _apply_words(found: Directives, words: list[str]) -> Directives:
    for word in words:
        if word in ORIENTATIONS:
            found = replace(found, orientation=ORIENTATIONS[word])
        elif word in HD:
            found = replace(found, hd=True)
        else:
            found = replace(found, seconds=int(word[:-1]))
    return found


def _match_end(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return match.end() if match else position
