"""Text over the picture: fonts, line breaking, the prompt, the shot's title, the timecode and the studio's mark."""

import unicodedata
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from app.providers.studio.canvas import Canvas, Plane
from app.providers.studio.writing import FONT_PLACES, Language, is_hangul, language_of

_FONTS = Path(__file__).parent / "fonts" / "NotoSansCJK-Regular-subset.ttc"
"""Made by tests/providers/studio/make_fonts.py: the same characters in each language's own forms."""
_NEVER_FIRST = set("，。！？、；：）」』】》〉”’…—·,.!?;:)]}%％～ー々ぁぃぅぇぉっゃゅょァィゥェォッャュョ")
_NEVER_LAST = set("（「『【《〈“‘([{#￥$")
_STEPS = ((0.098, 2), (0.082, 3), (0.068, 4), (0.056, 5), (0.046, 6), (0.038, 9), (0.032, 12))
"""Font sizes as shares of the short side, each with its largest number of lines."""
_SMALLEST = 96
"""In pixels. Frames with a shorter side get no text."""


@lru_cache(maxsize=64)
def load_font(size: int, language: Language = "") -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(_FONTS, max(6, size), index=FONT_PLACES[language])


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
    size, lines, language = 0, [""], language_of(text)
    for share, most in _STEPS:
        size = max(9, round(short * share))
        lines = break_lines(text, load_font(size, language), room[0])
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
    face = load_font(size, language_of(text))
    narrow, wide = width * 0.35, width
    for _ in range(7):
        middle = (narrow + wide) / 2
        if len(break_lines(text, face, middle)) <= count:
            wide = middle
        else:
            narrow = middle
    return break_lines(text, face, wide)


def _is_wide(character: str) -> bool:
    """Whether a line may break beside it. Korean is written with spaces."""
    return unicodedata.east_asian_width(character) in {"W", "F"} and not is_hangul(character)


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


class PromptCaption:
    """The prompt and a title, with a soft shadow so that they are legible on any background."""

    def __init__(self, size: tuple[int, int], text: str, *, title: str = "", above: bool = False) -> None:
        """``above`` puts the text at the top, where it doesn't cover the caption of a source clip."""
        width, height = size
        self.margin, _foot = frame_margins(size)
        alpha = Image.new("L", size, 0)
        clean = drawable_text(text)
        if min(size) >= _SMALLEST and (clean or title):
            self._draw_text(alpha, clean, title=title, above=above)
        cover = np.asarray(alpha, dtype=np.float32) / 255
        dark = 1 - (1 - _text_shadow(alpha)) * (1 - _foot_shade(width, height))
        self.keep = np.asarray((1 - cover) * (1 - dark), dtype=np.float32)
        self.add = np.asarray(cover * 216, dtype=np.float32)
        halves = (height // 2, 2, width // 2, 2)
        self.keep_half = np.asarray(self.keep.reshape(halves).mean(axis=(1, 3)), dtype=np.float32)

    def _draw_text(self, alpha: Image.Image, text: str, *, title: str, above: bool) -> None:
        width, height = alpha.size
        short = min(width, height)
        across = min(width - 2 * self.margin, max(width * 0.64, short * 0.84))
        size, lines = fit_text(text, short, (across, height * 0.5))
        pen = ImageDraw.Draw(alpha)
        foot = round(height - self.margin * 1.15 - short * 0.075)
        top = foot - line_height(size) * len(lines) if text else foot
        top = self.margin if above else top
        face = load_font(size, language_of(text))
        for number, line in enumerate(lines if text else []):
            pen.text((self.margin, top + number * line_height(size)), line, fill=255, font=face)
        if title:
            small = max(9, round(short * 0.026))
            bar = max(2, round(short * 0.003))
            place = top - round(small * 2.3)
            pen.rectangle((self.margin, place, self.margin + small * 2, place + bar - 1), fill=235)
            pen.text(
                (self.margin, place + small * 0.45),
                title,
                fill=235,
                font=load_font(small, language_of(title + text)),
            )

    def apply(self, canvas: Canvas, opacity: float) -> None:
        """Paint with ``opacity`` from 0 to 1."""
        if opacity <= 0:
            return
        luma, *chroma = canvas.planes
        share = np.float32(opacity)
        if opacity >= 1:
            luma *= self.keep
            luma += self.add
        else:
            luma *= 1 - share * (1 - self.keep)
            luma += share * self.add
        for plane in chroma:
            plane *= 1 - share * (1 - self.keep_half)


class TimecodeStrip:
    """The timecode HH:MM:SS:FF, a progress line, and the studio's mark."""

    def __init__(self, size: tuple[int, int], *, frames: int, fps: int, mark: bool, clock: bool) -> None:
        self.size, self.frames, self.fps, self.clock = size, frames, fps, clock
        self.shown = min(size) >= _SMALLEST
        self.margin, self.foot = frame_margins(size)
        self.type_size = max(9, round(min(size) * 0.024))
        self.thickness = max(2, round(min(size) * 0.0032) // 2 * 2)
        self.glyphs = {sign: _text_mask(sign, self.type_size) for sign in "0123456789:"}
        self.mark = _text_mask("filmgate studio", self.type_size) * np.float32(0.8) if mark else None

    def apply(self, canvas: Canvas, index: int) -> None:
        """Paint for frame ``index``, counted from 0."""
        if not self.shown:
            return
        row = (self.foot - round(self.type_size * 1.75)) // 2 * 2
        if self.mark is not None:
            place = (self.size[0] - self.margin - self.mark.shape[1]) // 2 * 2
            canvas.paint_white(self.mark, left=place, top=row)
        if self.clock:
            self._write_time(canvas, index, row)
            self._draw_line(canvas, (index + 1) / self.frames)

    def _write_time(self, canvas: Canvas, index: int, row: int) -> None:
        seconds, frame = divmod(index, self.fps)
        text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}:{frame:02}"
        line = np.concatenate([self.glyphs[sign] for sign in text], axis=1)
        canvas.paint_white(line * np.float32(0.92), left=self.margin // 2 * 2, top=row)

    def _draw_line(self, canvas: Canvas, share: float) -> None:
        length = self.size[0] - 2 * self.margin
        done = np.clip(length * share - np.arange(length, dtype=np.float32), 0, 1)
        alpha = np.broadcast_to(0.26 + 0.66 * done, (self.thickness, length))
        canvas.paint_white(np.asarray(alpha, np.float32), left=self.margin // 2 * 2, top=self.foot // 2 * 2)


def frame_margins(size: tuple[int, int]) -> tuple[int, int]:
    """The side margin and the row of the progress line, in pixels."""
    side = max(4, round(max(min(size) * 0.075, size[0] * 0.045)) // 2 * 2)
    return side, size[1] - max(4, round(min(size) * 0.06))


def _text_mask(text: str, size: int) -> Plane:
    face = load_font(size)
    picture = Image.new("L", (max(2, round(face.getlength(text))), round(size * 1.6)), 0)
    ImageDraw.Draw(picture).text((0, 0), text, fill=255, font=face)
    return np.asarray(np.asarray(picture) / 255, dtype=np.float32)


def _text_shadow(alpha: Image.Image) -> Plane:
    """A wide shade around the text and a close shadow behind it."""
    box = alpha.getbbox()
    if box is None:
        return np.zeros((alpha.height, alpha.width), np.float32)
    short = min(alpha.size)
    close = np.asarray(alpha.filter(ImageFilter.GaussianBlur(short * 0.006)), dtype=np.float32) / 255
    block = Image.new("L", alpha.size, 0)
    grow = round(short * 0.02)
    ImageDraw.Draw(block).rectangle((box[0] - grow, box[1], box[2] + grow, box[3]), fill=255)
    eighth = block.resize((max(1, alpha.width // 8), max(1, alpha.height // 8)))
    soft = eighth.filter(ImageFilter.GaussianBlur(short * 0.1 / 8)).resize(
        alpha.size, Image.Resampling.BICUBIC
    )
    wide = np.asarray(soft, dtype=np.float32) / 255
    return np.asarray(1 - (1 - 0.5 * close) * (1 - 0.34 * wide), dtype=np.float32)


def _foot_shade(width: int, height: int) -> Plane:
    rows = (np.arange(height, dtype=np.float32) / height - 0.78) / 0.22
    shade = np.asarray(0.45 * np.clip(rows, 0, 1) ** 1.3, dtype=np.float32)
    return np.broadcast_to(shade[:, None], (height, width))
