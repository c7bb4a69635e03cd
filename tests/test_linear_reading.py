"""What reads other people's texts takes time in proportion to their length, whatever they hold."""

import time
from collections.abc import Callable

import pytest

from app.admin.masking import mask_secrets
from app.dialects.ark.request import FLAG
from app.foreign import clean_text, parse_json
from app.ops.logs import SECRET_LOOKS
from app.providers.chat_relay.streams import links_in
from app.providers.event_stream import EventStreamReader

SHORT = 20_000
HOSTILE = [
    "[",
    " ",
    "](http://",
    "<video ",
    "<video src='http://a",
    "http://a?",
    "eyJ",
    '"\\',
    '{"a":',
    "&#1",
    "\n --a ",
]


def read_in_pieces(text: str) -> None:
    reader, content = EventStreamReader(), text.encode()
    for start in range(0, len(content), 16):
        list(reader.feed(content[start : start + 16].replace(b"\n", b" ")))


READERS: dict[str, Callable[[str], object]] = {
    "links": links_in,
    "flags": lambda text: FLAG.sub("", text),
    "masking": mask_secrets,
    "logs": lambda text: SECRET_LOOKS.sub("", text),
    "json": parse_json,
    "text": clean_text,
    "events": read_in_pieces,
}


def seconds_for(read: Callable[[str], object], text: str) -> float:
    begin = time.process_time()
    read(text)
    return time.process_time() - begin


@pytest.mark.parametrize("name", READERS)
def test_reading_takes_time_in_proportion(name: str) -> None:
    """Eight times the text may take 32 times as long, never 64: a ratio of this process's own time, on any machine."""
    for beginning in HOSTILE:
        texts = [(beginning * size)[:size] for size in (SHORT, 8 * SHORT)]
        short, long = (min(seconds_for(READERS[name], text) for _ in range(2)) for text in texts)
        assert long < 32 * max(short, 0.005), beginning
