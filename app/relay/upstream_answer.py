"""An upstream's answer while it comes, read by httptools' parser.

aiohttp's own reader does the same with three calls for each piece of a stream and one more to take it out again, which is
most of what an event costs.
"""

import asyncio
from collections import deque

import aiohttp
import httptools
from aiohttp.connector import Connection

from app.media.head_limit import MOST_HEAD_BYTES

Headers = list[tuple[bytes, bytes]]
MOST_WAITING_BYTES = 128 * 1024
MOST_STREAM_BYTES = 8 * 1024
"""When more of an answer, or of a stream, waits for a slow client, no more is read. There may be thousands of streams."""
EVENT_STREAM = "text/event-stream"
MOST_FIELDS = 128
CONTINUE, FIRST_FINAL = 100, 200
BODY_LENGTHS = frozenset({b"content-length", b"transfer-encoding"})
UNREAD = "The answer is no HTTP"


class AnswerBroken(aiohttp.ClientPayloadError):
    """The answer ended before its end, or is no HTTP."""


class UpstreamAnswer:
    """Close it; its connection is used again when all of it has come.

    The methods ``on_…`` are what the parser calls; ``add_data`` and ``note_end`` what the connection calls.
    """

    __slots__ = (
        "_by_name",
        "_connection",
        "_error",
        "_head_bytes",
        "_limit",
        "_loop",
        "_pieces",
        "_reading",
        "_surplus",
        "_waiter",
        "has_head",
        "is_paused",
        "is_whole",
        "raw_headers",
        "status",
        "waiting_bytes",
    )

    def __init__(self, connection: Connection, loop: asyncio.AbstractEventLoop) -> None:
        self._connection: Connection | None = connection
        self._loop = loop
        self._reading = httptools.HttpResponseParser(self)
        # As lenient as aiohttp is with answers.
        self._reading.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self._pieces: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._error: BaseException | None = None
        self._head_bytes = self.waiting_bytes = 0
        self._limit = MOST_WAITING_BYTES
        self._surplus = False
        self.has_head = self.is_paused = self.is_whole = False
        self.status = 0
        self._by_name: dict[bytes, bytes] = {}
        self.raw_headers: Headers = []
        """Names in lower case."""

    def header(self, name: bytes) -> str:
        """The value of the first header of this name (in lower case); empty without one."""
        return self._by_name.get(name, b"").decode("latin-1")

    async def wait_for_head(self) -> None:
        """Raises ``AnswerBroken``, or what ended the connection."""
        while not self.has_head:
            await self._wait()

    async def read_some(self) -> bytes:
        """All that has come and was not read yet; empty only at the end. Raises as ``wait_for_head`` does."""
        while not self._pieces and not self.is_whole:
            await self._wait()
        pieces = self._pieces
        data = pieces.popleft() if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self.waiting_bytes = 0
        if self.is_paused:
            self._pause(False)
        return data

    @property
    def is_over(self) -> bool:
        """Whether all of it has been read."""
        return self.is_whole and not self._pieces

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    async def _wait(self) -> None:
        if self._error is not None:
            raise self._error
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _pause(self, pauses: bool) -> None:
        transport = self._connection.transport if self._connection is not None else None
        if transport is not None:
            transport.pause_reading() if pauses else transport.resume_reading()
            self.is_paused = pauses

    # ---- what the connection calls -----------------------------------------------------------------

    def add_data(self, data: bytes) -> None:
        is_awaited = self.has_head and self._waiter is not None and not self._waiter.done()
        if not self.has_head:
            # What comes with the last head counts only when something follows that is a head again.
            if self._head_bytes > MOST_HEAD_BYTES:
                self.note_end(AnswerBroken("The head of the answer is too long"))
                return
            self._head_bytes += len(data)
        try:
            self._reading.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            broken = AnswerBroken(UNREAD)
            broken.__cause__ = error
            self.note_end(broken)
            return
        if self.is_whole:
            self._release()
        elif self.waiting_bytes > self._limit and not (is_awaited or self.is_paused):
            self._pause(True)
        if self._pieces or self.is_whole or self.has_head:
            self._wake()

    def note_end(self, error: BaseException | None) -> None:
        """The connection has ended, or is of no use any more. The end is the end of a body that states no length."""
        if self.is_whole:
            pass  # the connection is not used again
        elif error is None and self.has_head and BODY_LENGTHS.isdisjoint(self._by_name):
            self.is_whole = True
        else:
            self._error = error or AnswerBroken("The upstream broke off its answer")
        self.close()
        self._wake()

    def _release(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        transport = connection.transport
        # It may have answered before it had read the request, or said more than one answer.
        if self._surplus or transport is None or transport.get_write_buffer_size():
            connection.close()
        else:
            connection.release()

    # ---- what the parser calls ---------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.has_head:
            self._surplus = self.is_whole  # else a trailer
            return
        self.raw_headers.append((name.lower(), value.rstrip(b" \t")))
        if len(self.raw_headers) > MOST_FIELDS or b"\0" in value:
            raise AnswerBroken(UNREAD)

    def on_headers_complete(self) -> None:
        if self.has_head:
            self._surplus = True
            return
        self.status = self._reading.get_status_code()
        if CONTINUE <= self.status < FIRST_FINAL:
            self.raw_headers = []
        else:
            self.has_head = True
            self._by_name = dict(reversed(self.raw_headers))
            if EVENT_STREAM in self.header(b"content-type"):
                self._limit = MOST_STREAM_BYTES

    def on_body(self, body: bytes) -> None:
        if not self.is_whole:
            self._pieces.append(body)
            self.waiting_bytes += len(body)

    def on_message_complete(self) -> None:
        if self.has_head and not self.is_whole:
            self.is_whole = True
            self._surplus = not self._reading.should_keep_alive()
