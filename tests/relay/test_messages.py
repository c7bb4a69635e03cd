"""Anthropic's messages: unchanged where the upstream speaks that API, else translated to chat."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.relay.gateway import RelayGateway, running_gateway
from tests.relay.plain_upstream import STREAM_HEAD, Exchange, plain_upstream, whole_answer
from tests.upstream import FakeUpstream, closed_port

MESSAGES = "/v1/messages"
BODY: dict[str, Any] = {"model": "bot", "max_tokens": 64, "messages": [{"role": "user", "content": "hi"}]}
STARTED = (
    b'event: message_start\ndata: {"type": "message_start", "message": {"usage": {"input_tokens": 9,'
    b' "cache_read_input_tokens": 20, "output_tokens": 1}}}\n\n'
)
ENDED = b'event: message_delta\ndata: {"type": "message_delta", "usage": {"output_tokens": 40}}\n\n'
CHUNK = b'data: {"id": "c1", "choices": [{"index": 0, "delta": {"content": "%b"}}]}\n\n'
LAST = b'data: {"id": "c1", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n'
USED = b'data: {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2}}\n\n'


async def say(gateway: RelayGateway, **fields: Any) -> Any:
    return await gateway.client.post(MESSAGES, json={**BODY, **fields})


def events(text: str) -> list[tuple[str, dict[str, Any]]]:
    told = []
    for block in text.strip().split("\n\n"):
        name, data = block.split("\n")
        told.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return told


async def test_native_upstreams_get_the_request_unchanged(gateway: RelayGateway) -> None:
    answered = b'{"type":"message", "usage": {"input_tokens": 3, "output_tokens": 5} }'

    async def answer(exchange: Exchange) -> None:
        await exchange.write(whole_answer(answered, extra=b"Request-Id: req_theirs\r\n"))

    sent = b'{"odd": 1.50, "model":"bot", "max_tokens": 1, "tools": [{"type": "web_search_20250305"}]}'
    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin, provider="anthropic")
        response = await gateway.client.post(MESSAGES, content=sent, headers={"anthropic-beta": "x"})
        newer = await gateway.client.post(MESSAGES, content=sent, headers={"anthropic-version": "2026-10-21"})
        first, second = upstream.seen
    assert (response.content, newer.status_code) == (answered, 200)
    assert response.headers["request-id"] == "req_theirs"
    assert first.body == sent.replace(b'"bot"', b'"vendor-bot"')
    assert b"post /v1/messages http" in first.head.lower()
    head = first.head.lower()
    assert b"anthropic-version: 2023-06-01" in head and b"anthropic-beta: x" in head
    assert b"x-api-key: sk-up-first" in head and b"bearer" not in head
    assert b"anthropic-version: 2026-10-21" in second.head.lower()
    assert b"2023-06-01" not in second.head
    rows = await gateway.usage_rows(2)
    assert (rows[0].path, rows[0].input_tokens, rows[0].output_tokens) == (MESSAGES, 3, 5)


async def test_usage_of_a_long_native_stream_is_read_from_both_ends(gateway: RelayGateway) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.write(STREAM_HEAD)
        await exchange.write_event(STARTED)
        for _ in range(40):
            await exchange.write_event(b"event: ping\ndata: %b\n\n" % (b"x" * 1000))
        await exchange.write_event(ENDED)
        await exchange.write(b"0\r\n\r\n")

    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin, provider="anthropic")
        response = await say(gateway, stream=True)
    assert response.content.startswith(STARTED) and response.content.endswith(ENDED)
    [row] = await gateway.usage_rows()
    assert (row.input_tokens, row.output_tokens) == (29, 40)


async def test_a_native_stream_that_breaks_off_ends_with_an_error_event(gateway: RelayGateway) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.write(STREAM_HEAD)
        await exchange.write_event(STARTED)

    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin, provider="anthropic")
        response = await say(gateway, stream=True)
    name, told = events(response.text)[-1]
    assert (name, told["type"], told["error"]["type"]) == ("error", "error", "api_error")
    [row] = await gateway.usage_rows()
    assert row.status == 502


async def test_requests_and_answers_are_translated(gateway: RelayGateway, upstream: FakeUpstream) -> None:
    await gateway.add_account(upstream.url)
    response = await say(gateway, system="Be kind.", top_k=3, metadata={"user_id": "u1"})
    assert response.json() == {
        "id": "msg_fake",
        "type": "message",
        "role": "assistant",
        "model": "bot",
        "content": [{"type": "text", "text": "Hello from upstream", "citations": None}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "stop_details": None,
        "container": None,
        "usage": {
            "input_tokens": 7,
            "output_tokens": 3,
            "cache_read_input_tokens": 0,
            "cache_creation_input_tokens": 0,
            "cache_creation": None,
            "server_tool_use": None,
            "service_tier": None,
            "inference_geo": None,
        },
    }
    assert response.headers["request-id"] == response.headers["x-request-id"]
    seen = upstream.counters().last["chat"]
    assert seen.fields == {
        "model": "vendor-bot",
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "hi"}],
        "max_tokens": 64,
        "top_k": 3,
        "user": "u1",
    }
    assert seen.headers["authorization"] == "Bearer sk-up-first"
    assert seen.headers["content-type"] == "application/json"
    [row] = await gateway.usage_rows()
    assert (row.path, row.status, row.input_tokens, row.output_tokens) == (MESSAGES, 200, 7, 3)


async def test_a_translated_stream_is_not_buffered(gateway: RelayGateway) -> None:
    go_on = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        await exchange.write(STREAM_HEAD)
        await exchange.write_event(CHUNK % b"He")
        await go_on.wait()
        await exchange.write_event(b": keep-alive\n\n" + (CHUNK % b"llo")[:20])
        await exchange.write_event((CHUNK % b"llo")[20:] + LAST.replace(b"\n", b"\r\n"))
        await exchange.write_event(USED + b"data: [DONE]\n\n")
        await exchange.write(b"0\r\n\r\n")

    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin)
        async with gateway.client.stream("POST", MESSAGES, json={**BODY, "stream": True}) as response:
            assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
            pieces = response.aiter_text()
            text = await anext(pieces)
            while '"He"' not in text:
                text += await anext(pieces)
            go_on.set()
            text += "".join([piece async for piece in pieces])
        asked = json.loads(upstream.seen[0].body)
    assert asked["stream_options"] == {"include_usage": True}
    told = events(text)
    assert [name for name, _ in told] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "ping",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert told[-2][1]["usage"]["input_tokens"] == 7
    assert told[-2][1]["delta"]["stop_reason"] == "end_turn"
    [row] = await gateway.usage_rows()
    assert (row.status, row.input_tokens, row.output_tokens) == (200, 7, 2)


@pytest.mark.parametrize(
    "rest",
    [b"", b'data: {"error": {"message": "overheated"}}\n\n', b"data: {broken\n\n"],
    ids=["cut", "error", "garbage"],
)
async def test_a_translated_stream_that_fails_ends_with_an_error_event(
    gateway: RelayGateway, rest: bytes
) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.write(STREAM_HEAD)
        await exchange.write_event(CHUNK % b"He")
        if rest:
            await exchange.write_event(rest)
            await exchange.wait_for_hangup()

    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin)
        response = await say(gateway, stream=True)
    name, told = events(response.text)[-1]
    assert (name, told["error"]["type"]) == ("error", "api_error")
    assert b"overheated" not in rest or told["error"]["message"] == "overheated"
    [row] = await gateway.usage_rows()
    assert row.status == 502


async def test_a_stream_without_a_finish_reason_is_broken(gateway: RelayGateway) -> None:
    """The upstream closes its stream cleanly without a finish reason."""

    async def answer(exchange: Exchange) -> None:
        await exchange.write(STREAM_HEAD)
        await exchange.write_event(CHUNK % b"He")
        await exchange.write(b"0\r\n\r\n")

    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin)
        response = await say(gateway, stream=True)
    assert events(response.text)[-1][0] == "error"


async def test_silent_upstreams_time_out(tmp_path: Path) -> None:
    async def answer(exchange: Exchange) -> None:
        if b'"stream"' in exchange.body:
            await exchange.write(STREAM_HEAD)
            await exchange.write_event(CHUNK % b"He")
        await exchange.wait_for_hangup()

    async with running_gateway(tmp_path, silence_seconds=1) as gateway, plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin)
        streamed = await say(gateway, stream=True)
        asked = await say(gateway)
    assert events(streamed.text)[-1][0] == "error"
    assert asked.status_code == 502
    assert asked.headers["x-should-retry"] == "false"
    assert asked.json()["error"]["type"] == "api_error"


@pytest.mark.parametrize("begun", [True, False])
async def test_a_disconnect_closes_the_upstream_connection(gateway: RelayGateway, begun: bool) -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        asked.set()
        if begun:
            await exchange.write(STREAM_HEAD)
            await exchange.write_event(USED)
        await exchange.wait_for_hangup()
        left.set()

    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin)
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        body = json.dumps({**BODY, "stream": True}).encode()
        writer.write(
            b"POST %b HTTP/1.1\r\nHost: x\r\nx-api-key: %b\r\nContent-Length: %d\r\n\r\n%b"
            % (MESSAGES.encode(), gateway.key.encode(), len(body), body)
        )
        async with asyncio.timeout(60):
            await asked.wait()
            if begun:
                await reader.readuntil(b"message_start")
            writer.close()
            await left.wait()
        [row] = await gateway.usage_rows()
    assert (row.status, row.input_tokens) == (499, 7 if begun else None)


async def test_an_upstream_that_can_not_stream(gateway: RelayGateway) -> None:
    called = {"id": "t", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    said = {
        "choices": [{"message": {"content": "Hi", "tool_calls": [called]}, "finish_reason": "tool_calls"}]
    }

    async def answer(exchange: Exchange) -> None:
        await exchange.write(whole_answer(json.dumps(said).encode()))

    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin)
        response = await say(gateway, stream=True)
    told = events(response.text)
    assert [e["content_block"]["type"] for name, e in told if name == "content_block_start"] == [
        "text",
        "tool_use",
    ]
    assert told[-2][1]["delta"]["stop_reason"] == "tool_use"


@pytest.mark.parametrize(
    ("answered", "message"),
    [
        (b"<html>", "can't be read"),
        (b"[1]", "can't be read"),
        (b'{"choices": []}', "without a message"),
        (b'{"error": {"message": "too hot"}}', "too hot"),
    ],
)
async def test_unreadable_answers(gateway: RelayGateway, answered: bytes, message: str) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.write(whole_answer(answered))

    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin)
        response = await say(gateway)
    assert response.status_code == 502, response.text
    assert message in response.json()["error"]["message"]
    [row] = await gateway.usage_rows()
    assert row.status == 502


async def test_a_translated_refusal_has_anthropics_form(
    gateway: RelayGateway, upstream: FakeUpstream
) -> None:
    await gateway.add_account(upstream.url)
    told = {"error": {"message": "slow down", "type": "x", "param": None, "code": "rate_limit_exceeded"}}
    upstream.fault("chat", status=429, body=told, headers={"Retry-After": "40"})
    response = await say(gateway)
    assert (response.status_code, response.headers["retry-after"]) == (429, "40")
    assert response.json() == {"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}}
    resting = await say(gateway)
    assert resting.json()["error"]["type"] == "overloaded_error"
    assert resting.json()["error"]["message"].startswith("No available tokens for chat generation. 1 cooling")


async def test_failover_from_one_api_to_the_other(gateway: RelayGateway, upstream: FakeUpstream) -> None:
    await gateway.add_account(f"http://127.0.0.1:{closed_port()}", provider="anthropic", name="dead")
    await gateway.add_account(upstream.url, name="alive")
    for _ in range(3):
        response = await say(gateway)
        assert response.json()["content"][0]["text"] == "Hello from upstream"


async def test_a_server_configured_for_both_apis(gateway: RelayGateway) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.write(whole_answer(b'{"type": "message"}'))

    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin, options={"messages": True})
        assert (await say(gateway)).json() == {"type": "message"}
        assert b"POST /v1/messages " in upstream.seen[0].head


@pytest.mark.parametrize(
    ("fields", "status", "kind", "message"),
    [
        ({"model": "nobody"}, 400, "invalid_request_error", "model: Invalid model: nobody"),
        ({"model": None}, 400, "invalid_request_error", "model: model is required"),
        ({"max_tokens": None}, 400, "invalid_request_error", "max_tokens: max_tokens is required"),
        (
            {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
            400,
            "invalid_request_error",
            "tools.0.type: a tool of type web_search_20250305 can't be translated for this model's upstream",
        ),
    ],
)
async def test_errors_have_anthropics_form(
    gateway: RelayGateway,
    upstream: FakeUpstream,
    fields: dict[str, Any],
    status: int,
    kind: str,
    message: str,
) -> None:
    await gateway.add_account(upstream.url)
    response = await say(gateway, **fields)
    told = response.json()
    assert response.status_code == status
    assert (told["type"], told["error"]) == ("error", {"type": kind, "message": message})
    assert told["request_id"] == response.headers["request-id"] == response.headers["x-request-id"]
    assert "chat" not in upstream.counters().requests


async def test_unknown_keys(gateway: RelayGateway) -> None:
    gateway.client.headers["Authorization"] = "Bearer nobody"
    response = await say(gateway)
    assert response.status_code == 401
    assert response.json()["error"] == {"type": "authentication_error", "message": "Invalid API key"}


async def test_tokens_are_estimated_where_nobody_counts_them(gateway: RelayGateway) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.write(whole_answer(b'{"input_tokens": 9}'))

    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin, name="chat only", models={"bot": "x"})
        await gateway.add_account(
            upstream.origin, name="native", provider="anthropic", models={"claude": "y"}
        )
        counted = await gateway.client.post(f"{MESSAGES}/count_tokens", json={**BODY, "model": "claude"})
        long = [{"role": "user", "content": "word " * 100}]
        estimated = await gateway.client.post(f"{MESSAGES}/count_tokens", json={**BODY, "messages": long})
        refused = await gateway.client.post(f"{MESSAGES}/count_tokens", json={"model": "bot"})
        unknown = await gateway.client.post(f"{MESSAGES}/count_tokens", json={**BODY, "model": "z"})
        assert len(upstream.seen) == 1
    assert counted.json() == {"input_tokens": 9}
    told = estimated.json()
    assert told["estimated"] is True and 100 <= told["input_tokens"] <= 200
    assert estimated.headers["x-token-count"] == "estimated"
    assert (refused.status_code, refused.json()["error"]["message"]) == (
        400,
        "messages: messages is required",
    )
    assert unknown.status_code == 400
