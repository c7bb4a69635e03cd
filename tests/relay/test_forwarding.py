"""Bytes are forwarded unchanged both ways; only the model's name and the key change."""

import asyncio
import gzip
import json

import pytest

from app import USER_AGENT
from tests.relay.gateway import CHAT, RelayGateway
from tests.relay.plain_upstream import STREAM_HEAD, Exchange, plain_upstream, whole_answer
from tests.upstream import FakeUpstream

ODD = b'{"usage": {"prompt_tokens": 3, "completion_tokens": 5},\n   "z":1.10, "text": "\\u00e9 \xc3\xa9" }\n'


async def test_the_answer_is_forwarded_byte_for_byte(gateway: RelayGateway) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.write(
            whole_answer(ODD, status="207 Odd", extra=b"X-Vendor: yes\r\nSet-Cookie: a=b\r\n")
        )

    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin)
        response = await gateway.send_chat()
    assert (response.status_code, response.content) == (207, ODD)
    assert response.headers["x-vendor"] == "yes"
    assert "set-cookie" not in response.headers
    assert response.headers["x-request-id"].startswith("req_")
    [row] = await gateway.usage_rows()
    assert (row.status, row.input_tokens, row.output_tokens) == (207, 3, 5)
    assert (row.model, row.path) == ("bot", CHAT)


async def test_the_request_is_forwarded_byte_for_byte_but_for_the_model(gateway: RelayGateway) -> None:
    sent = b'{ "messages" : [{"role":"user","content":"say \\"model\\": \\u00e9"}],\n "model" :"bot" , "odd": 1.50}'

    async def answer(exchange: Exchange) -> None:
        await exchange.write(whole_answer(b"{}"))

    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin)
        headers = {"Content-Type": "application/json", "X-Extra": "1", "Cookie": "c=1", "OpenAI-Project": "p"}
        await gateway.client.post(CHAT, content=sent, headers=headers)
        [seen] = upstream.seen
    assert seen.body == sent.replace(b'"bot"', b'"vendor-bot"')
    head = seen.head.lower()
    assert b"post /v1/chat/completions http/1.1" in head
    assert b"x-extra: 1" in head
    assert b"authorization: bearer sk-up-first" in head
    assert gateway.key.encode() not in seen.head
    assert not any(name in head for name in (b"cookie", b"openai-project", b"gzip"))


async def test_an_upstream_sees_our_name_and_nothing_of_the_client(gateway: RelayGateway) -> None:
    private = {
        "User-Agent": "Python-urllib/3.13",
        "Accept-Language": "de",
        "Cookie": "c=1",
        "Origin": "https://app.example",
        "Referer": "https://app.example/page",
        "Sec-Fetch-Mode": "cors",
        "DNT": "1",
        "True-Client-IP": "203.0.113.9",
        "CF-Connecting-IP": "203.0.113.9",
        "X-Forwarded-For": "203.0.113.9",
        "X-Client-IP": "203.0.113.9",
        "X-Stainless-Lang": "python",
    }
    wanted = {"OpenAI-Beta": "assistants=v2", "Idempotency-Key": "once", "Accept": "text/event-stream"}

    async def answer(exchange: Exchange) -> None:
        await exchange.write(whole_answer(b"{}"))

    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin)
        await gateway.client.post(CHAT, json={"model": "bot"}, headers=private | wanted)
        lines = upstream.seen[0].head.decode().lower().split("\r\n")[1:]
    seen = dict(line.split(": ", 1) for line in lines if line)
    assert seen["user-agent"] == USER_AGENT
    assert {name.lower() for name in private} & seen.keys() == {"user-agent"}
    assert {name.lower(): value.lower() for name, value in wanted.items()}.items() <= seen.items()


async def test_same_name_leaves_the_body_alone_and_nested_models_stay(gateway: RelayGateway) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.write(whole_answer(b"{}"))

    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin, models={"same": "same", "bot": "vendor-bot"})
        same = b'{"model":  "same", "tools": [{"model": "bot"}]}'
        await gateway.client.post(CHAT, content=same)
        await gateway.client.post(CHAT, content=b'{"tools": [{"model": "bot"}], "model": "bot", "x": [1]}')
        await gateway.client.post(CHAT, content=b'{"m\\u006fdel": "bot", "x": 1}')
        first, second, third = (seen.body for seen in upstream.seen)
    assert first == same
    assert json.loads(second) == {"tools": [{"model": "bot"}], "model": "vendor-bot", "x": [1]}
    assert json.loads(third) == {"model": "vendor-bot", "x": 1}


async def test_first_chunk_arrives_before_the_upstream_has_finished(gateway: RelayGateway) -> None:
    go_on = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        await exchange.write(STREAM_HEAD)
        await exchange.write_event(b'data: {"usage": null, "n": 1}\n\n')
        await go_on.wait()
        await exchange.write_event(
            b'data: {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2}}\n\n'
        )
        await exchange.write_event(b"data: [DONE]\n\n")
        await exchange.write(b"0\r\n\r\n")

    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin)
        body = {"model": "bot", "stream": True}
        async with gateway.client.stream("POST", CHAT, json=body) as response:
            assert response.headers["content-type"] == "text/event-stream"
            chunks = response.aiter_raw()
            assert await anext(chunks) == b'data: {"usage": null, "n": 1}\n\n'
            go_on.set()
            rest = b"".join([chunk async for chunk in chunks])
    assert rest.endswith(b"data: [DONE]\n\n")
    [row] = await gateway.usage_rows()
    assert (row.input_tokens, row.output_tokens) == (7, 2)


async def test_compressed_answer_stays_compressed(gateway: RelayGateway) -> None:
    packed = gzip.compress(b'{"ok": true}')

    async def answer(exchange: Exchange) -> None:
        await exchange.write(whole_answer(packed, extra=b"Content-Encoding: gzip\r\n"))

    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin)
        response = await gateway.send_chat()
    assert response.json() == {"ok": True}


@pytest.mark.parametrize("path", ["completions", "embeddings", "moderations", "responses", "rerank"])
async def test_other_paths_are_relayed_too(gateway: RelayGateway, path: str) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.write(whole_answer(b'{"usage": {"input_tokens": 4, "output_tokens": 0}}'))

    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin)
        response = await gateway.client.post(f"/v1/{path}", json={"model": "bot", "input": "x"})
        assert upstream.seen[0].head.startswith(f"POST /v1/{path} ".encode())
    assert response.status_code == 200
    [row] = await gateway.usage_rows()
    assert (row.path, row.input_tokens) == (f"/v1/{path}", 4)


async def test_against_the_scripted_upstream(gateway: RelayGateway, upstream: FakeUpstream) -> None:
    await gateway.add_account(upstream.url)
    plain = await gateway.send_chat(unknown_field={"deep": [1, None]})
    assert plain.json()["choices"][0]["message"]["content"] == "Hello from upstream"
    streamed = await gateway.send_chat(stream=True, stream_options={"include_usage": True})
    assert streamed.text.endswith("data: [DONE]\n\n")
    seen = upstream.counters()
    assert seen.keys == {"sk-up-first": 2}
    assert seen.last["chat"].fields["model"] == "vendor-bot"
    rows = await gateway.usage_rows(2)
    assert {(row.input_tokens, row.output_tokens) for row in rows} == {(7, 3)}


async def test_other_kinds_and_forms_go_to_the_fallback(gateway: RelayGateway) -> None:
    body = b'{"model": "sora-2", "messages": []}'
    there = await gateway.client.post(CHAT, content=body)
    assert there.json()["elsewhere"] == body.decode()
    form = await gateway.client.post(CHAT, data={"model": "sora-2"})
    assert form.json()["elsewhere"] == "model=sora-2"
