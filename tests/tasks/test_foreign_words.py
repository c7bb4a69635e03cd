"""A vendor that says half characters, NUL and absurd numbers loses no film, keeps no slot and takes no fortune."""

import json
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from app.db.tables import keys, webhook_deliveries
from app.webhooks.notice_options import NoticeOptions
from tests.tasks.conftest import Bench, until
from tests.tasks.test_billing import PURSE, money, priced

HALF = "cut \\ud83d short \\u0000"
"""In JSON: half a surrogate pair, and NUL."""
ERROR = f'{{"error": {{"message": "{HALF}", "code": "x{HALF}", "param": "{HALF}"}}}}'


@pytest.mark.parametrize("status", [400, 429])
async def test_a_refusal_in_odd_words_is_a_plain_refusal(bench: Bench, status: int) -> None:
    bench.upstream.fault("create", status=status, text=ERROR, times=1)
    await bench.account()
    await priced(bench)
    await bench.work()
    task = await bench.create(key=PURSE)
    if status == 400:
        task = await bench.ended(task)
        assert (task.state, task.error_code) == ("failed", "invalid_request")
        assert task.error_message and "cut \ufffd short" in task.error_message
        assert await money(bench) == (0, 0)
        return
    [cooling] = await until(lambda: _cooldowns(bench))
    assert "cut \ufffd short" in cooling.reason
    await bench.reaches(task, "queued")


async def _cooldowns(bench: Bench) -> list[Any]:
    return [
        each
        for status in await bench.components.pool.current_statuses()
        for each in status.cooldowns.values()
    ]


async def test_a_paid_film_is_not_lost_to_a_word(bench: Bench) -> None:
    """In the answer that accepts the job, and in those that say how it goes."""
    deep = "[" * 3000 + "]" * 3000
    odd = f'"note": "{HALF}", "{HALF}": {deep}, "nan": NaN, "progress": -1e999, "created_at": {"9" * 5000}'
    usage = f'"usage": {{"credits": 1e999, "{HALF}": "{HALF}", "completion_tokens": {"9" * 5000}, "deep": {deep}}}'
    bench.upstream.script(raw_fields=f"{odd}, {usage}")
    await bench.account()
    await bench.work()
    task = await bench.ended(await bench.create())
    assert task.state == "completed"
    assert bench.upstream.counters().jobs == 1


@pytest.mark.parametrize(
    ("price", "fields", "cost"),
    [
        ({"per_second": "0.1"}, {"seconds": "100000000000000"}, "0.3"),
        ({"per_call": "0.1", "per_unit": {"credits": "0.01"}}, {"usage": {"credits": 5e6}}, "0.3"),
        ({"per_unit": {"credits": "0.01"}}, {"usage": {"credits": 5e6}}, "0.5"),
        ({"per_unit": {"credits": "0.01"}}, {"usage": {"credits": "7"}}, "0.07"),
        (
            {"per_call": "0.1"},
            {"usage": {"completion_tokens": int("9" * 400), "prompt_tokens": -1, HALF: HALF}},
            "0.1",
        ),
    ],
    ids=["seconds", "credits", "credits-alone", "believed", "tokens"],
)
async def test_a_vendors_figures_charge_no_fortune(
    bench: Bench, price: dict[str, Any], fields: dict[str, Any], cost: str
) -> None:
    """The budget is $0.50, one second is asked for."""
    bench.upstream.script(raw_fields=json.dumps(fields)[1:-1])
    receiver = {"name": "pager", "url": "https://example.com/x", "topics": ["cost_limited"]}
    await bench.components.options.write(NoticeOptions, {"receivers": [receiver]})
    async with bench.components.database.write() as connection:
        known = {
            "id": PURSE.id,
            "name": "purse",
            "hash": "x",
            "created_at": 0,
            "budget_total": PURSE.budget_total,
        }
        await connection.execute(sa.insert(keys), known)
    await bench.account()
    await priced(bench, **price)
    await bench.work()
    task = await bench.ended(await bench.create(key=PURSE, seconds=1))
    assert (task.state, task.cost) == ("completed", Decimal(cost))
    assert await money(bench) == (0, Decimal(cost))
    limited = cost in {"0.3", "0.5"}
    assert ("cost.limited" in await bench.timeline(task)) == limited
    async with bench.components.database.read() as connection:
        told = list((await connection.execute(sa.select(webhook_deliveries.c.body))).scalars())
    assert [json.loads(body)["data"]["charged"] for body in told] == ([f"{cost:0<4}"] if limited else [])
