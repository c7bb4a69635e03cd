"""Reads an upstream's connection in pieces of 16 KB. An event loop reads as much as there is, up to 256 KB; where that is
a thousand small events, parsing one read takes 26 ms, in which nobody else is served, and what a slow client has not taken
yet waits in our memory instead of the kernel's."""

import asyncio

from aiohttp.client_proto import ResponseHandler

_PIECE = memoryview(bytearray(16 * 1024))
"""One for all connections: what is read into it is handed on before anything else is read."""


class SmallReads(asyncio.BufferedProtocol):
    """Stands between a transport and ``handler``, which takes what was read as if it stood there itself."""

    __slots__ = ("_handler",)

    def __init__(self, handler: ResponseHandler) -> None:
        self._handler = handler

    def get_buffer(self, sizehint: int) -> memoryview:
        return _PIECE

    def buffer_updated(self, nbytes: int) -> None:
        self._handler.data_received(bytes(_PIECE[:nbytes]))

    def eof_received(self) -> None:
        self._handler.eof_received()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._handler.connection_lost(exc)

    def pause_writing(self) -> None:
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        self._handler.resume_writing()
