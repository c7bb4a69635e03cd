"""Reads what a call used from the end of its answer, without parsing the rest."""

import json
from collections import deque
from typing import Any

STREAM_BYTES = 8 * 1024
JSON_BYTES = 256 * 1024
MAX_SEARCHES = 8
USAGE = b'"usage"'
CACHED_INPUT_FIELDS = ("cache_read_input_tokens", "cache_creation_input_tokens")
READER = json.JSONDecoder()


class UsageReader:
    """Keeps the last bytes of an answer that goes by, at least ``size`` if there were so many."""

    __slots__ = ("_chunks", "_length", "_size", "total_bytes")

    def __init__(self, size: int) -> None:
        self._chunks: deque[bytes] = deque()
        self._length = 0
        self._size = size
        self.total_bytes = 0
        """Bytes that went by."""

    def add_chunk(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._length += len(chunk)
        self.total_bytes += len(chunk)
        while self._length - len(self._chunks[0]) >= self._size:
            self._length -= len(self._chunks.popleft())

    def at_event_boundary(self) -> bool:
        """Whether the last server-sent event is whole (or there was none yet)."""
        last = b"".join(self._chunks)[-4:]
        return not last or last.endswith((b"\n\n", b"\r\r", b"\r\n\r\n"))

    def token_counts(self) -> tuple[int | None, int | None]:
        """Input and output tokens, in the words of OpenAI's APIs or Anthropic's; None for what was not said."""
        return read_token_counts(b"".join(self._chunks))


class HeadAndTailUsageReader(UsageReader):
    """Keeps the beginning too: Anthropic's streams tell there what went in, and only at their end what came out."""

    __slots__ = ("_head",)

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._head = b""

    def add_chunk(self, chunk: bytes) -> None:
        super().add_chunk(chunk)
        if len(self._head) < self._size:
            self._head += chunk

    def token_counts(self) -> tuple[int | None, int | None]:
        read, written = super().token_counts()
        return (read_token_counts(self._head)[0] if read is None else read), written


def read_token_counts(text: bytes) -> tuple[int | None, int | None]:
    """What the last usage in ``text`` says."""
    end = len(text)
    for _ in range(MAX_SEARCHES):
        # Inside a string the quotes would be escaped, so this is a field.
        end = text.rfind(USAGE, 0, end)
        if end < 0:
            break
        found = _json_object_at(text, end + len(USAGE))
        if found is not None:
            return input_tokens(found), _token_count(found, "completion_tokens", "output_tokens")
    return None, None


def input_tokens(usage: dict[str, Any]) -> int | None:
    """With what came from a cache: OpenAI counts that among its input tokens, Anthropic beside them."""
    read = _token_count(usage, "prompt_tokens", "input_tokens")
    if read is None:
        return None
    return read + sum(_token_count(usage, name) or 0 for name in CACHED_INPUT_FIELDS)


def _json_object_at(text: bytes, start: int) -> dict[str, Any] | None:
    value = text[start:].decode("utf-8", "replace").lstrip(": \t\r\n")
    if not value.startswith("{"):
        return None
    try:
        found, _ = READER.raw_decode(value)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _token_count(usage: dict[str, Any], *names: str) -> int | None:
    for name in names:
        value = usage.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31:
            return value
    return None
