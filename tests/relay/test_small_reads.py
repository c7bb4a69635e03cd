"""A flood of small events that nobody takes waits in the kernel and at the upstream, and nothing of it is lost."""

import asyncio
import ssl
from pathlib import Path

import aiohttp
import pytest
import uvloop
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection

from app.relay.forwarding import STREAM_BYTES, UsageReader
from app.relay.upstream_answer import MOST_STREAM_BYTES, UpstreamAnswer
from app.relay.upstream_connections import RelayHandler
from tests.security.test_outbound_guard import certificate

EVENT = b"data: %b\n\n" % (b"x" * 200)
FRAME = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
HUNDREDS = 200
PIECE_BYTES = 16 * 1024


async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD)
    for _ in range(HUNDREDS):
        writer.write(FRAME * 100)
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    writer.close()


class MeasuringHandler(RelayHandler):
    largest = 0

    def data_received(self, data: bytes) -> None:
        self.largest = max(self.largest, len(data))
        super().data_received(data)


async def read_flood(tls: ssl.SSLContext | None) -> tuple[int, int, bytes]:
    """The largest piece that is parsed at once, how much of the stream is held while nobody reads it, and all of it."""
    loop = asyncio.get_running_loop()
    async with (
        await asyncio.start_server(flood, "127.0.0.1", 0, ssl=tls) as server,
        aiohttp.TCPConnector() as connector,
    ):
        port = server.sockets[0].getsockname()[1]
        trust = ssl._create_unverified_context() if tls is not None else None
        _, handler = await loop.create_connection(
            lambda: MeasuringHandler(loop=loop), "127.0.0.1", port, ssl=trust
        )
        key = ConnectionKey("127.0.0.1", port, tls is not None, trust or False, None, None, None)
        answer = UpstreamAnswer(Connection(connector, key, handler, loop), loop)
        handler.expect(answer, silence_seconds=None)
        await answer.wait_for_head()
        while not answer.is_paused:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0)
        held, read = answer.waiting_bytes, b""
        while not answer.is_over:
            read += await answer.read_some()
        answer.close()
    return handler.largest, held, read


@pytest.mark.parametrize("over_tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("loop", [uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def test_a_flood_is_read_in_small_pieces(tmp_path: Path, loop: object, over_tls: bool) -> None:
    tls = None
    if over_tls:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate(tmp_path, "127.0.0.1"))
    with asyncio.Runner(loop_factory=loop) as runner:  # type: ignore[arg-type]
        largest, held, read = runner.run(read_flood(tls))
    assert largest <= PIECE_BYTES
    assert held <= MOST_STREAM_BYTES + PIECE_BYTES
    assert read == EVENT * 100 * HUNDREDS


def test_of_a_large_piece_only_the_end_is_kept_for_its_usage() -> None:
    reader = UsageReader(STREAM_BYTES)
    usage = b'data: {"usage": {"prompt_tokens": 3, "completion_tokens": 4}}\n\n'
    for _ in range(3):
        reader.add_chunk(EVENT * 1000)
        reader.add_chunk(usage)
        assert sum(map(len, reader._chunks)) <= 2 * STREAM_BYTES
    assert reader.token_counts() == (3, 4)
    assert reader.total_bytes == 3 * (1000 * len(EVENT) + len(usage))
