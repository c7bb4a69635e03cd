"""Server-sent events: read from the bytes of a stream, in whatever pieces they come, and written.

https://html.spec.whatwg.org/multipage/server-sent-events.html. The APIs that are read here put each JSON document on
one ``data:`` line, so a line is an event; ``event:``, ``id:`` and ``retry:`` say nothing that is needed.
"""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from app.errors import UpstreamFailed
from app.foreign import parse_json

DONE = b"data: [DONE]\n\n"
"""The last of OpenAI's streams."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
LONGEST_LINE = 8 * 1024 * 1024
"""Bytes."""


def write_event(data: bytes, *, name: str = "") -> bytes:
    """``data``: JSON of one line. OpenAI's clients want events without a name."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data) if name else b"data: %b\n\n" % data


class StreamEvent(NamedTuple):
    """``data`` of a JSON object; ``done`` is OpenAI's last line, ``[DONE]``; a ``comment`` keeps a connection alive;
    ``unreadable`` is data that is no JSON."""

    kind: Literal["data", "done", "comment", "unreadable"]
    data: dict[str, Any]


class EventStreamReader:
    """Holds the beginning of the line whose end has not come yet."""

    __slots__ = ("_length", "_unfinished")

    def __init__(self) -> None:
        self._unfinished: list[bytes] = []
        self._length = 0

    def feed(self, piece: bytes) -> Iterator[StreamEvent]:
        """The events that end in ``piece``. Raises ``UpstreamFailed`` for a line of more than 8 MiB."""
        lines = piece.split(b"\n")
        # The pieces of a line are joined once: together with each new one, a long line would take the square of its length.
        self._unfinished.append(lines[0])
        self._length += len(lines[0])
        if max(self._length, len(lines[-1])) > LONGEST_LINE:
            raise UpstreamFailed("The upstream's answer has too long a line.")
        for following in lines[1:]:
            yield from self.close()
            self._unfinished, self._length = [following], len(following)

    def close(self) -> Iterator[StreamEvent]:
        """The event in a last line without a line break, if there is one."""
        event = read_event(b"".join(self._unfinished))
        self._unfinished, self._length = [], 0
        if event:
            yield event


def read_event(line: bytes) -> StreamEvent | None:
    """None for a line without an event, and for JSON that is no object."""
    line = line.removeprefix(BYTE_ORDER_MARK)
    if line.startswith(b":"):
        return StreamEvent("comment", {})
    if not line.startswith(b"data:"):
        return None
    text = line[5:].strip()
    if text == b"[DONE]":
        return StreamEvent("done", {})
    data = parse_json(text)
    if data is None:
        return StreamEvent("unreadable", {})
    return StreamEvent("data", data) if isinstance(data, dict) else None
