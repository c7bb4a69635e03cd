"""A relayed call holds the most that it can cost, whatever form its numbers have, and costs that when it is left."""

import asyncio
import json
import os
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from app.catalog.price import read_price
from tests.relay.gateway import CHAT, RelayGateway
from tests.relay.lenient_upstream import LenientUpstream
from tests.relay.plain_upstream import STREAM_HEAD, Exchange, plain_upstream
from tests.relay.test_metering import key_with, spent

BUDGET = Decimal(1)
PARALLEL = int(os.environ.get("FILMGATE_TEST_PARALLEL_CALLS", "30"))
TEN_DOLLARS = {"per_million_output": 10}
ODD_FORMS: list[dict[str, Any]] = [
    {},
    {"max_tokens": 60_000},
    {"max_tokens": 60_000.0},
    {"max_tokens": 1e7},
    {"max_tokens": "60000"},
    {"max_tokens": -1},
    {"max_tokens": None},
    {"max_tokens": 1, "max_completion_tokens": 60_000},
    {"max_tokens": 60_000, "max_completion_tokens": 1},
    {"max_tokens": 1000, "n": 60},
    {"max_tokens": 1000, "n": "60"},
    {"max_tokens": 1000, "n": 60.0, "best_of": 60},
    {"options": {"num_predict": 60_000}, "max_tokens": 1},
    {"generationConfig": {"maxOutputTokens": 1000, "candidateCount": 60}, "max_tokens": 1},
]


@pytest.mark.parametrize("fields", ODD_FORMS, ids=json.dumps)
async def test_a_budget_holds_for_every_form_of_a_limit(
    gateway: RelayGateway, fields: dict[str, Any]
) -> None:
    vendor = LenientUpstream()
    await gateway.prices.set_price("bot", read_price(TEN_DOLLARS))
    headers = await key_with(gateway, budget_total=str(BUDGET))
    body = {"model": "bot", "messages": [{"role": "user", "content": "hi"}]} | fields
    async with plain_upstream(vendor.answer) as upstream:
        await gateway.add_account(upstream.origin)
        calls = (gateway.client.post(CHAT, json=body, headers=headers) for _ in range(PARALLEL))
        answers = await asyncio.gather(*calls)
    assert {answer.status_code for answer in answers} <= {200, 429}
    bought = Decimal(vendor.tokens) * 10 / 1_000_000
    await gateway.recorder.flush()
    print(f"{PARALLEL} calls at once with {json.dumps(fields)}: bought ${bought:.2f} of ${BUDGET}")
    assert bought <= BUDGET
    assert await spent(gateway) == bought


@pytest.mark.parametrize(
    ("text", "param"),
    [
        ('"max_tokens": true', "max_tokens"),
        ('"max_tokens": [1]', "max_tokens"),
        ('"max_tokens": "many"', "max_tokens"),
        ('"max_tokens": "0x10"', "max_tokens"),
        ('"max_tokens": 1e400', "max_tokens"),
        ('"max_tokens": NaN', None),
        ('"max_tokens": 1%s' % ("0" * 200), "max_tokens"),
        ('"n": {}', "n"),
        ('"n": "Infinity"', "n"),
        ('"options": {"num_predict": "all"}', "options.num_predict"),
        ('"stream": "true"', "stream"),
        ('"models": ["dear"]', "models"),
    ],
)
async def test_a_limit_that_is_no_number_is_refused_by_name(
    gateway: RelayGateway, text: str, param: str | None
) -> None:
    vendor = LenientUpstream()
    await gateway.prices.set_price("bot", read_price(TEN_DOLLARS))
    async with plain_upstream(vendor.answer) as upstream:
        await gateway.add_account(upstream.origin)
        refused = await gateway.client.post(
            CHAT,
            content=f'{{"model": "bot", "messages": [], {text}}}',
            headers=await key_with(gateway, budget_total="100000"),
        )
        assert not upstream.seen
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)


async def test_a_price_that_does_not_count_on_a_path_is_not_free_there(gateway: RelayGateway) -> None:
    vendor = LenientUpstream()
    await gateway.prices.set_price("bot", read_price({"per_second": "0.01"}))
    async with plain_upstream(vendor.answer) as upstream:
        await gateway.add_account(upstream.origin)
        refused = await gateway.send_chat()
        assert not upstream.seen
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "model")
    assert "per_second" in refused.json()["error"]["message"]


async def test_calls_that_are_left_before_an_answer_cost_what_was_held(gateway: RelayGateway) -> None:
    arrived = asyncio.Semaphore(0)

    async def answer(exchange: Exchange) -> None:
        arrived.release()
        await exchange.wait_for_hangup()

    await gateway.prices.set_price("bot", read_price(TEN_DOLLARS))
    headers = await key_with(gateway, budget_total="10")
    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin)
        for _ in range(9):
            body = {"model": "bot", "messages": [], "max_tokens": 101_000}
            call = asyncio.create_task(gateway.client.post(CHAT, json=body, headers=headers))
            await arrived.acquire()
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
        rows = await gateway.usage_rows(9)
        refused = await gateway.client.post(
            CHAT, json={"model": "bot", "max_tokens": 101_000}, headers=headers
        )
    assert [row.cost for row in rows] == [Decimal("1.01")] * 9
    assert [row.status for row in rows] == [499] * 9
    assert refused.status_code == 429


async def test_a_stream_that_is_cut_costs_what_it_stated_or_what_was_held(gateway: RelayGateway) -> None:
    usage = b'data: {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 500}}\n\n'
    pieces = [[b'data: {"choices": [{}]}\n\n'], [b'data: {"choices": [{}]}\n\n', usage]]

    async def answer(exchange: Exchange) -> None:
        await exchange.write(STREAM_HEAD)
        for piece in pieces.pop(0):
            await exchange.write_event(piece)

    await gateway.prices.set_price("bot", read_price(TEN_DOLLARS))
    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin)
        for _ in range(2):
            answered = await gateway.send_chat(stream=True, max_tokens=2000)
            assert b"error" in answered.content
    assert [row.cost for row in await gateway.usage_rows(2)] == [Decimal("0.02"), Decimal("0.005")]


async def test_a_call_that_never_left_costs_nothing(gateway: RelayGateway) -> None:
    await gateway.prices.set_price("bot", read_price(TEN_DOLLARS))
    await gateway.add_account("http://127.0.0.1:9")
    refused: httpx2.Response = await gateway.send_chat()
    assert refused.status_code == 502
    [row] = await gateway.usage_rows()
    assert row.cost == 0
