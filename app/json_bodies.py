"""Reading JSON that clients send: bounded before it is parsed, off the event loop when large, and names as any server
may compare them."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, TypeVar

from app.errors import InvalidRequest

T = TypeVar("T")
MEGABYTE = 1024 * 1024
LARGE_BODY_BYTES = 64 * 1024
"""Larger bodies are parsed in a thread, so that other clients do not wait."""
PARSERS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="json")
"""Two at once: parsing takes up to six times a body's size for a moment."""
ESCAPE = b"\\"
MOST_ESCAPES = 4_000_000
PIECE_BYTES = 64 * 1024
VALUE_MARKS = (b"[", b"{", b",")
STRING_PART = re.compile(rb'(?:[^"\\]++|\\.)*+(")?', re.DOTALL)
MOST_INTEGER_DIGITS = 300


# ---- names --------------------------------------------------------------------------------------


def fold_name(name: str) -> str:
    """Equal for names that some server takes for the same.

    Go compares names without case, and folds the long s and the Kelvin sign: https://pkg.go.dev/encoding/json#Unmarshal.
    Java and .NET fold the dotless i too. A reader in C ends a name at its first NUL.
    """
    return name.partition("\0")[0].strip().upper().casefold()


_folded = lru_cache(maxsize=4096)(fold_name)
CACHED_NAME_LENGTH = 64


def refuse_folded_names(names: Iterable[str], known: Mapping[str, str], *, path: str = "") -> None:
    """Raises ``InvalidRequest`` for a name that folds to one of ``known`` (folded name to name) but is spelt differently.

    Such a field is refused and not put right: what a client wrote and what was checked, priced and sent stay the same bytes.
    """
    for name in names:
        meant = known.get(_folded(name) if len(name) <= CACHED_NAME_LENGTH else fold_name(name))
        if meant is not None and meant != name:
            where = f"{path}.{name}" if path else name
            raise InvalidRequest(f"{ascii(where)[1:-1][:80]} must be written {meant}", param=meant)


@lru_cache(maxsize=256)
def by_folded_name(names: frozenset[str]) -> Mapping[str, str]:
    """Of names that the program knows."""
    return {fold_name(name): name for name in names}


# ---- parsing ------------------------------------------------------------------------------------


class RepeatedNames(dict[str, Any]):
    """An object in which ``repeated`` names stood more than once: servers differ in which one they take."""

    repeated: frozenset[str] = frozenset()


async def run_for_body(size: int, work: Callable[[], T]) -> T:
    """The result of ``work``, which runs in a thread for a body of more than ``LARGE_BODY_BYTES``."""
    if size <= LARGE_BODY_BYTES:
        return work()
    return await asyncio.get_running_loop().run_in_executor(PARSERS, work)


def holds_too_many_values(text: bytes, most: int) -> bool:
    """Whether parsing ``text`` would make so many values that they take many times its size.

    First every mark that begins a value is counted, which is quick; only if they are too many, those outside of strings.
    Linear, and ends at the limit. Escapes have a limit too: the parser holds up the whole process while it reads a string.
    """
    if len(text) <= min(most, MOST_ESCAPES):
        return False
    if _exceeds(text, (ESCAPE,), MOST_ESCAPES):
        return True
    return _exceeds(text, VALUE_MARKS, most) and _count_outside_strings(text, most) > most


def _exceeds(text: bytes, marks: tuple[bytes, ...], most: int) -> bool:
    count = 0
    for start in range(0, len(text), MEGABYTE):
        count += _count_marks(text, marks, start=start, end=start + MEGABYTE)
        if count > most:
            return True
    return False


def _count_marks(text: bytes, marks: tuple[bytes, ...], *, start: int, end: int) -> int:
    return sum(text.count(mark, start, end) for mark in marks)


def _count_outside_strings(text: bytes, most: int) -> int:
    """Values outside of strings, and the strings twice, because each one is slow to count."""
    count, at = 0, 0
    while at < len(text) and count <= most:
        quote = text.find(b'"', at, at + MEGABYTE)
        end = quote if quote >= 0 else min(at + MEGABYTE, len(text))
        count += _count_marks(text, VALUE_MARKS, start=at, end=end)
        at = end
        if quote >= 0:
            count += 2
            at = _string_end(text, quote + 1)
    return count


def _string_end(text: bytes, at: int) -> int:
    """The place after the string that begins before ``at``. Searched in pieces: a pattern lets no other thread run."""
    while at < len(text):
        piece = STRING_PART.match(text, at, at + PIECE_BYTES)
        assert piece is not None  # the pattern also matches nothing
        at = max(piece.end(), at + 1)
        if piece[1]:
            break
    return at


def keep_repeated_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """For ``object_pairs_hook``: the object, as ``RepeatedNames`` when a name stands in it more than once."""
    fields = dict(pairs)
    if len(fields) == len(pairs):
        return fields
    marked = RepeatedNames(fields)
    counts = Counter(name for name, _ in pairs)
    marked.repeated = frozenset(name for name, count in counts.items() if count > 1)
    return marked


def parse_integer(text: str) -> int:
    if len(text) > MOST_INTEGER_DIGITS:
        raise InvalidRequest(f"A number in the body has more than {MOST_INTEGER_DIGITS} digits")
    return int(text)


def refuse_constant(text: str) -> float:
    raise InvalidRequest(f"{text} is not allowed in JSON")


MARKING_DECODER = json.JSONDecoder(parse_constant=refuse_constant, object_pairs_hook=keep_repeated_names)
