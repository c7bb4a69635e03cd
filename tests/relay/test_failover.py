"""Failover to the next account happens only before the first byte."""

import asyncio
from pathlib import Path

import pytest

from tests.relay.gateway import CHAT, RelayGateway, running_gateway
from tests.relay.plain_upstream import STREAM_HEAD, Exchange, plain_upstream
from tests.upstream import FakeUpstream, closed_port


@pytest.mark.parametrize("status", [401, 402, 403, 429, 503])
async def test_a_refusal_leads_to_the_next_account(
    gateway: RelayGateway, upstream: FakeUpstream, status: int
) -> None:
    for name in ("first", "second"):
        await gateway.add_account(upstream.url, name=name)
    upstream.fault("chat", status=status, headers={"Retry-After": "30"})
    assert (await gateway.send_chat()).status_code == 200
    resting = [
        s for s in await gateway.pool.current_statuses() if not s.enabled or s.blocked_by("vendor-bot", 0)
    ]
    assert len(resting) == 1
    assert resting[0].enabled == (status not in {401, 403})
    for _ in range(3):
        assert (await gateway.send_chat()).status_code == 200
    assert upstream.counters().requests["chat"] == 5


async def test_an_unreachable_upstream_leads_to_the_next_account(
    gateway: RelayGateway, upstream: FakeUpstream
) -> None:
    await gateway.add_account(f"http://127.0.0.1:{closed_port()}", name="dead")
    await gateway.add_account(upstream.url, name="alive")
    for _ in range(4):
        assert (await gateway.send_chat()).status_code == 200
    assert {row.status for row in await gateway.usage_rows(4)} == {200}


async def test_the_last_refusal_is_forwarded_and_its_cooldown_respected(
    gateway: RelayGateway, upstream: FakeUpstream
) -> None:
    await gateway.add_account(upstream.url)
    body = {
        "error": {"message": "slow down", "type": "rate_limit", "param": None, "code": "rate_limit_exceeded"}
    }
    upstream.fault("chat", status=429, body=body, headers={"Retry-After": "40"})
    first = await gateway.send_chat()
    assert (first.status_code, first.json(), first.headers["retry-after"]) == (429, body, "40")
    second = await gateway.send_chat()
    assert second.status_code == 503
    assert second.json()["error"]["message"].startswith(
        "No available tokens for chat generation. 1 cooling down"
    )
    assert second.headers["retry-after"] == "8"
    assert upstream.counters().requests["chat"] == 1


async def test_calls_are_balanced(gateway: RelayGateway, upstream: FakeUpstream) -> None:
    for name in ("a", "b", "c"):
        await gateway.add_account(upstream.url, name=name)
    await asyncio.gather(*(gateway.send_chat() for _ in range(12)))
    assert upstream.counters().keys == {"sk-up-a": 4, "sk-up-b": 4, "sk-up-c": 4}


async def test_no_failover_after_the_first_byte(gateway: RelayGateway) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.write(STREAM_HEAD)
        await exchange.write_event(b'data: {"n": 1}\n\n')
        await exchange.write_event(b'data: {"n":')

    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin, name="first")
        await gateway.add_account(upstream.origin, name="second")
        response = await gateway.send_chat(stream=True)
        assert len(upstream.seen) == 1
    events = response.text.split("\n\n")
    assert events[0] == 'data: {"n": 1}'
    assert events[2].startswith('data: {"error": {"message": ')
    assert '"code": "upstream_error"' in events[2]
    [row] = await gateway.usage_rows()
    assert row.status == 502


@pytest.mark.parametrize("begun", [True, False])
async def test_a_silent_upstream_times_out(tmp_path: Path, begun: bool) -> None:
    """It accepted the call, sent something or nothing, and then neither sends nor closes."""

    async def answer(exchange: Exchange) -> None:
        if begun:
            await exchange.write(STREAM_HEAD)
            await exchange.write_event(b'data: {"n": 1}\n\n')
        await exchange.wait_for_hangup()

    async with running_gateway(tmp_path, silence_seconds=1) as gateway, plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin, name="first")
        await gateway.add_account(upstream.origin, name="second")
        response = await gateway.send_chat(stream=True)
        assert len(upstream.seen) == 1
    if begun:
        assert response.text.startswith('data: {"n": 1}\n\ndata: {"error": {"message": ')
    else:
        assert (response.status_code, response.headers["x-should-retry"]) == (502, "false")


async def test_a_plain_answer_that_breaks_off_is_cut_not_completed(
    gateway: RelayGateway, upstream: FakeUpstream
) -> None:
    await gateway.add_account(upstream.url)
    upstream.fault("chat", do="cut")
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    body = b'{"model": "bot"}'
    writer.write(
        b"POST %b HTTP/1.1\r\nHost: x\r\nAuthorization: %b\r\nContent-Length: %d\r\n\r\n%b"
        % (CHAT.encode(), gateway.key.encode(), len(body), body)
    )
    async with asyncio.timeout(60):
        received = await reader.read()
    head, _, content = received.partition(b"\r\n\r\n")
    promised = next(
        int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
    )
    assert len(content) < promised
    writer.close()
    [row] = await gateway.usage_rows()
    assert row.status == 502
