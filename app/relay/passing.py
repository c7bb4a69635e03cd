"""Passes an upstream's answer to the client as it comes: status, headers and bytes unchanged."""

import aiohttp
import structlog
from starlette.types import Send

from app.errors import UpstreamError
from app.ops.envelope import ANTHROPIC_PATH, error_event
from app.relay.request import HOP_BY_HOP, Headers
from app.relay.tail import STREAM_BYTES, WHOLE_BYTES, Tail, TwoEnds
from app.relay.upstream import Answered

log = structlog.get_logger()
# Ours to say: our server's own, our origin's policy and cookies, our request id.
SAID_BY_US = frozenset(
    {b"alt-svc", b"date", b"server", b"set-cookie", b"strict-transport-security", b"x-request-id"}
)
NOT_RETURNED = HOP_BY_HOP | SAID_BY_US
PREFIXES_SAID_BY_US = b"access-control-"


class Passing:
    """One answer on its way to a client of ``path``; ``whole`` says whether it got all of it."""

    __slots__ = ("_account_id", "_path", "_response", "events", "tail", "whole")

    def __init__(self, response: aiohttp.ClientResponse, *, account_id: str, path: str) -> None:
        self._response = response
        self._account_id = account_id
        self._path = path
        self.events = response.headers.get("Content-Type", "").lower().startswith("text/event-stream")
        ends = TwoEnds if path.startswith(ANTHROPIC_PATH) else Tail
        self.tail = ends(STREAM_BYTES if self.events else WHOLE_BYTES)
        self.whole = False

    async def run(self, send: Send) -> None:
        """Reads no faster than the client does: ``send`` waits, and then so does the upstream."""
        response = self._response
        try:
            start = {"status": response.status, "headers": self.returned()}
            await send({"type": "http.response.start", **start})
            try:
                await self._pump(response.content, send)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                log.warning("relay.broken", account=self._account_id, error=type(error).__name__)
                await self._break_off(send)
        finally:
            response.close()  # a whole answer has given its connection back already

    def returned(self) -> Headers:
        return returned(self._response.raw_headers)

    async def _pump(self, content: aiohttp.StreamReader, send: Send) -> None:
        more = True
        while more:
            chunk = await content.readany()
            more = not content.at_eof()
            self.tail.add(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": more})
        self.whole = True

    async def _break_off(self, send: Send) -> None:
        """Events can carry the bad news. Any other body is left unfinished: the server then cuts the
        connection, and the client knows that something is missing."""
        if not self.events:
            return
        news = error_event(UpstreamError("The upstream broke off its answer."), path=self._path)
        if not self.tail.ends_event():
            news = b"\n\n" + news
        await send({"type": "http.response.body", "body": news})


async def pass_refusal(refusal: Answered, send: Send) -> None:
    """The last upstream's own words, when nobody did better."""
    headers = returned(refusal.headers)
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": refusal.body})


def returned(headers: tuple[tuple[bytes, bytes], ...] | Headers) -> Headers:
    """The upstream's headers but for the connection's and ours."""
    passed = []
    for name, value in headers:
        lower = name.lower()
        if lower not in NOT_RETURNED and not lower.startswith(PREFIXES_SAID_BY_US):
            passed.append((lower, value))
    return passed
