"""Reads server-sent events: the bytes of a stream, in whatever pieces they come, as events.

https://html.spec.whatwg.org/multipage/server-sent-events.html. The APIs that are read here put each JSON document on
one ``data:`` line, so a line is an event; ``event:``, ``id:`` and ``retry:`` say nothing that is needed.
"""

import json
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from app.errors import UpstreamFailed

LONGEST_LINE = 8 * 1024 * 1024
"""Bytes."""


class StreamEvent(NamedTuple):
    """``data`` of a JSON object; ``done`` is OpenAI's last line, ``[DONE]``; a ``comment`` keeps a connection alive;
    ``unreadable`` is data that is no JSON."""

    kind: Literal["data", "done", "comment", "unreadable"]
    data: dict[str, Any]


class EventStreamReader:
    """Holds the beginning of the line whose end has not come yet."""

    __slots__ = ("_unfinished",)

    def __init__(self) -> None:
        self._unfinished = b""

    def feed(self, piece: bytes) -> Iterator[StreamEvent]:
        """The events that end in ``piece``. Raises ``UpstreamFailed`` for a line of more than 8 MiB."""
        *lines, self._unfinished = (self._unfinished + piece).split(b"\n")
        if len(self._unfinished) > LONGEST_LINE:
            raise UpstreamFailed("The upstream's answer has too long a line.")
        for line in lines:
            event = read_event(line)
            if event:
                yield event

    def close(self) -> Iterator[StreamEvent]:
        """The event in a last line without a line break, if there is one."""
        event = read_event(self._unfinished)
        self._unfinished = b""
        if event:
            yield event


def read_event(line: bytes) -> StreamEvent | None:
    """None for a line without an event, and for JSON that is no object."""
    if line.startswith(b":"):
        return StreamEvent("comment", {})
    if not line.startswith(b"data:"):
        return None
    text = line[5:].strip()
    if text == b"[DONE]":
        return StreamEvent("done", {})
    try:
        data = json.loads(text.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return StreamEvent("unreadable", {})
    return StreamEvent("data", data) if isinstance(data, dict) else None
