"""A statement as texts in a language, and these as CSV or PDF."""

import asyncio
import csv
import io
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Literal

from app.db.tables import format_money
from app.errors import InvalidRequest, RateLimited, ServiceUnavailable
from app.usage.reports import UsageLine, safe_cell
from app.usage.statements import KeyStatement

Language = Literal["en", "zh"]
FileForm = Literal["csv", "pdf"]
MEDIA_TYPES: Mapping[FileForm, str] = {"csv": "text/csv; charset=utf-8", "pdf": "application/pdf"}
ROOT = Path(__file__).parent.parent.parent
DOLLARS = "USD"
PDF_SECONDS = 60.0
MOST_WAITING = 16
"""Statements that wait to be drawn; each takes half a second of a processor."""
WORDS: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "title": "Statement",
        "key": "Key",
        "id": "Key ID",
        "project": "Project",
        "period": "Period",
        "zone": "Time zone of days",
        "currency": "Currency",
        "dollars": "US dollars (USD)",
        "model": "Model",
        "films": "Films",
        "seconds": "Seconds of film",
        "calls": "Calls",
        "tokens_in": "Input tokens",
        "tokens_out": "Output tokens",
        "amount": "Amount",
        "vendor_cost": "Cost",
        "margin": "Margin",
        "total": "Total",
        "budget": "Total budget",
        "opening": "Left of it before the first day",
        "closing": "Left of it after the last day",
        "nothing": "Nothing was used in this period.",
    },
    "zh": {
        "title": "对账单",
        "key": "令牌",
        "id": "令牌 ID",
        "project": "项目",
        "period": "期间",
        "zone": "日期所用时区",
        "currency": "币种",
        "dollars": "美元 (USD)",
        "model": "模型",
        "films": "视频数",
        "seconds": "视频秒数",
        "calls": "调用次数",
        "tokens_in": "输入 token",
        "tokens_out": "输出 token",
        "amount": "金额",
        "vendor_cost": "成本",
        "margin": "毛利",
        "total": "合计",
        "budget": "总预算",
        "opening": "期初余额",
        "closing": "期末余额",
        "nothing": "本期间没有用量。",
    },
}
HEADING = ("model", "films", "seconds", "calls", "tokens_in", "tokens_out", "amount")
COSTS = ("vendor_cost", "margin")
"""For the operator alone: what vendors charge."""


@dataclass(frozen=True, slots=True)
class StatementSheet:
    """All texts of a statement, as they are printed."""

    title: str
    facts: list[tuple[str, str]]
    heading: list[str]
    rows: list[list[str]]
    total: list[str]
    budget: list[tuple[str, str]]
    nothing: str


def read_language(text: str) -> Language:
    """Raises ``InvalidRequest``."""
    if text not in ("", "en", "zh"):
        raise InvalidRequest("lang must be en or zh", param="lang")
    return "zh" if text == "zh" else "en"


def read_form(text: str) -> FileForm:
    """Raises ``InvalidRequest``."""
    if text not in ("", "csv", "pdf"):
        raise InvalidRequest("format must be csv or pdf", param="format")
    return "pdf" if text == "pdf" else "csv"


def write_sheet(
    statement: KeyStatement, language: Language, *, currency: str = DOLLARS, with_costs: bool = False
) -> StatementSheet:
    """``with_costs``: beside what the key pays also what vendors charge, which its holder must not see."""
    words, key = WORDS[language], statement.key
    facts = {
        "key": key.name,
        "id": key.id,
        "project": key.project or "",
        "period": f"{statement.first_day} – {statement.last_day}",
        "zone": statement.span.zone.key,
        "currency": words["dollars"] if currency == DOLLARS else currency,
    }
    budget: dict[str, Decimal] = {}
    if statement.budget is not None:
        whole = statement.budget.budget
        budget = {
            "budget": whole,
            "opening": whole - statement.budget.opening,
            "closing": whole - statement.budget.closing,
        }
    return StatementSheet(
        title=words["title"],
        facts=[(words[name], text) for name, text in facts.items() if text],
        heading=[words[name] for name in (*HEADING, *(COSTS if with_costs else ()))],
        rows=[_row_texts(line, line.model or "", with_costs) for line in statement.lines],
        total=_row_texts(statement.total, words["total"], with_costs),
        budget=[(words[name], format_money(amount)) for name, amount in budget.items()],
        nothing="" if statement.lines else words["nothing"],
    )


def _row_texts(line: UsageLine, name: str, with_costs: bool) -> list[str]:
    counts = (line.requests, line.input_tokens, line.output_tokens)
    costs = [_known(line.known_vendor_cost), _known(line.margin)] if with_costs else []
    amount = format_money(line.cost)
    return [name, str(line.films), f"{line.film_seconds:g}", *map(str, counts), amount, *costs]


def _known(amount: Decimal | None) -> str:
    return "–" if amount is None else format_money(amount)


async def statement_file(
    statement: KeyStatement,
    form: FileForm,
    language: Language,
    *,
    currency: str = DOLLARS,
    with_costs: bool = False,
) -> bytes:
    """``currency``: what its amounts are called. Raises ``RateLimited`` when too many are being drawn, and ``ServiceUnavailable`` when that fails."""
    sheet = write_sheet(statement, language, currency=currency, with_costs=with_costs)
    return sheet_as_csv(sheet) if form == "csv" else await PRINTER.print_sheet(sheet)


def sheet_as_csv(sheet: StatementSheet) -> bytes:
    """What heads the statement line by line, then its table; no cell can be a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    lines: list[list[str]] = [
        [sheet.title],
        *map(list, sheet.facts),
        [],
        sheet.heading,
        *sheet.rows,
        sheet.total,
    ]
    if sheet.budget:
        lines += [[], *map(list, sheet.budget)]
    writer.writerows([safe_cell(cell) for cell in line] for line in lines)
    return ("\ufeff" + text.getvalue()).encode()  # without a byte order mark Excel does not read UTF-8


class SheetPrinter:
    """Draws PDFs, one at a time, each in a process of its own: what draws them takes memory that a server never needs
    again."""

    def __init__(self) -> None:
        self._drawing = asyncio.Semaphore(1)
        self._waiting = 0

    async def print_sheet(self, sheet: StatementSheet) -> bytes:
        if self._waiting >= MOST_WAITING:
            raise RateLimited("Many statements are being drawn.", retry_after=5)
        self._waiting += 1
        try:
            async with self._drawing, asyncio.timeout(PDF_SECONDS):
                return await _draw_sheet(sheet)
        except TimeoutError:
            raise ServiceUnavailable("The statement could not be drawn in time.", retry_after=30) from None
        finally:
            self._waiting -= 1


async def _draw_sheet(sheet: StatementSheet) -> bytes:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "app.usage.statement_pdf",
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        drawn, _ = await child.communicate(json.dumps(asdict(sheet)).encode())
    finally:
        if child.returncode is None:
            child.kill()
    if child.returncode != 0 or not drawn.startswith(b"%PDF"):
        raise ServiceUnavailable("The statement could not be drawn.")
    return drawn


PRINTER = SheetPrinter()
