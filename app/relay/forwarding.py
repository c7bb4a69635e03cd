"""The upstream's answer on its way to the client: status, headers and bytes unchanged, its usage read in passing."""

import asyncio
import json
from collections import deque
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from types import TracebackType
from typing import Any, TypeAlias

import aiohttp
import structlog
from starlette.types import Receive, Send

from app.catalog.call_price import ToldUsage
from app.errors import UpstreamError
from app.media.sound_length import MOST_SECONDS
from app.ops.envelope import ErrorEnvelope
from app.relay.request import Headers
from app.relay.upstream import UpstreamRefusal
from app.relay.upstream_answer import UpstreamAnswer
from app.relay.usage_filter import UsageFilter
from app.usage.recorder import INPUT_TOKENS, OUTPUT_TOKENS, token_count

log = structlog.get_logger()
# Headers that we set: our server's, our origin's policy and cookies, our request id.
OWN_HEADERS = frozenset(
    {b"alt-svc", b"date", b"server", b"set-cookie", b"strict-transport-security", b"x-request-id"}
)
# RFC 9110, 7.6.1: these belong to one connection, not to the message.
HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
NOT_RETURNED = HOP_BY_HOP | OWN_HEADERS
OWN_HEADER_PREFIX = b"access-control-"
MESSAGES_PATH = "messages"
"""The API whose streams state the input tokens in their first event and the output tokens in their last."""
STREAM_BYTES = 8 * 1024
JSON_BYTES = 256 * 1024
"""How much of an answer's end is kept to read its usage: of a stream, and of a JSON answer."""
MAX_SEARCHES = 8
USAGE_FIELD = b'"usage"'
TOTAL_TOKENS = ("total_tokens",)
FINAL_EVENT = b'"message_delta"'
CACHED_INPUT_FIELDS = frozenset({"cache_read_input_tokens", "cache_creation_input_tokens"})
JSON_DECODER = json.JSONDecoder()
TokenCounts: TypeAlias = tuple[int | None, int | None]
"""Input and output tokens; None for what is not stated."""
GRACE_SECONDS = 0.05
"""After once to twice as long it is watched whether the client disconnects."""


class ResponseForwarder:
    """Forwards one answer to a client of the API at ``/v1/<path>``; errors inside a stream are written in ``envelope``.

    ``is_complete`` tells whether the client got all of it.
    """

    __slots__ = (
        "_account_id",
        "_envelope",
        "_filter",
        "_response",
        "is_complete",
        "is_event_stream",
        "usage_reader",
    )

    def __init__(
        self,
        response: UpstreamAnswer,
        *,
        account_id: str,
        path: str,
        envelope: ErrorEnvelope,
        hides_usage: bool = False,
    ) -> None:
        """``hides_usage``: the usage of a stream was asked for by us, and is not for the client."""
        self._response = response
        self._account_id = account_id
        self._envelope = envelope
        kind = response.header(b"content-type").lower()
        self.is_event_stream = kind.startswith("text/event-stream")
        reader = HeadAndTailUsageReader if path.startswith(MESSAGES_PATH) else UsageReader
        self.usage_reader = reader(STREAM_BYTES if self.is_event_stream else JSON_BYTES)
        self._filter = UsageFilter() if hides_usage and self.is_event_stream else None
        self.is_complete = False

    async def forward(self, send: Send) -> None:
        """Reads no faster than the client: ``send`` waits for the client, and then the upstream waits for us."""
        response = self._response
        try:
            start = {"status": response.status, "headers": self.response_headers()}
            await send({"type": "http.response.start", **start})
            try:
                await self._copy_body(response, send)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                log.warning("relay.broken", account=self._account_id, error=type(error).__name__)
                await self._report_broken_stream(send)
        finally:
            response.close()  # a complete answer has returned its connection to the pool already

    def response_headers(self) -> Headers:
        headers = returned_headers(self._response.raw_headers)
        return headers if self._filter is None else [each for each in headers if each[0] != b"content-length"]

    async def _copy_body(self, response: UpstreamAnswer, send: Send) -> None:
        hidden, more = self._filter, True
        while more:
            chunk = await response.read_some()
            more = not response.is_over
            self.usage_reader.add_chunk(chunk)
            if hidden is not None:
                chunk = hidden.feed(chunk) if more else hidden.feed(chunk) + hidden.close()
            if chunk or not more:
                await send({"type": "http.response.body", "body": chunk, "more_body": more})
        self.is_complete = True

    async def _report_broken_stream(self, send: Send) -> None:
        """An event stream ends with an ``error`` event. Any other body is left incomplete: the server then cuts the
        connection, which tells the client that something is missing."""
        if not self.is_event_stream:
            return
        event = self._envelope.error_event(UpstreamError("The upstream broke off its answer."))
        if not self.usage_reader.at_event_boundary():
            event = b"\n\n" + event
        if self._filter is not None:
            event = self._filter.close() + event
        await send({"type": "http.response.body", "body": event})


async def send_refusal(refusal: UpstreamRefusal, send: Send) -> None:
    """Forward an upstream's refusal as it came, when no account gave a better answer."""
    headers = returned_headers(refusal.headers)
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": refusal.body})


def returned_headers(headers: Headers) -> Headers:
    """The upstream's headers, without the connection's and those that we set."""
    return [header for header in headers if _is_returned(header[0])]


@lru_cache(maxsize=1024)
def _is_returned(name: bytes) -> bool:
    return name not in NOT_RETURNED and not name.startswith(OWN_HEADER_PREFIX)


# ---- usage --------------------------------------------------------------------------------------


class UsageReader:
    """Reads an answer's token counts from its end, without parsing the rest.

    Keeps the last chunks of the answer: at least ``size`` bytes, if there were so many.
    """

    __slots__ = ("_chunks", "_counts", "_found", "_found_at", "_length", "_size", "total_bytes")

    def __init__(self, size: int) -> None:
        self._chunks: deque[bytes] = deque()
        self._length = 0
        self._size = size
        self.total_bytes = self._found_at = 0
        """Bytes of the answer so far, and when the usage was last looked for."""
        self._found: dict[str, Any] | None = None
        self._counts: TokenCounts = (None, None)

    def add_chunk(self, chunk: bytes) -> None:
        self.total_bytes += len(chunk)
        if len(chunk) > self._size:
            chunk = chunk[-self._size :]
        self._chunks.append(chunk)
        self._length += len(chunk)
        while self._length - len(self._chunks[0]) >= self._size:
            self._length -= len(self._chunks.popleft())

    def at_event_boundary(self) -> bool:
        """Whether the last server-sent event is complete (or there was none yet)."""
        last = b"".join(self._chunks)[-4:]
        return not last or last.endswith((b"\n\n", b"\r\r", b"\r\n\r\n"))

    def token_counts(self) -> TokenCounts:
        """Input and output tokens, in the fields of OpenAI's APIs or Anthropic's; None for what is not stated."""
        if self._found_at != self.total_bytes:
            self._found_at, self._found = self.total_bytes, last_usage(b"".join(self._chunks))
            self._counts = (None, None) if self._found is None else count_tokens(self._found)
        return self._counts

    def told_usage(self, *, is_complete: bool) -> ToldUsage:
        """What the answer states for good."""
        read, written = self.token_counts()
        return ToldUsage(read, written, None if self._found is None else _stated_seconds(self._found))


class HeadAndTailUsageReader(UsageReader):
    """Also keeps the beginning: Anthropic's streams state the input tokens there, and the output tokens at the end.

    https://docs.anthropic.com/en/api/messages-streaming
    """

    __slots__ = ("_head",)

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._head = b""

    def add_chunk(self, chunk: bytes) -> None:
        super().add_chunk(chunk)
        if len(self._head) < self._size:
            self._head += chunk

    def token_counts(self) -> TokenCounts:
        read, written = super().token_counts()
        started = first_usage(self._head) if read is None else None
        return (read if started is None else count_tokens(started)[0]), written

    def told_usage(self, *, is_complete: bool) -> ToldUsage:
        """The first event states some output too; only the last one states all."""
        told = super().told_usage(is_complete=is_complete)
        is_final = is_complete or FINAL_EVENT in b"".join(self._chunks)
        return told if is_final else told._replace(written=None)


def read_token_counts(text: bytes) -> TokenCounts:
    """Those of the last ``usage`` object in ``text``."""
    usage = last_usage(text)
    return (None, None) if usage is None else count_tokens(usage)


def last_usage(text: bytes) -> dict[str, Any] | None:
    """The last ``usage`` object in ``text``."""
    end = len(text)
    for _ in range(MAX_SEARCHES):
        # Inside a JSON string the quotes would be escaped, so this is a field.
        end = text.rfind(USAGE_FIELD, 0, end)
        if end < 0:
            break
        usage = _json_object_at(text, end + len(USAGE_FIELD))
        if usage is not None:
            return usage
    return None


def first_usage(text: bytes) -> dict[str, Any] | None:
    """The first ``usage`` object in ``text``."""
    start = text.find(USAGE_FIELD)
    return None if start < 0 else _json_object_at(text, start + len(USAGE_FIELD))


def count_tokens(usage: Mapping[str, Any]) -> TokenCounts:
    """OpenAI counts cached tokens among its input tokens, Anthropic beside them. Gemini and xAI count what a model has
    thought only in the total."""
    read, written = token_count(usage, INPUT_TOKENS), token_count(usage, OUTPUT_TOKENS)
    if read is None:
        return None, written
    total = token_count(usage, TOTAL_TOKENS)
    if total is not None:
        written = max(written or 0, total - read)
    for name in CACHED_INPUT_FIELDS & usage.keys():
        read += token_count(usage, (name,)) or 0
    return read, written


def _stated_seconds(usage: dict[str, Any]) -> Decimal | None:
    """Of the sound that was transcribed."""
    seconds = usage.get("seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= MOST_SECONDS:
        return None
    return Decimal(str(seconds))


def _json_object_at(text: bytes, start: int) -> dict[str, Any] | None:
    value = text[start:].decode("utf-8", "replace").lstrip(": \t\r\n")
    if not value.startswith("{"):
        return None
    try:
        decoded, _ = JSON_DECODER.raw_decode(value)
    except (ValueError, RecursionError):
        return None
    return decoded if isinstance(decoded, dict) else None


# ---- a client that disconnects ------------------------------------------------------------------


class DisconnectWatcher:
    """``with DisconnectWatcher(receive, calls) as watcher``: cancels the block when the client disconnects.

    ``disconnected`` tells afterwards whether that happened.
    """

    __slots__ = ("_calls", "_receive", "_task", "_watch", "disconnected", "is_late")

    def __init__(self, receive: Receive, calls: "YoungCalls") -> None:
        self._receive = receive
        self._calls = calls
        self._watch: asyncio.Task[None] | None = None
        self.disconnected = self.is_late = False

    def __enter__(self) -> "DisconnectWatcher":
        task = asyncio.current_task(self._calls.loop)
        assert task is not None
        self._task = task
        self._calls.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._calls.discard(self)
        if self._watch is not None:
            self._watch.cancel()
        if not self.disconnected:
            return False
        # A cancellation by somebody else, for example the server's at shutdown, must go on.
        return self._task.uncancel() == 0 and kind is asyncio.CancelledError

    def begin(self) -> None:
        self._watch = asyncio.ensure_future(self._wait_for_disconnect())

    async def _wait_for_disconnect(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.disconnected = True
        self._task.cancel()


class YoungCalls:
    """The calls whose clients are not watched yet: most answers come sooner, and then no second task is created. One timer
    serves all, because one for each call would cost as much as reading its answer."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        """Known, as asking for it is a system call."""
        self._watchers: set[DisconnectWatcher] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, watcher: DisconnectWatcher) -> None:
        self._watchers.add(watcher)
        if self._timer is None:
            self._timer = self.loop.call_later(GRACE_SECONDS, self._look)

    def discard(self, watcher: DisconnectWatcher) -> None:
        self._watchers.discard(watcher)

    def _look(self) -> None:
        """Those that were there at the last look are watched from now on."""
        self._timer = None
        late = [watcher for watcher in self._watchers if watcher.is_late]
        self._watchers.difference_update(late)
        for watcher in late:
            watcher.begin()
        for watcher in self._watchers:
            watcher.is_late = True
        if self._watchers:
            self._timer = self.loop.call_later(GRACE_SECONDS, self._look)
