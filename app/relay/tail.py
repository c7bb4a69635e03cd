"""Reads what a call used from the end of its answer, without parsing the rest."""

import json
from collections import deque
from typing import Any

STREAM_BYTES = 8 * 1024
WHOLE_BYTES = 256 * 1024
LOOKS = 8
USAGE = b'"usage"'
BESIDE = ("cache_read_input_tokens", "cache_creation_input_tokens")
READER = json.JSONDecoder()


class Tail:
    """Keeps the last bytes of an answer that goes by, at least ``size`` if there were so many."""

    __slots__ = ("_kept", "_length", "_size", "total")

    def __init__(self, size: int) -> None:
        self._kept: deque[bytes] = deque()
        self._length = 0
        self._size = size
        self.total = 0
        """Bytes that went by."""

    def add(self, chunk: bytes) -> None:
        self._kept.append(chunk)
        self._length += len(chunk)
        self.total += len(chunk)
        while self._length - len(self._kept[0]) >= self._size:
            self._length -= len(self._kept.popleft())

    def ends_event(self) -> bool:
        """Whether the last server-sent event is whole (or there was none yet)."""
        last = b"".join(self._kept)[-4:]
        return not last or last.endswith((b"\n\n", b"\r\r", b"\r\n\r\n"))

    def tokens(self) -> tuple[int | None, int | None]:
        """Input and output tokens, in the words of OpenAI's APIs or Anthropic's; None for what was not said."""
        return tokens_in(b"".join(self._kept))


class TwoEnds(Tail):
    """Keeps the beginning too: Anthropic's streams tell there what went in, and only at their end what came out."""

    __slots__ = ("_head",)

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._head = b""

    def add(self, chunk: bytes) -> None:
        super().add(chunk)
        if len(self._head) < self._size:
            self._head += chunk

    def tokens(self) -> tuple[int | None, int | None]:
        read, written = super().tokens()
        return (tokens_in(self._head)[0] if read is None else read), written


def tokens_in(text: bytes) -> tuple[int | None, int | None]:
    """What the last usage in ``text`` says."""
    end = len(text)
    for _ in range(LOOKS):
        # Inside a string the quotes would be escaped, so this is a field.
        end = text.rfind(USAGE, 0, end)
        if end < 0:
            break
        found = _object_at(text, end + len(USAGE))
        if found is not None:
            return input_tokens(found), _count(found, "completion_tokens", "output_tokens")
    return None, None


def input_tokens(usage: dict[str, Any]) -> int | None:
    """With what came from a cache: OpenAI counts that among its input tokens, Anthropic beside them."""
    read = _count(usage, "prompt_tokens", "input_tokens")
    if read is None:
        return None
    return read + sum(_count(usage, name) or 0 for name in BESIDE)


def _object_at(text: bytes, start: int) -> dict[str, Any] | None:
    value = text[start:].decode("utf-8", "replace").lstrip(": \t\r\n")
    if not value.startswith("{"):
        return None
    try:
        found, _ = READER.raw_decode(value)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _count(usage: dict[str, Any], *names: str) -> int | None:
    for name in names:
        value = usage.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31:
            return value
    return None
