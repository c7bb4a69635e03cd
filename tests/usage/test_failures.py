"""Failed tasks and failed relayed calls count in every report."""

import time
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from app.catalog.price import ModelPrice
from app.db.operator_tables import usage_days
from app.db.tables import usage
from app.usage.reports import UsageLine, UsageReports, UsageSpan, as_csv
from tests.relay.conftest import gateway
from tests.relay.gateway import RelayGateway
from tests.tasks.conftest import Bench, bench, upstream
from tests.upstream import FakeUpstream

__all__ = ["bench", "gateway", "upstream"]
BROKEN: dict[str, Any] = {"status": 500, "body": {"error": {"message": "broken", "code": "server_error"}}}


async def total(bench: Bench) -> UsageLine:
    now = time.time()
    [line] = await UsageReports(bench.components.database).usage_lines(
        (), UsageSpan(since=now - 86400, until=now + 1)
    )
    return line


async def day_sums(bench: Bench) -> tuple[int, int, Decimal]:
    columns = (sa.func.sum(usage_days.c[name]) for name in ("requests", "failed", "cost"))
    async with bench.components.database.read() as connection:
        return tuple((await connection.execute(sa.select(*columns))).one())


async def test_a_failed_task_is_a_failed_request_and_a_cancelled_one_is_none(bench: Bench) -> None:
    await bench.account()
    bench.upstream.fault("create", prompt="broken", times=None, **BROKEN)
    waits = await bench.create("cancelled")
    await bench.components.tasks.cancel(waits)
    await bench.work()
    for prompt in ("broken", "broken too", "a kite"):
        await bench.ended(await bench.create(prompt))
    line = await total(bench)
    assert (line.requests, line.failed) == (3, 2)
    assert "3,2" in as_csv([line], ())
    requests, failed, _ = await day_sums(bench)
    assert (requests, failed) == (3, 2)


@pytest.mark.parametrize("amount", [Decimal("0.30"), None], ids=["charged", "released"])
async def test_a_task_that_is_settled_later_stays_one_request(bench: Bench, amount: Decimal | None) -> None:
    await bench.account()
    await bench.components.money.prices.set_price("sora-2", ModelPrice(per_call=Decimal("0.50")))
    bench.upstream.fault("create", do="reset", accepts=True)
    await bench.work()
    task = await bench.ended(await bench.create())
    assert task.error_code == "submission_unknown"
    line = await total(bench)
    assert (line.requests, line.failed, line.cost) == (1, 1, 0)
    await bench.components.money.billing.settle_held(task.id, amount)
    line = await total(bench)
    assert (line.requests, line.failed, line.cost) == (1, 1, amount or 0)
    requests, failed, cost = await day_sums(bench)
    assert (requests, failed, cost) == (1, 1, amount or 0)
    async with bench.components.database.read() as connection:
        assert len((await connection.execute(sa.select(usage))).all()) == 1


async def test_failed_calls_count_whoever_refused_them(gateway: RelayGateway, upstream: FakeUpstream) -> None:
    account = await gateway.add_account(upstream.url)
    upstream.fault("chat", **BROKEN)
    assert (await gateway.send_chat()).status_code == 500
    await gateway.pool.disable(account.id, reason="test")
    assert (await gateway.send_chat()).status_code == 503
    assert (await gateway.send_chat(model="unknown")).status_code == 400
    rows = await gateway.usage_rows(2)
    assert [row.status for row in rows] == [500, 503]
    now = time.time()
    [line] = await UsageReports(gateway.database).usage_lines((), UsageSpan(since=now - 86400, until=now + 1))
    assert (line.requests, line.failed) == (2, 2)
