"""Draws a statement as PDF: ``python -m app.usage.statement_pdf`` reads its texts as JSON and writes the file to stdout.

Chinese is set in a font that every PDF reader has, which the file names and does not hold: it stays small, and no font has
to be shipped.
"""

import io
import json
import sys
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.pdfmetrics import registerFont
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

LATIN, BOLD, CHINESE = "Helvetica", "Helvetica-Bold", "STSong-Light"
INK, QUIET, LINE = HexColor("#1e1c19"), HexColor("#59544c"), HexColor("#cdc6b9")
WIDTHS = (58 * mm, 15 * mm, 24 * mm, 17 * mm, 22 * mm, 22 * mm, 22 * mm)
WIDE = (46 * mm, 13 * mm, 20 * mm, 14 * mm, 17 * mm, 17 * mm, 18 * mm, 18 * mm, 18 * mm)
"""With what vendors charge beside what the key pays."""
MARGIN = 15 * mm


def draw_sheet(sheet: Mapping[str, Any]) -> bytes:
    """``sheet``: the fields of ``StatementSheet``."""
    registerFont(UnicodeCIDFont(CHINESE))
    target = io.BytesIO()
    document = SimpleDocTemplate(
        target,
        pagesize=A4,
        title=sheet["title"],
        author="Filmgate",
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=MARGIN,
        bottomMargin=MARGIN,
    )
    parts: list[Flowable] = [_cell(sheet["title"], size=20, strong=True), Spacer(0, 6 * mm)]
    parts += [_pairs(sheet["facts"]), Spacer(0, 6 * mm), _table(sheet)]
    if sheet["nothing"]:
        parts += [Spacer(0, 4 * mm), _cell(sheet["nothing"])]
    if sheet["budget"]:
        parts += [Spacer(0, 6 * mm), _pairs(sheet["budget"], right=True)]
    document.build(parts, onFirstPage=_draw_number, onLaterPages=_draw_number)
    return target.getvalue()


def _cell(text: str, *, size: float = 9, strong: bool = False, right: bool = False) -> Paragraph:
    """Latin letters in Helvetica, anything else in the Chinese font."""
    style = ParagraphStyle(
        "cell",
        fontName=BOLD if strong else LATIN,
        fontSize=size,
        leading=size * 1.35,
        textColor=INK,
        alignment=TA_RIGHT if right else 0,
        wordWrap="CJK",  # a name without spaces is broken too
    )
    return Paragraph(_in_fonts(text), style)


def _in_fonts(text: str) -> str:
    runs: list[tuple[bool, str]] = []
    for letter in text:
        latin = letter in "–" or ord(letter) < 256
        if runs and runs[-1][0] == latin:
            runs[-1] = latin, runs[-1][1] + letter
        else:
            runs.append((latin, letter))
    return "".join(
        escape(run) if latin else f'<font name="{CHINESE}">{escape(run)}</font>' for latin, run in runs
    )


def _pairs(pairs: Sequence[Sequence[str]], *, right: bool = False) -> Table:
    rows = [[_cell(name), _cell(value, strong=True, right=right)] for name, value in pairs]
    return Table(
        rows, colWidths=(60 * mm, 40 * mm if right else 120 * mm), hAlign="LEFT", style=_no_padding()
    )


def _no_padding() -> TableStyle:
    return TableStyle([("LEFTPADDING", (0, 0), (-1, -1), 0), ("VALIGN", (0, 0), (-1, -1), "TOP")])


def _table(sheet: Mapping[str, Any]) -> Table:
    def row(cells: Sequence[str], *, strong: bool = False) -> list[Paragraph]:
        return [_cell(cell, strong=strong, right=place > 0) for place, cell in enumerate(cells)]

    rows = [row(sheet["heading"], strong=True), *map(row, sheet["rows"]), row(sheet["total"], strong=True)]
    style = _no_padding()
    style.add("LINEBELOW", (0, 0), (-1, 0), 0.8, QUIET)
    style.add("LINEBELOW", (0, 1), (-1, -2), 0.3, LINE)
    style.add("LINEABOVE", (0, -1), (-1, -1), 0.8, QUIET)
    widths = WIDTHS if len(sheet["heading"]) == len(WIDTHS) else WIDE
    return Table(rows, colWidths=widths, repeatRows=1, hAlign="LEFT", style=style)


def _draw_number(canvas: Any, document: Any) -> None:
    canvas.setFont(LATIN, 8)
    canvas.setFillColor(QUIET)
    canvas.drawRightString(A4[0] - MARGIN, 8 * mm, str(document.page))


if __name__ == "__main__":
    sys.stdout.buffer.write(draw_sheet(json.load(sys.stdin)))
