"""A stream is charged by its usage, whether the client asked for that or not, and the client sees what it asked for."""

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest

from app.catalog.price import read_price
from app.relay.usage_filter import UsageFilter
from tests.relay.gateway import RelayGateway
from tests.relay.plain_upstream import STREAM_HEAD, Exchange, plain_upstream, whole_answer

PRICE = {"per_million_input": 1, "per_million_output": 10}
USAGE = {"prompt_tokens": 20_000, "completion_tokens": 200_000, "total_tokens": 220_000}
COST = Decimal("2.02")


def stream_events(*, with_usage: bool, spaced: bool, end: str) -> bytes:
    """As OpenAI streams them; the text names its usage too, and a tool call has a field of that name."""
    separators = (", ", ": ") if spaced else (",", ":")
    told: dict[str, Any] = {"usage": None} if with_usage else {}
    deltas = [{"content": 'say "usage":null, "usage": {}'}, {"content": "é\n\n"}, {}]
    chunks: list[dict[str, Any]] = [
        {"id": "c1", "choices": [{"index": 0, "delta": delta}], **told, "model": "vendor-bot"}
        for delta in deltas
    ]
    if with_usage:
        chunks.append({"id": "c1", "choices": [], "usage": USAGE, "model": "vendor-bot"})
    texts = [json.dumps(chunk, separators=separators) for chunk in chunks]
    return "".join(f"data: {text}{end}" for text in [": wait", *texts, "[DONE]"]).encode()


async def stream_as_asked(exchange: Exchange, *, spaced: bool, end: str, size: int) -> None:
    """As a server does that states its usage only on request; in pieces of ``size`` bytes."""
    asked = json.loads(exchange.body).get("stream_options", {}).get("include_usage", False)
    body = stream_events(with_usage=asked, spaced=spaced, end=end)
    await exchange.write(STREAM_HEAD)
    for at in range(0, len(body), size):
        await exchange.write_event(body[at : at + size])
        await asyncio.sleep(0)
    await exchange.write(b"0\r\n\r\n")


@pytest.mark.parametrize(
    ("spaced", "end", "size"), [(False, "\n\n", 4096), (True, "\r\n\r\n", 7), (True, "\n\n", 1)]
)
async def test_a_stream_without_usage_costs_its_usage_and_stays_as_it_was(
    gateway: RelayGateway, spaced: bool, end: str, size: int
) -> None:
    async def answer(exchange: Exchange) -> None:
        await stream_as_asked(exchange, spaced=spaced, end=end, size=size)

    asked = {"stream": True, "stream_options": {"include_usage": True}}
    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin)
        free = await gateway.send_chat(stream=True)
        await gateway.prices.set_price("bot", read_price(PRICE))
        priced = await gateway.send_chat(stream=True)
        unasked = await gateway.send_chat(stream=True, stream_options={"include_usage": False})
        full = await gateway.send_chat(**asked)
        bodies = [seen.body for seen in upstream.seen]
    without = stream_events(with_usage=False, spaced=spaced, end=end)
    assert [each.content for each in (free, priced, unasked)] == [without] * 3
    assert full.content == stream_events(with_usage=True, spaced=spaced, end=end)
    assert b"stream_options" not in bodies[0]
    assert bodies[1] == bodies[0][:-1] + b',"stream_options":{"include_usage":true}}'
    assert [row.cost for row in await gateway.usage_rows(4)] == [0, COST, COST, COST]


async def test_a_server_that_knows_no_stream_options_is_asked_once(gateway: RelayGateway) -> None:
    async def answer(exchange: Exchange) -> None:
        if b"stream_options" in exchange.body:
            await exchange.write(whole_answer(b'{"error": "what?"}', status="400 Bad Request"))
            return
        body = stream_events(with_usage=False, spaced=False, end="\n\n")
        await exchange.write(whole_answer(body, kind="text/event-stream"))

    await gateway.prices.set_price("bot", read_price(PRICE))
    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin)
        for _ in range(2):
            assert (await gateway.send_chat(stream=True)).status_code == 200
        assert [b"stream_options" in seen.body for seen in upstream.seen] == [True, False, False]
    for row in await gateway.usage_rows(2):
        assert 0 < row.cost < Decimal("0.01")


async def test_a_refused_stream_is_refused_in_the_words_for_the_clients_own_request(
    gateway: RelayGateway,
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.write(whole_answer(b"%d" % len(upstream.seen), status="400 Bad Request"))

    await gateway.prices.set_price("bot", read_price(PRICE))
    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin)
        refused = await gateway.send_chat(stream=True)
        assert b"stream_options" not in upstream.seen[-1].body
    assert (refused.status_code, refused.content) == (400, b"2")
    [row] = await gateway.usage_rows()
    assert row.cost == 0


async def test_what_a_model_thought_counts_where_only_the_total_says_so(gateway: RelayGateway) -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 1110}

    async def answer(exchange: Exchange) -> None:
        await exchange.write(whole_answer(json.dumps({"choices": [], "usage": usage}).encode()))

    await gateway.prices.set_price("bot", read_price({"per_million_output": 10}))
    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin)
        await gateway.send_chat()
    [row] = await gateway.usage_rows()
    assert (row.output_tokens, row.cost) == (1010, Decimal("0.0101"))


def test_a_stream_without_an_end_is_not_kept() -> None:
    hidden = UsageFilter()
    passed = sum(len(hidden.feed(b"x" * 4096)) for _ in range(1000))
    assert passed + len(hidden.close()) == 4096 * 1000
    assert passed > 4096 * 900
