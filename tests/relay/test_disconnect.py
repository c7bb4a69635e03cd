"""Clients that disconnect or read slowly hold no resources."""

import asyncio
import resource

import pytest

from tests.relay.gateway import CHAT, RelayGateway
from tests.relay.plain_upstream import STREAM_HEAD, Exchange, plain_upstream

MEGABYTE = 1024 * 1024


def request(gateway: RelayGateway, body: bytes) -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\nContent-Length: %d\r\n\r\n%b" % (
        CHAT.encode(),
        gateway.key.encode(),
        len(body),
        body,
    )


@pytest.mark.parametrize("begun", [True, False])
async def test_a_disconnect_closes_the_upstream_connection(gateway: RelayGateway, begun: bool) -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        asked.set()
        if begun:
            await exchange.write(STREAM_HEAD)
            await exchange.write_event(b'data: {"usage": {"prompt_tokens": 9, "completion_tokens": 1}}\n\n')
        await exchange.wait_for_hangup()
        left.set()

    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin)
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(request(gateway, b'{"model": "bot", "stream": true}'))
        async with asyncio.timeout(60):
            await asked.wait()
            if begun:
                await reader.readuntil(b"prompt_tokens")
            writer.close()
            await left.wait()
        [row] = await gateway.usage_rows()
    assert row.status == 499
    assert row.input_tokens == (9 if begun else None)


async def test_a_disconnect_within_the_body_is_no_error(gateway: RelayGateway) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(request(gateway, b'{"model": "bot"}')[:-3])
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert (await gateway.send_chat()).status_code == 400


async def test_a_slow_reader_holds_the_upstream_back(gateway: RelayGateway) -> None:
    """200 MB wait at the upstream, not in the gateway."""
    total, written = 200, 0
    stuck = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        nonlocal written
        await exchange.write(STREAM_HEAD)
        for _ in range(total):
            try:
                async with asyncio.timeout(1):
                    await exchange.write_event(b"x" * MEGABYTE)
            except TimeoutError:
                break
            written += 1
        stuck.set()
        await exchange.wait_for_hangup()

    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.port, limit=65536)
        writer.write(request(gateway, b'{"model": "bot", "stream": true}'))
        async with asyncio.timeout(30):
            await stuck.wait()
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        writer.close()
        await gateway.usage_rows()
    assert written < 40
    assert grown < 60
