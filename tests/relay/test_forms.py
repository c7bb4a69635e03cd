"""Multipart bodies are forwarded as bytes: only the model's name changes; ambiguous names are refused."""

import asyncio
import json

import pytest

from tests.relay.gateway import RelayGateway
from tests.relay.plain_upstream import STREAM_HEAD, Exchange, plain_upstream, whole_answer

BOUNDARY = b"----WebKitFormBoundaryq1"
KIND = f'multipart/form-data; boundary="{BOUNDARY.decode()}"'
SOUND = bytes(range(256)) * 40 + b"\r\n--" + BOUNDARY[:-1] + b'Z\r\nname="model"\r\n\r\nbot\r\n'
"""Contains what looks like a boundary and like a model field."""


def part(name: bytes, value: bytes, *, more: bytes = b"") -> bytes:
    head = b'--%b\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n' % (BOUNDARY, name, more)
    return head + value + b"\r\n"


END = b"--" + BOUNDARY + b"--\r\n"
FILE = part(b"file", SOUND, more=b'; filename="a.wav"\r\nContent-Type: audio/wav')
PATHS = ["audio/transcriptions", "audio/translations", "images/edits", "images/variations"]


@pytest.mark.parametrize("path", PATHS)
async def test_only_the_model_changes(gateway: RelayGateway, path: str) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.write(
            whole_answer(b'{"text": "hi", "usage": {"input_tokens": 14, "output_tokens": 4}}')
        )

    sent = FILE + part(b"model", b"bot") + part(b"timestamp_granularities[]", b"word") + END
    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin)
        headers = {"Content-Type": KIND}
        response = await gateway.client.post(f"/v1/{path}", content=sent, headers=headers)
        [seen] = upstream.seen
    assert response.json()["text"] == "hi"
    assert seen.body == FILE + part(b"model", b"vendor-bot") + sent[len(FILE + part(b"model", b"bot")) :]
    assert f"post /v1/{path} ".encode() in seen.head.lower()
    assert KIND.encode() in seen.head
    [row] = await gateway.usage_rows()
    assert (row.model, row.input_tokens, row.output_tokens) == ("bot", 14, 4)


async def test_a_name_that_stays_leaves_the_body_alone(gateway: RelayGateway) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.write(whole_answer(b"WEBVTT", kind="text/vtt"))

    sent = part(b"model", b"bot") + FILE + END
    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin, models={"bot": "bot"})
        response = await gateway.client.post(
            "/v1/audio/transcriptions", content=sent, headers={"Content-Type": KIND}
        )
        assert upstream.seen[0].body == sent
    assert (response.text, response.headers["content-type"]) == ("WEBVTT", "text/vtt")


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (FILE + END, KIND, "model is required"),
        (part(b"model", b"") + END, KIND, "model is required"),
        (part(b"model", b"bot") + part(b"model", b"other") + END, KIND, "model is given more than once"),
        (part(b"model", b"bot"), KIND, "The multipart body ends before its closing boundary"),
        (part(b"model", b"bot") + END, "multipart/form-data", "The body must be JSON or multipart"),
        (b"model=bot", "application/x-www-form-urlencoded", "The body must be JSON or multipart"),
        (b"nothing", KIND, "The multipart body can't be read"),
        (part(b"model", b"nobody") + END, KIND, "Invalid model: nobody"),
    ],
)
async def test_refusals(gateway: RelayGateway, body: bytes, kind: str, message: str) -> None:
    response = await gateway.client.post(
        "/v1/audio/transcriptions", content=body, headers={"Content-Type": kind}
    )
    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith(message)


async def test_next_account_gets_its_own_name(gateway: RelayGateway) -> None:
    async def answer(exchange: Exchange) -> None:
        busy = len(upstream.seen) == 1
        await exchange.write(whole_answer(b"{}", status="429 Slow" if busy else "200 OK"))

    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin, name="one", models={"bot": "first-name"})
        await gateway.add_account(upstream.origin, name="two", models={"bot": "second-name"})
        response = await gateway.client.post(
            "/v1/audio/translations",
            content=part(b"model", b"bot") + END,
            headers={"Content-Type": KIND},
        )
        sent = [seen.body for seen in upstream.seen]
    assert response.status_code == 200
    assert {b"first-name" in body for body in sent} == {True, False}
    assert all((b"first-name" in body) != (b"second-name" in body) for body in sent)


async def test_speech_is_streamed(gateway: RelayGateway) -> None:
    go_on = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        await exchange.write(STREAM_HEAD.replace(b"text/event-stream", b"audio/mpeg"))
        await exchange.write_event(b"ID3 first")
        await go_on.wait()
        await exchange.write_event(b"second")
        await exchange.write(b"0\r\n\r\n")

    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin, kinds=frozenset({"audio"}))
        body = {"model": "bot", "input": "hi", "voice": "alloy"}
        async with gateway.client.stream("POST", "/v1/audio/speech", json=body) as response:
            pieces = response.aiter_raw()
            assert await anext(pieces) == b"ID3 first"
            go_on.set()
            assert b"".join([piece async for piece in pieces]) == b"second"
        assert json.loads(upstream.seen[0].body)["model"] == "vendor-bot"
    assert response.headers["content-type"] == "audio/mpeg"


async def test_images_are_relayed_to_upstreams_with_an_images_api(gateway: RelayGateway) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.write(whole_answer(b'{"data": [], "usage": {"input_tokens": 5, "output_tokens": 6}}'))

    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin, models={"bot": "vendor-bot", "gpt-image": "vendor-image"})
        relayed = await gateway.client.post(
            "/v1/images/generations", json={"model": "gpt-image", "prompt": "x"}
        )
        assert json.loads(upstream.seen[0].body) == {"model": "vendor-image", "prompt": "x"}
        # A size that is only in the name, a model that makes something else, and none at all.
        for body in ({"model": "gpt-image-landscape"}, {"model": "sora-2"}, {"model": "nobody"}, {}):
            there = await gateway.client.post("/v1/images/generations", json=body)
            assert json.loads(there.json()["elsewhere"]) == body
        assert len(upstream.seen) == 1
    assert relayed.json()["data"] == []


async def test_a_model_without_an_upstream_for_the_path_is_400(gateway: RelayGateway) -> None:
    await gateway.add_account("http://127.0.0.1:9", provider="anthropic", models={"bot": "claude"})
    response = await gateway.client.post("/v1/audio/speech", json={"model": "bot"})
    assert response.status_code == 400
    told = response.json()["error"]
    assert told["message"] == "bot is served here, but by no upstream that speaks /v1/audio/speech."
    assert told["param"] == "model"


async def test_no_account_for_audio(gateway: RelayGateway) -> None:
    account = await gateway.add_account("http://127.0.0.1:9")
    await gateway.pool.disable(account.id, reason="test")
    response = await gateway.client.post("/v1/audio/speech", json={"model": "bot"})
    assert response.status_code == 503
    assert response.json()["error"]["message"] == "No available tokens for audio generation. 1 disabled."
