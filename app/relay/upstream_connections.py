"""The relay's POST to an upstream, sent directly over aiohttp's pool of connections; ``UpstreamAnswer`` reads what comes back."""

import asyncio
from collections.abc import Callable

import aiohttp
from yarl import URL

from app.media.head_limit import WatchfulHandler
from app.media.small_reads import SmallReads
from app.providers.direct_requests import Destination
from app.providers.transport import NotConnected
from app.relay.request import Headers
from app.relay.upstream_answer import UpstreamAnswer

LINE_BYTES = 32 * 1024
MAX_KNOWN = 4096


class RelayHandler(WatchfulHandler):
    """A connection that reads an ``UpstreamAnswer``; without one it is aiohttp's, as for a WebSocket or a proxy's tunnel.
    It reads in small pieces.

    One timer serves all answers of a connection: it looks at what was heard since, and is not set anew for each piece.
    """

    _answer: UpstreamAnswer | None = None
    _heard_at = 0.0
    _silence_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self.transport is not None
        self.transport.set_protocol(SmallReads(self))

    def expect(self, answer: UpstreamAnswer, *, silence_seconds: float | None) -> None:
        """Whatever comes from now on is ``answer``, which may pause for ``silence_seconds``."""
        self._answer = answer
        self._heard_at = self._loop.time()
        if silence_seconds and self._silence_timer is None:
            self._look_later(silence_seconds, silence_seconds)

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.is_whole:
            super().data_received(data)
            return
        self._heard_at = self._loop.time()
        self._answer.add_data(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._silence_timer is not None:
            self._silence_timer.cancel()
        if self._answer is not None:
            self._answer.note_end(exc)
        super().connection_lost(exc)

    def _look_later(self, delay: float, silence_seconds: float) -> None:
        self._silence_timer = self._loop.call_later(delay, self._check_silence, silence_seconds)

    def _check_silence(self, silence_seconds: float) -> None:
        self._silence_timer = None
        answer = self._answer
        if answer is None or answer.is_whole:
            return  # the next answer sets it again
        if answer.is_paused:  # it is we who keep it waiting
            self._heard_at = self._loop.time()
        left = self._heard_at + silence_seconds - self._loop.time()
        if left > 0:
            self._look_later(left, silence_seconds)
        else:
            answer.note_end(aiohttp.SocketTimeoutError("The upstream has been silent for too long"))


class RelayDestination(Destination):
    """One address, and the first lines of every request for it."""

    def __init__(self, url: URL, proxy: str | None, session: aiohttp.ClientSession) -> None:
        super().__init__(url, proxy, session)
        self._first_lines = self.first_lines("POST", self.url)

    def head_with(self, headers: Headers, length: int) -> bytes:
        return self.whole_head(self._first_lines, headers, length)


class UpstreamConnections:
    """Sends requests over the connections of ``session``. Raises what aiohttp's session raises, once each: nothing is sent
    again."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        assert session.connector is not None
        self._session = session
        self._connector = session.connector
        self._loop = asyncio.get_running_loop()
        self._known: dict[tuple[URL, str | None], RelayDestination] = {}

    async def post(
        self,
        destination: RelayDestination,
        headers: Headers,
        body: bytes,
        *,
        on_sent: Callable[[], None] | None,
    ) -> UpstreamAnswer:
        """The answer, with its body still to be read. ``on_sent`` is called when the first byte leaves."""
        connection = await self._connector.connect(destination, [], self._session.timeout)
        answer, has_come = UpstreamAnswer(connection, self._loop), False
        try:
            protocol = connection.protocol
            assert isinstance(protocol, RelayHandler)
            head, transport = destination.head_with(headers, len(body)), protocol.transport
            if transport is None or transport.is_closing():
                raise NotConnected("the connection ended before anything was sent")
            if on_sent is not None:
                on_sent()
            protocol.expect(answer, silence_seconds=self._session.timeout.sock_read)
            transport.writelines((head, body))
            await answer.wait_for_head()
            has_come = True
        finally:
            if not has_come:
                answer.close()
        return answer

    def destination(self, url: URL, proxy: str | None) -> RelayDestination:
        """Raises ``aiohttp.InvalidURL``."""
        known = self._known.get((url, proxy))
        if known is None:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            known = self._known[(url, proxy)] = RelayDestination(url, proxy, self._session)
        return known
