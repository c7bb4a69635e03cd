"""Fonts and line breaking for Chinese and Latin text."""

import unicodedata
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont

_FONT = Path(__file__).parent / "fonts" / "NotoSansSC-Regular-subset.otf"
_NEVER_FIRST = set("，。！？、；：）」』】》〉”’…—·,.!?;:)]}%％～ー々")
_NEVER_LAST = set("（「『【《〈“‘([{#￥$")
_STEPS = ((0.098, 2), (0.082, 3), (0.068, 4), (0.056, 5), (0.046, 6), (0.038, 9), (0.032, 12))
"""Font sizes as shares of the short side, each with its largest number of lines."""


@lru_cache(maxsize=32)
def load_font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(_FONT, max(6, size))


@lru_cache(maxsize=8192)
def _has_glyph(character: str) -> bool:
    face = load_font(20)
    if face.getlength(character) == 0:
        return False
    return bytes(face.getmask(character)) != bytes(face.getmask("\U0010fffe"))


def drawable_text(text: str) -> str:
    """``text`` without signs that the font lacks; letters that it lacks become boxes."""
    kept: list[str] = []
    for character in unicodedata.normalize("NFC", text.replace("\r\n", "\n")):
        if character == "\n":
            kept.append("\n")
        elif character.isspace():
            kept.append(" ")
        elif unicodedata.category(character)[0] in "CM":
            continue
        elif _has_glyph(character):
            kept.append(character)
        elif unicodedata.category(character) in {"Lo", "Lu", "Ll", "Lt"}:
            kept.append("□")
    return "\n".join(" ".join(line.split()) for line in "".join(kept).split("\n")).strip()


def break_lines(text: str, face: ImageFont.FreeTypeFont, width: float) -> list[str]:
    """Lines no wider than ``width`` pixels; punctuation stays with its word."""
    return [line for paragraph in text.split("\n") for line in _fill_lines(paragraph, face, width)]


def _fill_lines(paragraph: str, face: ImageFont.FreeTypeFont, width: float) -> list[str]:
    lines, line = [], ""
    for part in (part for piece in _unbreakable_pieces(paragraph) for part in _cut_piece(piece, face, width)):
        if line and face.getlength((line + part).rstrip()) > width:
            lines.append(line.rstrip())
            line = part.lstrip()
        else:
            line += part
    return [*lines, line.rstrip()] if line.strip() else lines


def fit_text(text: str, short: int, room: tuple[float, float]) -> tuple[int, list[str]]:
    """The largest font size at which ``text`` fits ``room`` (width, height in pixels), and its lines."""
    size, lines = 0, [""]
    for share, most in _STEPS:
        size = max(9, round(short * share))
        lines = break_lines(text, load_font(size), room[0])
        if len(lines) <= most and len(lines) * line_height(size) <= room[1]:
            return size, _even_lines(text, size, (room[0], len(lines)))
    allowed = max(1, int(room[1] / line_height(size)))
    if len(lines) > allowed:
        lines = lines[:allowed]
        lines[-1] = lines[-1][:-1].rstrip() + "…"
    return size, lines


def line_height(size: int) -> int:
    return round(size * 1.42)


def _even_lines(text: str, size: int, target: tuple[float, int]) -> list[str]:
    """Break at the smallest width that needs no more lines, so that all lines have a similar length."""
    width, count = target
    narrow, wide = width * 0.35, width
    for _ in range(7):
        middle = (narrow + wide) / 2
        if len(break_lines(text, load_font(size), middle)) <= count:
            wide = middle
        else:
            narrow = middle
    return break_lines(text, load_font(size), wide)


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in {"W", "F"}


def _unbreakable_pieces(paragraph: str) -> list[str]:
    """Units that are never broken: words with the space after them, and single Chinese characters."""
    pieces: list[str] = []
    for character in paragraph:
        joins = bool(pieces) and (
            character in _NEVER_FIRST
            or pieces[-1][-1] in _NEVER_LAST
            or (character == " ")
            or not (_is_wide(character) or _is_wide(pieces[-1][-1]) or pieces[-1][-1] == " ")
        )
        if joins:
            pieces[-1] += character
        else:
            pieces.append(character)
    return pieces


def _cut_piece(piece: str, face: ImageFont.FreeTypeFont, width: float) -> list[str]:
    """``piece`` cut into parts that are no wider than a line."""
    if face.getlength(piece.rstrip()) <= width:
        return [piece]
    parts, part = [], ""
    for character in piece:
        if part and face.getlength(part + character) > width:
            parts.append(part)
            part = ""
        part += character
    return [*parts, part]
