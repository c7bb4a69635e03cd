"""A flood of small events that nobody takes waits in the kernel and at the upstream, and nothing of it is lost."""

import asyncio
import ssl
from pathlib import Path

import pytest
import uvloop

from app.relay.upstream_connections import STREAM_BUFFER_BYTES, PatientHandler
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


class MeasuringHandler(PatientHandler):
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.largest, self.paused = 0, asyncio.Event()

    def pause_reading(self) -> None:
        super().pause_reading()
        self.paused.set()

    def data_received(self, data: bytes) -> None:
        self.largest = max(self.largest, len(data))
        super().data_received(data)


async def read_flood(tls: ssl.SSLContext | None) -> tuple[int, int, bytes]:
    """The largest piece that is parsed at once, how much of the stream is held while nobody reads it, and all of it."""
    loop = asyncio.get_running_loop()
    async with await asyncio.start_server(flood, "127.0.0.1", 0, ssl=tls) as server:
        port = server.sockets[0].getsockname()[1]
        trust = ssl._create_unverified_context() if tls is not None else None
        transport, handler = await loop.create_connection(
            lambda: MeasuringHandler(loop=loop), "127.0.0.1", port, ssl=trust
        )
        handler.set_response_params(read_until_eof=True, read_bufsize=STREAM_BUFFER_BYTES)
        _, content = await handler.read()
        await handler.paused.wait()
        held, read = content.total_bytes, b""
        while not content.at_eof():
            read += await content.readany()
        transport.close()
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
    assert held <= 2 * STREAM_BUFFER_BYTES + PIECE_BYTES
    assert read == EVENT * 100 * HUNDREDS
