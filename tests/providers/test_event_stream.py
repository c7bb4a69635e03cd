"""The one reader of server-sent events: pieces of any size, line endings, and what is no event."""

import pytest

from app.errors import UpstreamFailed
from app.providers.event_stream import LONGEST_LINE, EventStreamReader, StreamEvent

STREAM = (
    b": ping\r\n\r\nevent: message\r\nid: 7\r\n"
    b'data: {"text": "\xe9\xa3\x8e"}\r\n\r\ndata:{"n": 1}\n\ndata: nonsense\n\ndata: 5\n\ndata: [DONE]\n\n'
)
EVENTS = [
    StreamEvent("comment", {}),
    StreamEvent("data", {"text": "风"}),
    StreamEvent("data", {"n": 1}),
    StreamEvent("unreadable", {}),
    StreamEvent("done", {}),
]


@pytest.mark.parametrize("size", [1, 2, 7, 64, 10_000])
def test_pieces_of_any_size(size: int) -> None:
    reader = EventStreamReader()
    pieces = [STREAM[start : start + size] for start in range(0, len(STREAM), size)]
    assert [event for piece in pieces for event in reader.feed(piece)] == EVENTS
    assert list(reader.close()) == []


def test_the_last_line_may_lack_its_break() -> None:
    reader = EventStreamReader()
    assert list(reader.feed(b'data: {"n": 1}')) == []
    assert list(reader.close()) == [StreamEvent("data", {"n": 1})]
    assert list(reader.close()) == []


def test_bytes_that_are_no_text_are_replaced() -> None:
    reader = EventStreamReader()
    assert list(reader.feed(b'data: {"text": "\xff"}\n')) == [StreamEvent("data", {"text": "\ufffd"})]


def test_a_line_without_end_is_an_error() -> None:
    reader = EventStreamReader()
    with pytest.raises(UpstreamFailed):
        list(reader.feed(b"x" * (LONGEST_LINE + 1)))
