"""The head of an answer leaves together with the body that follows at once: one system call for both."""

import asyncio
from typing import Any

HEAD_START = b"HTTP/1.1 "


class HeadHoldingTransport:
    """A server's transport that holds a head until the next write, or the next turn of the loop."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.inner = transport
        self._loop = loop
        self._held = b""
        self.is_closing = transport.is_closing
        self.abort = transport.abort
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        self.get_write_buffer_size = transport.get_write_buffer_size

    def write(self, data: bytes) -> None:
        if self._held:
            held, self._held = self._held, b""
            self.inner.writelines((held, data))
        elif data.startswith(HEAD_START):
            self._held = data
            self._loop.call_soon(self._flush)
        else:
            self.inner.write(data)

    def close(self) -> None:
        self._flush()
        self.inner.close()

    def _flush(self) -> None:
        if self._held:
            held, self._held = self._held, b""
            if not self.inner.is_closing():
                self.inner.write(held)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)
