"""Statements of a key: their sums are the ledger's, in any zone, and they can be read as CSV and PDF in two languages."""

import csv
import io
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from app.catalog.price import ModelPrice
from app.db.tables import ledger, usage
from app.errors import InvalidRequest
from app.keys.key import ClientKey
from app.usage.recorder import UsageRecorder, UsageRow
from app.usage.reports import UsageReports
from app.usage.statement_files import sheet_as_csv, statement_file, write_sheet
from app.usage.statements import KeyStatement, make_statement, read_statement_span
from app.usage.zones import start_of_day
from tests.tasks.conftest import Bench, bench, upstream

__all__ = ["bench", "upstream"]
SHOP = ClientKey(id="shop", name="=商店 <b>shop</b>", owner="key:shop", budget_total=Decimal(100))
SHANGHAI = {"zone": "Asia/Shanghai"}


async def statement_of(bench: Bench, **query: str) -> KeyStatement:
    now = time.time()
    span = read_statement_span(query, SHOP.id, now=now)
    return await make_statement(bench.components.money.reports, SHOP, span, now=now)


async def booked(bench: Bench, since: float, until: float) -> Decimal:
    """What the ledger and the rows of calls say of a time."""
    held = ledger.alias()
    settled = (
        sa.select(sa.func.sum(ledger.c.amount))
        .join(held, sa.and_(held.c.task_id == ledger.c.task_id, held.c.kind == "reserve"))
        .where(ledger.c.kind == "settle", ledger.c.key_id == SHOP.id, held.c.at >= since, held.c.at < until)
    )
    calls = sa.select(sa.func.sum(usage.c.cost)).where(
        usage.c.task_id.is_(None), usage.c.key_id == SHOP.id, usage.c.at >= since, usage.c.at < until
    )
    async with bench.components.database.read() as connection:
        sums = [(await connection.execute(query)).scalar() or Decimal(0) for query in (settled, calls)]
    return sum(sums, Decimal(0))


async def test_the_sums_are_those_of_the_ledger(bench: Bench) -> None:
    await bench.account()
    prices = bench.components.money.prices
    await prices.set_price("sora-2", ModelPrice(per_call=Decimal("0.123456789")))
    await bench.work()
    for task in [await bench.create(f"film {n}", key=SHOP) for n in range(3)]:
        assert (await bench.ended(task)).state == "completed"
    recorder = UsageRecorder(bench.components.database)
    now = time.time()
    for back in (0, 40, 80):
        recorder.add_row(
            UsageRow(now - back * 86_400, SHOP.id, "a", "chat", "x", 200, 1.0, 5, 7, Decimal("1.5"))
        )
    assert await recorder.flush()
    today = datetime.now(ZoneInfo("Asia/Shanghai")).date()
    month = await statement_of(bench, month=f"{today:%Y-%m}", **SHANGHAI)
    for found in (month, await statement_of(bench, **{"from": "2026-01-01", "to": str(today)}, **SHANGHAI)):
        expected = await booked(bench, found.span.since, found.span.until)
        assert found.total.cost == expected == sum(line.cost for line in found.lines)
    films = next(line for line in month.lines if line.model == "sora-2")
    assert (films.films, films.requests, films.cost) == (3, 3, 3 * Decimal("0.123456789"))
    assert films.film_seconds > 0
    assert month.budget is not None
    assert month.budget.closing - month.budget.opening == month.total.cost
    assert month.budget.closing == await booked(bench, 0, now + 1)


async def test_csv_and_pdf_say_the_same_in_two_languages(bench: Bench) -> None:
    recorder = UsageRecorder(bench.components.database)
    recorder.add_row(UsageRow(time.time(), SHOP.id, "a", "=模型", "x", 200, 1.0, 5, 7, Decimal("1.5")))
    assert await recorder.flush()
    found = await statement_of(bench, **SHANGHAI)
    rows = list(csv.reader(io.StringIO(sheet_as_csv(write_sheet(found, "zh")).decode("utf-8-sig"))))
    assert (
        rows[0] == ["对账单"]
        and ["令牌", "'=商店 <b>shop</b>"] in rows
        and ["日期所用时区", "Asia/Shanghai"] in rows
    )
    assert ["'=模型", "0", "0", "1", "5", "7", "1.50"] in rows and [
        "合计",
        "0",
        "0",
        "1",
        "5",
        "7",
        "1.50",
    ] in rows
    assert rows[-3:] == [["总预算", "100.00"], ["期初余额", "100.00"], ["期末余额", "98.50"]]
    english = sheet_as_csv(write_sheet(found, "en")).decode("utf-8-sig")
    assert english.startswith("Statement\r\n") and "US dollars (USD)" in english
    other = sheet_as_csv(write_sheet(found, "en", currency="CNY")).decode("utf-8-sig")
    assert other == english.replace("US dollars (USD)", "CNY")
    for language in ("en", "zh"):
        drawn = await statement_file(found, "pdf", language)
        assert drawn.startswith(b"%PDF") and b"STSong-Light" in drawn and drawn.rstrip().endswith(b"%%EOF")


async def test_a_key_without_usage_has_a_statement_too(bench: Bench) -> None:
    found = await statement_of(bench, month="2026-02")
    sheet = write_sheet(found, "en")
    assert (sheet.rows, sheet.total[-1], bool(sheet.nothing)) == ([], "0.00", True)
    assert (await statement_file(found, "pdf", "en")).startswith(b"%PDF")
    assert isinstance(bench.components.money.reports, UsageReports)


def test_days_of_a_statement_are_read_or_refused() -> None:
    now = datetime(2026, 11, 30, 20, tzinfo=UTC).timestamp()
    zone = ZoneInfo("Asia/Shanghai")
    december = read_statement_span(SHANGHAI, "k", now=now)  # there it is the first of December
    assert (december.since, december.until) == (
        start_of_day(date(2026, 12, 1), zone),
        start_of_day(date(2027, 1, 1), zone),
    )
    span = read_statement_span({"from": "2026-11-03", "to": "2026-11-03", **SHANGHAI}, "k", now=now)
    assert span.until - span.since == timedelta(days=1).total_seconds()
    for wrong, param in (
        ({"month": "2026-13"}, "month"), ({"month": "2026-11", "from": "2026-11-01"}, "month"),
        ({"from": "2026-11-02", "to": "2026-11-01"}, "from"), ({"from": "2020-01-01", "to": "2026-11-01"}, "from"),
        ({"zone": "Mars/Base"}, "zone"), ({"to": "soon"}, "to"),
    ):  # fmt: skip
        with pytest.raises(InvalidRequest) as told:
            read_statement_span(wrong, "k", now=now)
        assert told.value.param == param
