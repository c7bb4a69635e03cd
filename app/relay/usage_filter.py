"""Takes out of a stream what an upstream adds because we asked for its usage and the client did not.

OpenAI adds a last event that holds only the usage, and ``"usage": null`` to every event before it:
https://platform.openai.com/docs/api-reference/chat/create#chat-create-stream_options
"""

import re

from app.providers.event_stream import read_event

USAGE_FIELD = b'"usage"'
EVENT_ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")
EVENT_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
# Begins with a plain byte, for which the search is many times as fast.
NULL_USAGE = re.compile(rb',\s*"usage"\s*:\s*null(?=\s*[,}])')
FIRST_NULL_USAGE = re.compile(rb'\{\s*"usage"\s*:\s*null\s*,\s*')
LONGEST_EVENT_BYTES = 256 * 1024
"""A longer event passes as it comes."""
BOUNDARY_BYTES = 3


class UsageFilter:
    """Feed it the stream in any pieces. Every byte that is not about the usage stays; a piece of an event waits for its end."""

    __slots__ = ("_unfinished",)

    def __init__(self) -> None:
        self._unfinished = b""

    def feed(self, piece: bytes) -> bytes:
        start = max(len(self._unfinished) - BOUNDARY_BYTES, 0)
        data = self._unfinished + piece
        cut = len(data) if data.endswith(b"\n\n") else _end_of_events(data, start)
        if len(data) - cut > LONGEST_EVENT_BYTES:
            cut = len(data)
        self._unfinished = data[cut:]
        return _without_usage(data[:cut])

    def close(self) -> bytes:
        """What still waits."""
        unfinished, self._unfinished = self._unfinished, b""
        return _without_usage(unfinished)


def _end_of_events(data: bytes, start: int, stop: int | None = None) -> int:
    """Where the last event ends that is whole before ``stop``, and does not end before ``start``; 0 if none does."""
    last = 0
    for end in EVENT_ENDS:
        at = data.rfind(end, max(start, last - BOUNDARY_BYTES), stop)
        last = max(last, at + len(end)) if at >= 0 else last
    return last


def _without_usage(events: bytes) -> bytes:
    if USAGE_FIELD not in events:
        return events
    events = NULL_USAGE.sub(b"", events)
    if USAGE_FIELD not in events:
        return events
    events = FIRST_NULL_USAGE.sub(b"{", events)
    kept, end = [], 0
    while (field := events.find(USAGE_FIELD, end)) >= 0:
        start = max(end, _end_of_events(events, end, field))
        kept.append(events[end:start])
        boundary = EVENT_END.search(events, field)
        end = boundary.end() if boundary else len(events)
        if not _holds_only_usage(events[start:end]):
            kept.append(events[start:end])
    return b"".join([*kept, events[end:]])


def _holds_only_usage(event: bytes) -> bool:
    for line in event.splitlines():
        read = read_event(line)
        if read is not None and read.kind == "data":
            return not read.data.get("choices") and isinstance(read.data.get("usage"), dict)
    return False
