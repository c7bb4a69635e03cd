"""The body of an upstream's answer as plain bytes, and what it is whatever its type says.

We ask for ``identity``; some servers compress all the same, some stream although nobody asked, and some call their stream
JSON.
"""

import zlib
from collections.abc import AsyncIterator, Callable

import aiohttp

from app.errors import UpstreamFailed
from app.relay.chat_chunks import START_BYTES, looks_like_events
from app.relay.upstream_answer import UpstreamAnswer

COMPRESSED = frozenset({"gzip", "x-gzip", "deflate"})
GZIP_OR_ZLIB = zlib.MAX_WBITS | 32
LARGEST_PIECE = 1024 * 1024
MOST_BYTES = 64 * 1024 * 1024
"""Of an answer that is read whole."""
EVENT_STREAM = b"text/event-stream; charset=utf-8"
BROKEN = (aiohttp.ClientError, OSError, TimeoutError)
"""What reading an answer may raise beside ``UpstreamFailed``."""
BROKEN_OFF = "The upstream broke off its answer."
UNREADABLE = "The upstream's answer can't be read."
TOO_LONG = "The upstream's answer is too long."


def is_compressed(response: UpstreamAnswer) -> bool:
    """In a way that we can read; anything else passes as it is."""
    return response.header(b"content-encoding").strip().lower() in COMPRESSED


async def plain_chunks(response: UpstreamAnswer) -> AsyncIterator[bytes]:
    """Raises ``UpstreamFailed`` for what can't be decompressed."""
    decoder = zlib.decompressobj(GZIP_OR_ZLIB) if is_compressed(response) else None
    while not response.is_over:
        piece = await response.read_some()
        if decoder is None:
            yield piece
            continue
        try:
            while piece:
                yield decoder.decompress(piece, LARGEST_PIECE)
                piece = decoder.unconsumed_tail
        except zlib.error as error:
            raise UpstreamFailed(UNREADABLE) from error
    if decoder is not None and not decoder.eof:
        raise UpstreamFailed(BROKEN_OFF)


async def collect_start(chunks: AsyncIterator[bytes], pieces: list[bytes], *, most: int) -> None:
    """Fills ``pieces`` with the first ``most`` bytes, or as many as come before an error."""
    size = 0
    async for chunk in chunks:
        pieces.append(chunk)
        size += len(chunk)
        if size >= most:
            return


async def first_piece(chunks: AsyncIterator[bytes]) -> bytes:
    """The beginning of an answer, with the first bytes that are no blanks; empty for an empty answer."""
    start = b""
    async for chunk in chunks:
        start += chunk
        if len(start) > START_BYTES or start.strip():
            break
    return start


async def read_whole(chunks: AsyncIterator[bytes], *, start: bytes, note: Callable[[bytes], None]) -> bytes:
    """All of an answer that begins with ``start``; ``note`` sees its pieces. Raises ``UpstreamFailed`` for one that is too
    long, and ``BROKEN``."""
    pieces, size = [start], len(start)
    note(start)
    async for chunk in chunks:
        note(chunk)
        pieces.append(chunk)
        size += len(chunk)
        if size > MOST_BYTES:
            raise UpstreamFailed(TOO_LONG)
    return b"".join(pieces)


def is_event_stream(start: bytes, *, typed: bool) -> bool:
    """By how the answer begins; its type decides where that says nothing."""
    if looks_like_events(start):
        return True
    return typed and not start.lstrip().startswith((b"{", b"["))
