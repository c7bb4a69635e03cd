"""Passes an upstream's answer to the client as it comes: status, headers and bytes unchanged."""

import aiohttp
import structlog
from starlette.types import Send

from app.errors import UpstreamError
from app.ops.envelope import ErrorEnvelope
from app.relay.request import HOP_BY_HOP, Headers
from app.relay.upstream import UpstreamRefusal
from app.relay.usage_reader import JSON_BYTES, STREAM_BYTES, HeadAndTailUsageReader, UsageReader

log = structlog.get_logger()
# Ours to say: our server's own, our origin's policy and cookies, our request id.
OWN_HEADERS = frozenset(
    {b"alt-svc", b"date", b"server", b"set-cookie", b"strict-transport-security", b"x-request-id"}
)
NOT_RETURNED = HOP_BY_HOP | OWN_HEADERS
OWN_HEADER_PREFIX = b"access-control-"
MESSAGES_PATH = "messages"
"""The API whose streams tell the input tokens in their first event and the output tokens in their last."""


class ResponseForwarder:
    """One answer on its way to a client; ``path`` is the API's below ``/v1/``. ``is_complete`` says whether the
    client got all of it."""

    __slots__ = ("_account_id", "_envelope", "_response", "is_complete", "is_event_stream", "usage_reader")

    def __init__(
        self, response: aiohttp.ClientResponse, *, account_id: str, path: str, envelope: ErrorEnvelope
    ) -> None:
        self._response = response
        self._account_id = account_id
        self._envelope = envelope
        self.is_event_stream = (
            response.headers.get("Content-Type", "").lower().startswith("text/event-stream")
        )
        ends = HeadAndTailUsageReader if path.startswith(MESSAGES_PATH) else UsageReader
        self.usage_reader = ends(STREAM_BYTES if self.is_event_stream else JSON_BYTES)
        self.is_complete = False

    async def forward(self, send: Send) -> None:
        """Reads no faster than the client does: ``send`` waits, and then so does the upstream."""
        response = self._response
        try:
            start = {"status": response.status, "headers": self.response_headers()}
            await send({"type": "http.response.start", **start})
            try:
                await self._copy_body(response.content, send)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                log.warning("relay.broken", account=self._account_id, error=type(error).__name__)
                await self._report_broken_stream(send)
        finally:
            response.close()  # a whole answer has given its connection back already

    def response_headers(self) -> Headers:
        return returned_headers(self._response.raw_headers)

    async def _copy_body(self, content: aiohttp.StreamReader, send: Send) -> None:
        more = True
        while more:
            chunk = await content.readany()
            more = not content.at_eof()
            self.usage_reader.add_chunk(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": more})
        self.is_complete = True

    async def _report_broken_stream(self, send: Send) -> None:
        """Events can carry the bad news. Any other body is left unfinished: the server then cuts the
        connection, and the client knows that something is missing."""
        if not self.is_event_stream:
            return
        news = self._envelope.error_event(UpstreamError("The upstream broke off its answer."))
        if not self.usage_reader.at_event_boundary():
            news = b"\n\n" + news
        await send({"type": "http.response.body", "body": news})


async def send_refusal(refusal: UpstreamRefusal, send: Send) -> None:
    """The last upstream's own words, when nobody did better."""
    headers = returned_headers(refusal.headers)
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": refusal.body})


def returned_headers(headers: tuple[tuple[bytes, bytes], ...] | Headers) -> Headers:
    """The upstream's headers but for the connection's and ours."""
    passed = []
    for name, value in headers:
        lower = name.lower()
        if lower not in NOT_RETURNED and not lower.startswith(OWN_HEADER_PREFIX):
            passed.append((lower, value))
    return passed
