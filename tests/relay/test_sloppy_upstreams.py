"""Answers in another form than was asked for: the client gets the whole message, and is charged what it was."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest

from app.relay.other_forms import message_from_events
from tests.relay.gateway import RelayGateway
from tests.relay.plain_upstream import Answer, Exchange, plain_upstream, whole_answer

USED = {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}
MESSAGE = {"role": "assistant", "content": "Hi 😀 there", "tool_calls": [CALL]}
WHOLE = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": MESSAGE, "finish_reason": "stop"}],
        "usage": USED,
    }
).encode()
DELTAS: list[dict[str, Any]] = [
    {"role": "assistant", "content": "Hi 😀"},
    {"content": " there"},
    {"tool_calls": [{**CALL, "function": {"name": "look", "arguments": ""}}]},
    {"tool_calls": [{"function": {"arguments": '{"at": 1}'}}]},
]
TYPES = ("text/event-stream", "application/json", "text/plain; charset=utf-8")
HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}


def events(*, done: bool = True) -> bytes:
    chunks = [{**HEAD, "choices": [{"index": 0, "delta": delta}]} for delta in DELTAS]
    chunks.append({**HEAD, "choices": [], "usage": USED})
    text = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
    return (text + ("data: [DONE]\n\n" if done else "")).encode()


def always(body: bytes, kind: str, *, extra: bytes = b"", length: bool = True) -> Answer:
    async def answer(exchange: Exchange) -> None:
        if length:
            await exchange.write(whole_answer(body, kind=kind, extra=extra))
            return
        head = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ntransfer-encoding: chunked\r\n\r\n"
        await exchange.write(head % kind.encode())
        for at in range(0, len(body), 100):
            await exchange.write_event(body[at : at + 100])
        await exchange.write(b"0\r\n\r\n")

    return answer


def chunks_in(text: str) -> Iterator[dict[str, Any]]:
    for line in text.split("\n"):
        if line.startswith("data: {"):
            yield json.loads(line[6:])


async def ask(gateway: RelayGateway, answer: Answer, path: str, **fields: Any) -> Any:
    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin)
        body = {"model": "bot", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], **fields}
        return await gateway.client.post(f"/v1/{path}", json=body)


async def check_usage(gateway: RelayGateway) -> None:
    [row] = await gateway.usage_rows()
    assert (row.status, row.input_tokens, row.output_tokens) == (200, 7, 2)


# ---- chat ----


@pytest.mark.parametrize("kind", TYPES)
async def test_chat_that_streams_although_nobody_asked(gateway: RelayGateway, kind: str) -> None:
    response = await ask(gateway, always(events(), kind, length=False), "chat/completions")
    answer = response.json()
    [choice] = answer["choices"]
    assert (choice["message"], choice["finish_reason"]) == (MESSAGE, "tool_calls")
    assert (answer["usage"], answer["object"]) == (USED, "chat.completion")
    assert response.headers["content-type"] == "application/json"
    await check_usage(gateway)


@pytest.mark.parametrize("kind", TYPES[1:])
async def test_chat_that_calls_its_stream_something_else(gateway: RelayGateway, kind: str) -> None:
    answer = always(events(), kind, length=False)
    response = await ask(gateway, answer, "chat/completions", stream=True)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.content == events()
    await check_usage(gateway)


async def test_chat_that_does_not_stream(gateway: RelayGateway) -> None:
    response = await ask(gateway, always(WHOLE, "application/json"), "chat/completions", stream=True)
    assert response.headers["content-type"].startswith("text/event-stream")
    first, last = chunks_in(response.text)
    [choice] = first["choices"]
    assert choice["delta"] == {**MESSAGE, "tool_calls": [{"index": 0, **CALL}]}
    assert (choice["finish_reason"], first["object"]) == ("stop", "chat.completion.chunk")
    assert (last["choices"], last["usage"], response.text.endswith("data: [DONE]\n\n")) == ([], USED, True)
    await check_usage(gateway)


@pytest.mark.parametrize("streams", [True, False])
async def test_chat_that_compresses_all_the_same(gateway: RelayGateway, streams: bool) -> None:
    body, kind = (events(), TYPES[0]) if streams else (WHOLE, "application/json")
    packed = always(gzip.compress(body), kind, extra=b"Content-Encoding: gzip\r\n")
    response = await ask(gateway, packed, "chat/completions", stream=streams)
    assert response.content == body
    assert "content-encoding" not in response.headers
    await check_usage(gateway)


async def test_a_text_completion_that_streams_although_nobody_asked(gateway: RelayGateway) -> None:
    chunk = {"object": "text_completion", "choices": [{"index": 0, "text": "Hi"}]}
    stream = b"data: %b\n\n" % json.dumps(chunk).encode()
    response = await ask(gateway, always(stream * 2 + b"data: [DONE]\n\n", TYPES[0]), "completions")
    assert response.json()["choices"] == [{"index": 0, "text": "HiHi", "finish_reason": "stop"}]
    assert response.json()["object"] == "text_completion"


GZIP = b"Content-Encoding: gzip\r\n"
FAILED = b'data: {"error": {"message": "out of memory"}}\n\n'


@pytest.mark.parametrize(
    ("path", "body", "kind", "extra"),
    [
        ("chat/completions", events(done=False), TYPES[0], b""),
        ("chat/completions", FAILED, TYPES[0], b""),
        ("chat/completions", b"no gzip", TYPES[1], GZIP),
        ("messages", events(done=False), TYPES[0], b""),
        ("messages", FAILED, TYPES[0], b""),
        ("messages", b"no gzip", TYPES[1], GZIP),
        ("messages", gzip.compress(WHOLE)[:-30], TYPES[1], GZIP),
    ],
)
async def test_what_breaks_off_is_no_answer(
    gateway: RelayGateway, path: str, body: bytes, kind: str, extra: bytes
) -> None:
    response = await ask(gateway, always(body, kind, extra=extra), path)
    assert response.status_code == 502
    [row] = await gateway.usage_rows()
    assert row.status == 502


@pytest.mark.parametrize("path", ["chat/completions", "messages"])
async def test_a_compressed_refusal_is_read(gateway: RelayGateway, path: str) -> None:
    body = gzip.compress(json.dumps({"error": {"message": "slow down", "code": "rate_limit"}}).encode())

    async def refuse(exchange: Exchange) -> None:
        await exchange.write(whole_answer(body, status="429 Too Many Requests", extra=GZIP))

    response = await ask(gateway, refuse, path)
    assert (response.status_code, response.json()["error"]["message"]) == (429, "slow down")
    assert "content-encoding" not in response.headers


@pytest.mark.parametrize("path", ["chat/completions", "messages"])
@pytest.mark.parametrize("blanks", [b"\n" * 30, b": waiting\n\n" * 3, b"\xef\xbb\xbf"])
async def test_what_keeps_a_connection_alive_comes_first(
    gateway: RelayGateway, path: str, blanks: bytes
) -> None:
    response = await ask(gateway, always(blanks + events(), TYPES[1], length=False), path)
    assert response.status_code == 200 and "Hi 😀 there" in response.text
    await check_usage(gateway)


# ---- messages ----


def blocks_of(message: dict[str, Any]) -> Any:
    assert message["stop_reason"] == "tool_use"
    return [(block.get("text"), block.get("input")) for block in message["content"]]


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("packed", [True, False])
async def test_messages_from_a_server_that_streams_although_nobody_asked(
    gateway: RelayGateway, kind: str, packed: bool
) -> None:
    body = gzip.compress(events()) if packed else events()
    extra = b"Content-Encoding: gzip\r\n" if packed else b""
    response = await ask(gateway, always(body, kind, extra=extra), "messages")
    assert blocks_of(response.json()) == [("Hi 😀 there", None), (None, {"at": 1})]
    await check_usage(gateway)


@pytest.mark.parametrize("kind", TYPES)
async def test_messages_from_a_server_that_calls_its_stream_something_else(
    gateway: RelayGateway, kind: str
) -> None:
    response = await ask(gateway, always(events(), kind, length=False), "messages", stream=True)
    found = list(chunks_in(response.text))
    text = "".join(event["delta"].get("text", "") for event in found if "delta" in event)
    assert (text, found[-1]["type"]) == ("Hi 😀 there", "message_stop")
    assert found[-2]["delta"]["stop_reason"] == "tool_use"
    await check_usage(gateway)


@pytest.mark.parametrize("streams", [True, False])
async def test_halves_of_surrogate_pairs(gateway: RelayGateway, streams: bool) -> None:
    content = {"role": "assistant", "content": "Hi \ud83d there"}
    if streams:
        chunks = [{"content": "Hi \ud83d"}, {"content": "\ude00 there"}]
        stops = [None, "stop"]
        choices = [{"index": 0, "delta": d, "finish_reason": s} for d, s in zip(chunks, stops, strict=True)]
        body = "".join(f"data: {json.dumps({'choices': [choice]})}\n\n" for choice in choices).encode()
    else:
        body = json.dumps({"choices": [{"message": content, "finish_reason": "stop"}]}).encode()
    kind = TYPES[0] if streams else "application/json"
    response = await ask(gateway, always(body, kind), "messages", stream=streams)
    assert response.status_code == 200
    if streams:
        found = list(chunks_in(response.text))
        text = "".join(event["delta"].get("text", "") for event in found if "delta" in event)
        assert found[-1]["type"] == "message_stop"
    else:
        text = response.json()["content"][0]["text"]
    assert text.startswith("Hi ") and text.endswith(" there")


async def test_halves_of_surrogate_pairs_from_the_client(gateway: RelayGateway) -> None:
    async with plain_upstream(always(WHOLE, "application/json")) as upstream:
        await gateway.add_account(upstream.origin)
        body = b'{"model": "bot", "max_tokens": 9, "messages": [{"role": "user", "content": "\\ud83d"}]}'
        response = await gateway.client.post("/v1/messages", content=body)
        assert response.status_code == 200
        assert json.loads(upstream.seen[0].body)["messages"][0]["content"] == "\ud83d"


# ---- APIs that are passed through ----

NATIVE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "text", "text": "Hi 😀 there"},
        {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": 1}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 7, "output_tokens": 2},
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "output": [],
    "usage": {"input_tokens": 7, "output_tokens": 2},
}


def native_events() -> bytes:
    start = {**NATIVE, "content": [], "stop_reason": None, "usage": {"input_tokens": 7, "output_tokens": 1}}
    deltas: list[list[dict[str, Any]]] = [
        [{"type": "thinking_delta", "thinking": "hm"}, {"type": "signature_delta", "signature": "sig"}],
        [{"type": "text_delta", "text": "Hi 😀"}, {"type": "text_delta", "text": " there"}],
        [
            {"type": "input_json_delta", "partial_json": '{"at":'},
            {"type": "input_json_delta", "partial_json": " 1}"},
        ],
    ]
    empty = [{"thinking": "", "signature": ""}, {"text": ""}, {"input": {}}]
    told: list[dict[str, Any]] = [{"type": "message_start", "message": start}, {"type": "ping"}]
    for index, block in enumerate(NATIVE["content"]):
        told.append(
            {"type": "content_block_start", "index": index, "content_block": {**block, **empty[index]}}
        )
        told += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas[index]]
        told.append({"type": "content_block_stop", "index": index})
    ended = {"stop_reason": "tool_use", "stop_sequence": None}
    told += [
        {"type": "message_delta", "delta": ended, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ]
    return "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in told).encode()


async def ask_native(gateway: RelayGateway, answer: Answer, *, stream: bool) -> Any:
    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin, provider="anthropic")
        body = {"model": "bot", "max_tokens": 9, "messages": [], "stream": stream}
        return await gateway.client.post("/v1/messages", json=body)


@pytest.mark.parametrize("kind", TYPES)
async def test_native_messages_that_stream_although_nobody_asked(gateway: RelayGateway, kind: str) -> None:
    response = await ask_native(gateway, always(native_events(), kind, length=False), stream=False)
    assert response.json() == NATIVE
    await check_usage(gateway)


async def test_native_messages_whose_stream_is_called_json(gateway: RelayGateway) -> None:
    response = await ask_native(gateway, always(native_events(), TYPES[1], length=False), stream=True)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.content == native_events()
    await check_usage(gateway)


async def test_native_messages_that_do_not_stream(gateway: RelayGateway) -> None:
    whole = json.dumps(NATIVE).encode()
    response = await ask_native(gateway, always(whole, TYPES[1]), stream=True)
    assert json.loads(message_from_events(response.content)) == NATIVE
    await check_usage(gateway)


async def test_native_messages_that_break_off(gateway: RelayGateway) -> None:
    cut = native_events().partition(b"event: message_stop")[0]
    assert (await ask_native(gateway, always(cut, TYPES[0]), stream=False)).status_code == 502


async def test_responses_that_stream_although_nobody_asked(gateway: RelayGateway) -> None:
    told = [
        {"type": "response.created", "response": {}},
        {"type": "response.completed", "response": RESPONSE},
    ]
    stream = "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in told).encode()
    response = await ask(gateway, always(stream, TYPES[0]), "responses")
    assert response.json() == RESPONSE
    await check_usage(gateway)
