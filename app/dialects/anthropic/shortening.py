"""What chat upstreams take only up to a length: tool names, ids of calls, users, the number of stop sequences.

OpenAI refuses longer ones, and gateways check the same. Anthropic takes names of 128 characters and any number of stop
sequences. https://platform.openai.com/docs/api-reference/chat/create
"""

from hashlib import sha256
from typing import Any

LONGEST_NAME = 64
LONGEST_CALL_ID = 40
LONGEST_USER = 64
MOST_STOPS = 4
MOST_SEQUENCES = 100
LONGEST_SEQUENCE = 1000
"""What we search an answer for ourselves."""


def shorten(text: str, longest: int) -> str:
    """``text``, or its beginning and a hash of the whole: the same text gives the same short one in every request."""
    if len(text) <= longest:
        return text
    return f"{text[: longest - 17]}_{sha256(text.encode('utf-8', 'replace')).hexdigest()[:16]}"


def shortened_names(tools: Any) -> dict[str, str]:
    """The tools that were renamed: short name to the client's."""
    names = [tool.get("name") for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
    return {
        shorten(name, LONGEST_NAME): name
        for name in names
        if isinstance(name, str) and len(name) > LONGEST_NAME
    }


def later_stops(sequences: Any) -> tuple[str, ...]:
    """The stop sequences that the upstream is not told: its answer is searched for them."""
    return tuple(sequences[MOST_STOPS:]) if isinstance(sequences, list) else ()


class StopSearch:
    """Ends a text, in whatever pieces it comes, before the first of ``sequences``."""

    def __init__(self, sequences: tuple[str, ...]) -> None:
        self._sequences = tuple(sequence for sequence in sequences if sequence)
        self._longest = max(map(len, self._sequences), default=0)
        self._waiting = ""
        self.found: str | None = None

    def feed(self, piece: str) -> str:
        """What may be shown. The end of a piece waits where a sequence may have begun in it."""
        if self.found is not None or not self._sequences:
            return piece if self.found is None else ""
        text = self._waiting + piece
        places = [(at, sequence) for sequence in self._sequences if (at := text.find(sequence)) >= 0]
        if places:
            at, self.found = min(places)
            self._waiting = ""
            return text[:at]
        kept = max(len(text) - self._longest + 1, 0)
        self._waiting = text[kept:]
        return text[:kept]

    def close(self) -> str:
        """What still waits."""
        waiting, self._waiting = self._waiting, ""
        return waiting
