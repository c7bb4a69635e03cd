"""What relayed calls cost, and what stops them: models, addresses, requests a minute, budgets."""

import asyncio
import gzip
from decimal import Decimal
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from app.catalog.price import read_price
from app.db.tables import spending
from app.usage.balance import find_differences
from tests.relay.gateway import CHAT, RelayGateway
from tests.relay.plain_upstream import Exchange, plain_upstream, whole_answer
from tests.upstream import FakeUpstream

PRICE = {"per_call": "0.001", "per_million_input": 1, "per_million_output": 10}
COST = Decimal("0.001037")  # of the scripted answer: 7 tokens read, 3 written


async def key_with(gateway: RelayGateway, **fields: Any) -> dict[str, str]:
    """Headers of a client with a key of its own."""
    _, raw = await gateway.keys.create_key({"name": "limited"} | fields)
    return {"Authorization": f"Bearer {raw}"}


async def ask(gateway: RelayGateway, headers: dict[str, str], **fields: Any) -> httpx2.Response:
    return await gateway.client.post(CHAT, json={"model": "bot", "messages": []} | fields, headers=headers)


async def spent(gateway: RelayGateway) -> Decimal:
    """By all keys, after the sums were checked."""
    async with gateway.database.read() as connection:
        assert await find_differences(connection) == []
        query = sa.select(spending.c.spent).where(spending.c.period == "total")
        return sum((await connection.execute(query)).scalars(), Decimal(0))


async def test_a_call_costs_what_its_answer_states(gateway: RelayGateway, upstream: FakeUpstream) -> None:
    await gateway.add_account(upstream.url)
    await gateway.send_chat()
    await gateway.prices.set_price("bot", read_price(PRICE))
    await gateway.send_chat()
    await gateway.send_chat(stream=True, stream_options={"include_usage": True})
    rows = await gateway.usage_rows(3)
    assert [row.cost for row in rows] == [Decimal(0), COST, COST]
    assert await spent(gateway) == 2 * COST


async def test_a_stream_without_usage_is_not_free(gateway: RelayGateway) -> None:
    async def answer(exchange: Exchange) -> None:
        body = b"".join(b'data: {"choices": [], "n": %d}\n\n' % n for n in range(200))
        await exchange.write(whole_answer(body, extra=b"Content-Type: text/event-stream\r\n"))

    await gateway.prices.set_price("bot", read_price(PRICE))
    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin)
        await gateway.send_chat(stream=True)
    [row] = await gateway.usage_rows()
    assert row.output_tokens is None
    assert row.cost > Decimal("0.001")
    assert await spent(gateway) == row.cost


async def test_a_refused_call_costs_nothing_and_a_broken_one_what_was_held(gateway: RelayGateway) -> None:
    answers = [
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 500 Sorry\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{",
        b"",
        b"HTTP/1.1 504 Late\r\nContent-Length: 2\r\n\r\n{}",
    ]

    async def answer(exchange: Exchange) -> None:
        await exchange.write(answers.pop(0))

    await gateway.prices.set_price("bot", read_price(PRICE))
    headers = await key_with(gateway, budget_total="0.1")
    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin)
        for status in (400, 500):
            assert (await ask(gateway, headers, max_tokens=1000)).status_code == status
        with pytest.raises(httpx2.RemoteProtocolError):
            await ask(gateway, headers, max_tokens=1000)
        for status in (502, 504):
            assert (await ask(gateway, headers, max_tokens=1000)).status_code == status
    held = Decimal("0.011") + Decimal("0.00003")  # 1000 tokens out, and at most 30 in
    assert [row.cost for row in await gateway.usage_rows(5)] == [0, 0, held, held, held]
    assert await spent(gateway) == 3 * held


async def test_a_budget_stops_parallel_calls_before_they_are_sent(
    gateway: RelayGateway, upstream: FakeUpstream
) -> None:
    await gateway.add_account(upstream.url)
    await gateway.prices.set_price("bot", read_price({"per_call": "0.01"}))
    headers = await key_with(gateway, budget_daily="0.1")
    answers = await asyncio.gather(*(ask(gateway, headers) for _ in range(40)))
    assert sorted(answer.status_code for answer in answers) == [200] * 10 + [429] * 30
    assert upstream.counters().keys == {"sk-up-first": 10}
    refused = next(answer for answer in answers if answer.status_code == 429)
    error = refused.json()["error"]
    assert (error["type"], error["code"]) == ("insufficient_quota", "insufficient_quota")
    assert refused.headers["x-should-retry"] == "false"
    assert 0 < int(refused.headers["retry-after"]) <= 86400
    await gateway.usage_rows(10)
    assert (await ask(gateway, headers)).status_code == 429
    assert await spent(gateway) == Decimal("0.1")


async def test_a_model_that_a_key_may_not_use_is_403(gateway: RelayGateway, upstream: FakeUpstream) -> None:
    await gateway.add_account(upstream.url)
    refused = await ask(gateway, await key_with(gateway, models=["sora-2", "veo*"]))
    assert (refused.status_code, refused.json()["error"]["type"]) == (403, "permission_error")
    assert refused.json()["error"]["param"] == "model"
    assert (await ask(gateway, await key_with(gateway, models=["bo*"]))).status_code == 200


async def test_a_key_from_another_network_is_403(gateway: RelayGateway, upstream: FakeUpstream) -> None:
    await gateway.add_account(upstream.url)
    refused = await ask(gateway, await key_with(gateway, networks=["10.0.0.0/8"]))
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "ip_not_allowed")
    # The proxy beside us is believed, as `filmgate serve` does it; nobody else would be.
    headers = await key_with(gateway, networks=["10.0.0.0/8"])
    assert (await ask(gateway, headers | {"X-Forwarded-For": "10.1.2.3"})).status_code == 200
    assert (await ask(gateway, await key_with(gateway, networks=["127.0.0.0/8"]))).status_code == 200


async def test_requests_per_minute_are_limited_and_reported(gateway: RelayGateway) -> None:
    async def answer(exchange: Exchange) -> None:
        extra = b"x-ratelimit-limit-requests: 99999\r\nContent-Encoding: gzip\r\n"
        await exchange.write(whole_answer(gzip.compress(b"{}"), extra=extra))

    headers = await key_with(gateway, rpm=2)
    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin)
        answers = [await ask(gateway, headers) for _ in range(3)]
        unlimited = await gateway.send_chat()
    assert [one.status_code for one in answers] == [200, 200, 429]
    # Ours, not those of the account that served it.
    assert [one.headers["x-ratelimit-limit-requests"] for one in answers] == ["2"] * 3
    assert [one.headers["x-ratelimit-remaining-requests"] for one in answers] == ["1", "0", "0"]
    assert answers[2].json()["error"]["type"] == "rate_limit_error"
    assert 1 <= int(answers[2].headers["retry-after"]) <= 60
    assert 0 < int(answers[2].headers["retry-after-ms"]) <= 60_000
    assert unlimited.headers["x-ratelimit-limit-requests"] == "99999"
