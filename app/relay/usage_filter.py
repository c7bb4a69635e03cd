"""Takes out of a stream what an upstream adds because we asked for its usage and the client did not.

OpenAI adds a last event that holds only the usage, and ``"usage": null`` to every event before it:
https://platform.openai.com/docs/api-reference/chat/create#chat-create-stream_options
"""

import re

from app.providers.event_stream import read_event

USAGE_FIELD = b'"usage"'
EVENT_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
NULL_USAGE = re.compile(rb'\s*,\s*"usage"\s*:\s*null(?=\s*[,}])|(?<=\{)\s*"usage"\s*:\s*null\s*,\s*')
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
        cut = 0
        for boundary in EVENT_END.finditer(data, start):
            cut = boundary.end()
        if len(data) - cut > LONGEST_EVENT_BYTES:
            cut = len(data)
        self._unfinished = data[cut:]
        finished = data[:cut]
        return b"".join(_filtered_events(finished)) if USAGE_FIELD in finished else finished

    def close(self) -> bytes:
        """What still waits."""
        unfinished, self._unfinished = self._unfinished, b""
        return b"".join(_filtered_events(unfinished)) if USAGE_FIELD in unfinished else unfinished


def _filtered_events(data: bytes) -> list[bytes]:
    events: list[bytes] = []
    start = 0
    for boundary in EVENT_END.finditer(data):
        events.append(data[start : boundary.end()])
        start = boundary.end()
    events.append(data[start:])
    return [NULL_USAGE.sub(b"", event, count=1) for event in events if not _holds_only_usage(event)]


def _holds_only_usage(event: bytes) -> bool:
    if USAGE_FIELD not in event:
        return False
    for line in event.splitlines():
        read = read_event(line)
        if read is not None and read.kind == "data":
            return not read.data.get("choices") and isinstance(read.data.get("usage"), dict)
    return False
