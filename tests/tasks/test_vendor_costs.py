"""What a vendor charges us beside what the key pays, on both stores: its own word, else its list price times the factor."""

import csv
import io
import json
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.catalog.price import read_price
from app.db.operator_tables import usage_days, usage_hours
from app.db.tables import usage
from app.health import count_spending
from app.ops.metrics import VENDOR_COST_TODAY
from app.tasks.task import Task
from app.usage.balance import find_differences
from app.usage.reports import UsageLine, UsageSpan, sum_lines
from app.usage.statement_files import statement_file
from app.usage.statements import make_statement, read_statement_span
from tests.tasks.conftest import KEY, Bench
from tests.upstream.vendors.runway import RunwayServer
from tests.upstream.vendors.xai import XAIServer

PRICE = Decimal("0.5")


class QuietRunway(RunwayServer):
    """It does not say what a task cost."""

    async def poll_job(self, request: Request) -> Response:
        response = await super().poll_job(request)
        assert isinstance(response, JSONResponse)
        told = json.loads(bytes(response.body))
        told.pop("cost", None)
        return JSONResponse(told, response.status_code)


@pytest.fixture(scope="module")
def grok() -> Iterator[XAIServer]:
    with XAIServer() as server:
        yield server


@pytest.fixture(scope="module")
def runway() -> Iterator[QuietRunway]:
    with QuietRunway() as server:
        yield server


async def sold(bench: Bench, **told: Any) -> Task:
    await bench.components.money.prices.set_price("sora-2", read_price({"per_call": str(PRICE)}))
    if not bench.workers:
        await bench.work()
    return await bench.ended(await bench.create(**told))


async def report(bench: Bench) -> UsageLine:
    """The sums by hour and by day, once they are seen to be those of the rows."""
    async with bench.components.database.read() as connection:
        assert await find_differences(connection) == []
        for table in (usage_days, usage_hours):
            side = table.c.side == "key" if "side" in table.c else sa.true()
            summed = (
                await connection.execute(sa.select(sa.func.sum(table.c.vendor_cost)).where(side))
            ).scalar()
            rows = (await connection.execute(sa.select(sa.func.sum(usage.c.vendor_cost)))).scalar()
            assert (summed or 0) == (rows or 0)
    now = time.time()
    return sum_lines(
        await bench.components.money.reports.usage_lines(("model",), UsageSpan(now - 86_400, now + 60))
    )


async def test_the_vendors_own_word_counts_before_its_list_price(bench: Bench, grok: XAIServer) -> None:
    grok.reset()
    await bench.account(
        provider="xai",
        url=grok.url,
        kinds=frozenset({"video"}),
        models={"sora-2": "grok-imagine-video"},
        cost_factor=0.5,
    )
    task = await sold(bench)
    assert (task.state, task.cost) == ("completed", PRICE)
    found = await report(bench)
    assert (found.cost, found.vendor_cost, found.margin) == (PRICE, Decimal("0.35"), Decimal("0.15"))


@pytest.mark.parametrize(("factor", "cost"), [(1.0, Decimal("0.12")), (0.75, Decimal("0.09")), (0.0, 0)])
async def test_the_list_price_counts_times_the_accounts_factor(
    bench: Bench, runway: QuietRunway, factor: float, cost: Decimal
) -> None:
    runway.reset()
    await bench.account(
        provider="runway", url=runway.url, models={"sora-2": "gen4.5"}, cost_factor=factor, sizes="nearest"
    )
    task = await sold(bench, seconds=5, size="1280x720")
    assert (task.state, task.cost) == ("completed", PRICE), task.error_message
    found = await report(bench)
    assert (found.vendor_cost, found.unknown_costs) == (cost, 0)  # a film of one second


async def test_a_failed_film_that_the_vendor_charged_has_a_cost_and_no_sale(bench: Bench) -> None:
    bench.upstream.script(final="failed", error={"message": "no"}, failed_usage={"cost": 0.2})
    await bench.account()
    task = await sold(bench)
    assert (task.state, task.cost, task.money) == ("failed", Decimal(0), "released")
    found = await report(bench)
    assert (found.cost, found.vendor_cost, found.margin) == (0, Decimal("0.2"), Decimal("-0.2"))


async def test_a_cancelled_film_that_the_vendor_charged_is_in_the_reports(bench: Bench) -> None:
    """Its end is read once more when the client cancels; that answer has the bill, and says that nothing was made."""
    bench.upstream.script(statuses=["in_progress"])
    await bench.account()
    await bench.components.money.prices.set_price("sora-2", read_price({"per_call": str(PRICE)}))
    await bench.work()
    task = await bench.reaches(await bench.create(), "running")
    bench.upstream.script(final="failed", error={"message": "no"}, failed_usage={"cost": 0.3})
    await bench.components.tasks.cancel(task)
    ended = await bench.ended(task)
    assert ended.money == "released"
    found = await report(bench)
    assert (found.requests, found.cost, found.vendor_cost) == (1, 0, Decimal("0.3"))


async def test_the_cost_of_a_held_task_stays_when_the_operator_decides(bench: Bench) -> None:
    bench.upstream.script(final="expired", raw_fields='"usage": {"cost": 0.4}')
    await bench.account()
    task = await sold(bench)
    assert (task.state, task.money) == ("failed", "held")
    assert (await report(bench)).vendor_cost == Decimal("0.4")
    await bench.components.money.billing.settle_held(task.id, Decimal("0.5"))
    found = await report(bench)
    assert (found.requests, found.cost, found.vendor_cost) == (1, Decimal("0.5"), Decimal("0.4"))


async def test_a_relay_may_say_the_cost_in_a_header(bench: Bench) -> None:
    bench.upstream.script(submit_headers={"x-litellm-response-cost": "0.07"})
    await bench.account()
    assert (await sold(bench)).state == "completed"
    assert (await report(bench)).vendor_cost == Decimal("0.07")


async def test_metrics_show_it_by_provider_and_a_holders_statement_never(
    bench: Bench, grok: XAIServer
) -> None:
    grok.reset()
    await bench.account(
        provider="xai", url=grok.url, kinds=frozenset({"video"}), models={"sora-2": "grok-imagine-video"}
    )
    await sold(bench)
    await count_spending(bench.components, now=time.time())
    assert VENDOR_COST_TODAY.labels("xai")._value.get() == 0.35
    span = read_statement_span({}, KEY.id, now=time.time())
    statement = await make_statement(bench.components.money.reports, KEY, span, now=time.time())
    plain, whole = [
        list(csv.reader(io.StringIO((await statement_file(statement, "csv", "en", **more)).decode())))
        for more in ({}, {"with_costs": True})
    ]
    assert not any("Cost" in line or "0.35" in line for line in plain)
    heading = next(line for line in whole if line and line[0] == "Model")
    assert heading[-2:] == ["Cost", "Margin"]
    assert next(line for line in whole if line and line[0] == "Total")[-3:] == ["0.50", "0.35", "0.15"]
    drawn = await statement_file(statement, "pdf", "zh", with_costs=True)
    assert drawn.startswith(b"%PDF")
