"""What one connection may hold of us: uvicorn's HTTP protocol with bounds in bytes and seconds.

A stranger needs no key to open a connection, so nothing here is kept longer, or grows larger, than a client with good
manners needs. ``check_connections`` is called once a second; no timer is set for a request.
"""

import resource
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app.ops.cross_origin import STATE
from app.ops.held_head import HeadHoldingTransport

LOOKS_SECONDS = 1.0
"""How often ``check_connections`` should be called."""
LATE_SECONDS = 3.0
OPEN_FILES = 65_536
"""More file descriptors than this are not asked for."""
UNREAD_BYTES = 4 * 1024
"""So much of an answer waits for its client in our memory, beside what the kernel holds, until no more is written."""
FRAMING_PER_BYTE = 8
"""How many bytes of chunk sizes, extensions and trailers a byte of a body may cost. A chunk of one byte needs five."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Bytes and seconds. ``connections``: above it, those that wait longest for a head make room."""

    head_bytes: int = 65_536
    head_seconds: float = 10.0
    """From the first byte (or the connection) to the end of the head."""
    header_fields: int = 200
    pipelined: int = 16
    """Requests that wait for the answer to the one before."""
    stranger_body_seconds: float = 30.0
    """For a whole body, while nobody knows whose it is."""
    slow_seconds: float = 20.0
    """How long a body may come more slowly than ``body_bytes_per_second``."""
    body_bytes_per_second: int = 256
    answered_seconds: float = 10.0
    """How long a body that nobody wants any more is still read after its answer, so that the answer arrives."""
    stalled_seconds: float = 60.0
    """How long a client may read nothing of what waits for it."""
    connections: int = 3072


@dataclass(slots=True)
class ConnectionTable:
    """The connections of one server. ``waiting`` have no whole head yet, longest first.

    ``now`` is the time of the last look: good enough for bounds of seconds, and a request need not ask for the time.
    """

    limits: ConnectionLimits = field(default_factory=ConnectionLimits)
    waiting: dict["GuardedProtocol", None] = field(default_factory=dict)
    open: set["GuardedProtocol"] = field(default_factory=set)
    now: float = 0.0

    def protocol(self) -> type["GuardedProtocol"]:
        """The class that a server makes a protocol of for each of these connections."""
        return type("BoundProtocol", (GuardedProtocol,), {"table": self})

    def check_connections(self, now: float) -> None:
        """Close what has been too slow. ``now`` is the event loop's time.

        A look that comes late judges nobody: it is we who were busy, and what was sent meanwhile is not read yet.
        """
        late = now - self.now > LATE_SECONDS
        self.now = now
        for connection in list(self.open):
            if late:
                connection.begin_again(now)
            else:
                connection.check_progress(now)

    def make_room(self) -> bool:
        """Close the connection that has waited longest for a head, else a stranger's that waits for its peer.

        False when there is none: a connection with a known key is not given up for a new one.
        """
        least = next(iter(self.waiting), None) or next((each for each in self.open if each.is_idler), None)
        if least is None:
            return False
        least.drop()
        return True


class GuardedProtocol(HttpToolsProtocol):
    """Counts the bytes that are no body, and remembers since when it waits for what."""

    table: ConnectionTable

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._limits = self.table.limits
        self._head_open = True
        self._head_bytes = 0
        self.begin_again(self.table.now)
        self._body_open = False
        self._body_bytes = self._framing_bytes = 0
        self._seen_body = self._seen_unsent = 0
        self._refusal = 400

    # ---- what uvicorn calls ----------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        HttpToolsProtocol.connection_made(self, HeadHoldingTransport(transport, self.loop))  # type: ignore[arg-type]
        transport.set_write_buffer_limits(high=UNREAD_BYTES)
        self.table.open.add(self)
        full = len(self.connections) > self._limits.connections
        if full and not self.table.make_room():
            self._refuse(503)
        else:
            self.table.waiting[self] = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        self.table.open.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._head_open:
            self._framing_bytes += len(data)
            HttpToolsProtocol.data_received(self, data)
            if self._framing_bytes > self._limits.head_bytes + FRAMING_PER_BYTE * self._body_bytes:
                self._refuse(400)
            return
        if not self._head_bytes:
            self._head_since = self.table.now
        room = self._limits.head_bytes - self._head_bytes
        self._head_bytes += len(data)
        if len(data) <= room:
            HttpToolsProtocol.data_received(self, data)
            return
        HttpToolsProtocol.data_received(self, data[:room])
        if self._head_open and self._head_bytes:
            self._refuse(431)
        elif not self.transport.is_closing():
            self.data_received(data[room:])

    def handle_websocket_upgrade(self) -> None:
        self._forget()
        self.table.open.discard(self)
        self.transport = self.transport.inner  # type: ignore[attr-defined]
        super().handle_websocket_upgrade()

    def on_headers_complete(self) -> None:
        self._head_open = False
        self.table.waiting.pop(self, None)
        if len(self.headers) > self._limits.header_fields:
            self._stop_parsing(431)
        if len(self.pipeline) >= self._limits.pipelined:
            self._stop_parsing(429)
        self._body_open = True
        self._body_bytes = self._framing_bytes = self._seen_body = 0
        self._body_since = self._slow_since = self.table.now
        HttpToolsProtocol.on_headers_complete(self)

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        self._framing_bytes -= len(body)
        HttpToolsProtocol.on_body(self, body)

    def on_message_complete(self) -> None:
        self._body_open = False
        self._head_open = True
        self._head_bytes = 0
        HttpToolsProtocol.on_message_complete(self)

    def on_response_complete(self) -> None:
        """As uvicorn does it, but without a timer for each answer: ``check_progress`` closes what waits for too long."""
        self.server_state.total_requests += 1
        self._head_since = self._body_since = self.table.now
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._head_open:
            self.table.waiting[self] = None

    def resume_writing(self) -> None:
        self._stalled_since = self.table.now
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """For every head that the parser refuses."""
        self._refuse(self._refusal)

    def begin_again(self, now: float) -> None:
        """Every wait begins now."""
        self._head_since = self._body_since = self._slow_since = self._stalled_since = now

    # ---- bounds ----------------------------------------------------------------------------------

    def check_progress(self, now: float) -> None:
        """Close the connection when its peer has been too slow with what we wait for."""
        if self.flow.write_paused or self.transport.is_closing():
            self._check_reader(now)
            return
        self._stalled_since = now
        if self._body_open:
            self._check_body(now)
        elif self._awaits_head and now - self._head_since > self._limits.head_seconds:
            self._refuse(408)
        elif self._is_idle and now - self._head_since > self.timeout_keep_alive:
            self.transport.close()

    def drop(self) -> None:
        """Close at once, without an answer."""
        self._forget()
        self.transport.abort()

    @property
    def is_idler(self) -> bool:
        """Whether it is a stranger's, and waits for its peer to send or to read, or for a next request."""
        if self.cycle is None or self._is_known:
            return False
        return self._body_open or self.flow.write_paused or self._is_idle

    @property
    def _is_idle(self) -> bool:
        return self.cycle is None or bool(self.cycle.response_complete)

    @property
    def _awaits_head(self) -> bool:
        """Whether a head has begun, or none has ever come."""
        return self._is_idle and (self._head_bytes > 0 or self.cycle is None)

    @property
    def _is_known(self) -> bool:
        """Whether somebody with a key, or signed in, has sent the request."""
        state = self.cycle.scope["state"]
        return "keyed" in state or "actor" in state

    def _check_body(self, now: float) -> None:
        if self._is_idle:
            if now - self._body_since > self._limits.answered_seconds:
                self.drop()
            return
        if self.flow.read_paused or self.cycle.waiting_for_100_continue:
            self._slow_since = now  # it is we who keep it waiting
        elif self._body_bytes - self._seen_body >= self._limits.body_bytes_per_second * LOOKS_SECONDS:
            self._slow_since = now
        self._seen_body = self._body_bytes
        too_long = not self._is_known and now - self._body_since > self._limits.stranger_body_seconds
        if too_long or now - self._slow_since > self._limits.slow_seconds:
            self._refuse(408)

    def _check_reader(self, now: float) -> None:
        unsent = self.transport.get_write_buffer_size()
        if unsent < self._seen_unsent:
            self._stalled_since = now
        self._seen_unsent = unsent
        if now - self._stalled_since > self._limits.stalled_seconds:
            self.drop()

    def _stop_parsing(self, status: int) -> None:
        """Raises in a callback of the parser, which then takes no more of what has come."""
        self._refusal = status
        raise ConnectionRefused

    def _refuse(self, status: int) -> None:
        """Answer in plain text, unless another answer is under way, and close."""
        self._forget()
        if self.transport.is_closing():
            return
        busy = self.cycle is not None and not self.cycle.response_complete
        if busy:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if not (busy and self.cycle.response_started):
            added = self.cycle.scope["state"].get(STATE, ()) if busy else ()
            self.transport.write(_refusal_bytes(status, added))
        self.transport.close()

    def _forget(self) -> None:
        self.table.waiting.pop(self, None)


class ConnectionRefused(Exception):
    """Ends the parsing of a head; no request was made of it."""


REASONS = {
    400: "This is not HTTP.",
    408: "The request came too slowly.",
    429: "Too many requests wait on this connection.",
    431: "The head of the request is too large.",
    503: "Too many connections are open; please try again.",
}


def _refusal_bytes(status: int, added: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    text = REASONS[status].encode()
    head = (
        b"content-type: text/plain; charset=utf-8\r\nx-content-type-options: nosniff\r\n"
        b"content-length: %d\r\nconnection: close\r\n"
    )
    more = b"".join(b"%b: %b\r\n" % header for header in added)
    return STATUS_LINE[status] + head % len(text) + more + b"\r\n" + text


def raise_file_limit() -> int:
    """Take as many file descriptors as the system gives us; returns how many there are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (ValueError, OSError):  # macOS refuses more than a number that it does not tell
            wanted = soft
    return wanted if soft == resource.RLIM_INFINITY else max(soft, wanted)


def connections_for(files: int) -> int:
    """How many connections may be open: a quarter of the descriptors is for the database, upstreams and files."""
    return max(32, files * 3 // 4)
