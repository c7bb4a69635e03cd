"""The border that every word and number of another machine passes before we keep, count or show it.

Vendors, gateways before them, resolvers and webhook receivers say what they like: half surrogate pairs (JavaScript cuts
texts in the middle of one), NUL, ``1e999``, numbers of a thousand digits, brackets a million deep. A store takes none of
these. So an answer is read with ``parse_json``, and whatever goes into a row passes one of the functions below it.
Each takes time in proportion to what it reads. Bytes that are only passed on to a client are not touched.
"""

import json
import math
import re
from typing import Any

TEXT_LIMIT = 500
"""Characters of a text that people read."""
ID_LIMIT = 2000
"""Characters of a vendor's id: it becomes a part of an address, and of a row's key."""
LINK_LIMIT = 8192
LARGEST_INT4 = 2**31 - 1
LARGEST_INT8 = 2**63 - 1
LARGEST_NUMBER = 10**40
"""Larger numbers of an answer read as this one. It is above every id that is written as a number."""
DIGITS = 40
MOST_VALUES = 200_000
"""Of one answer: objects, lists and their items. More take many times the memory of their text."""
DEEPEST = 64
"""Levels of an answer that are read; what lies deeper reads as null."""
KEPT_DEPTH = 16
KEPT_ITEMS = 10_000

UNWRITABLE = re.compile("[\0\ud800-\udfff]")
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
ESCAPED = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
# A string that never ends is one token too: from each of its quotes on it would be searched again.
STRUCTURE = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)


def writable_text(text: str) -> str:
    """``text`` as every store takes it: without NUL, and with a replacement character for half a surrogate pair."""
    if text.isascii() and "\0" not in text:
        return text
    return UNWRITABLE.sub(lambda found: "" if found[0] == "\0" else "\ufffd", text)


def clean_text(value: object, limit: int = TEXT_LIMIT) -> str:
    """A text or number as one line for people, ``limit`` characters at most; anything else is empty."""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return ""
    text = value if isinstance(value, str) else str(_cleaned_value(value))
    text = writable_text(CONTROLS.sub(" ", text[: 4 * limit])).strip()
    return text if len(text) <= limit else text[: limit - 1] + "…"


def clean_number(value: object, low: float, high: float) -> float | None:
    """A number, or a text that is one, brought between ``low`` and ``high``; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value[: 2 * DIGITS] if isinstance(value, str) else value)
    except ValueError:
        return None
    except OverflowError:  # an integer above every float
        number = math.inf if isinstance(value, int) and value > 0 else -math.inf
    return None if math.isnan(number) else min(max(number, low), high)


def clean_integer(value: object, low: int = 0, high: int = LARGEST_INT8) -> int | None:
    """Like ``clean_number``; a fraction is cut off, and an integer stays exact."""
    if isinstance(value, int) and not isinstance(value, bool):
        return min(max(value, low), high)
    number = clean_number(value, low, high)
    return None if number is None else min(max(int(number), low), high)


def clean_document(value: Any, *, depth: int = KEPT_DEPTH, text: int | None = None) -> Any:
    """A copy of JSON for a row: writable texts of ``text`` characters at most, finite numbers, ``depth`` levels,
    10,000 values."""
    return _copy_value(value, depth, text=text, left=[KEPT_ITEMS])


def _copy_value(value: Any, depth: int, *, text: int | None, left: list[int]) -> Any:
    left[0] -= 1
    if not isinstance(value, dict | list | tuple):
        return _cleaned_value(value[:text] if isinstance(value, str) else value)
    if depth <= 0:
        return None
    copied = []
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if left[0] <= 0:
            break
        kept = _copy_value(item, depth - 1, text=text, left=left)
        copied.append((writable_text(str(key)[:ID_LIMIT]), kept))
    return dict(copied) if isinstance(value, dict) else [item for _, item in copied]


def _cleaned_value(value: Any) -> str | int | float | None:
    """A value of JSON that holds no others; None for anything else."""
    if isinstance(value, str):
        return writable_text(value)
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return clean_integer(value, -LARGEST_NUMBER, LARGEST_NUMBER)
    return clean_number(value, -LARGEST_NUMBER, LARGEST_NUMBER) if isinstance(value, float) else None


# ---- JSON ---------------------------------------------------------------------------------------


def write_json(value: Any) -> bytes:
    """JSON in UTF-8; where a text holds half a surrogate pair, all of it in escapes, as such halves have no bytes."""
    try:
        return json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(value).encode()


def parse_json(content: bytes | str) -> Any:
    """What ``read_json`` reads; None when it raises."""
    try:
        return read_json(content)
    except ValueError:
        return None


def read_json(content: bytes | str) -> Any:
    """The JSON in ``content`` with writable texts and finite numbers. Raises ``ValueError`` when there is none, or too
    much of it.

    Bytes that are no UTF-8 read as replacement characters, and what lies too deep as null: the rest of such an answer
    may name work that is paid for.
    """
    text = content if isinstance(content, str) else content.decode("utf-8-sig", "replace")
    if sum(text.count(mark) for mark in "[{,") > MOST_VALUES:
        raise ValueError("too many values")
    value = _load_json(text)
    return _cleaned(value, DEEPEST) if ESCAPED.search(text) or UNWRITABLE.search(text) else value


def _load_json(text: str) -> Any:
    try:
        return DECODER.decode(text)
    except RecursionError:
        return DECODER.decode(_without_depths(text))


def _read_integer(text: str) -> int:
    if len(text) <= DIGITS:
        return int(text)
    return -LARGEST_NUMBER if text.startswith("-") else LARGEST_NUMBER


def _read_float(text: str) -> float:
    return min(max(float(text), -float(LARGEST_NUMBER)), float(LARGEST_NUMBER))


def _read_constant(text: str) -> float | None:
    """``NaN`` and the infinities, which JSON lacks and some languages write."""
    return None if text == "NaN" else _read_float(text)


# Made once: ``json.loads`` would make one for each answer.
DECODER = json.JSONDecoder(
    parse_int=_read_integer, parse_float=_read_float, parse_constant=_read_constant, strict=False
)


def _without_depths(text: str) -> str:
    """``text`` with null for each object or list below ``DEEPEST`` levels."""
    kept, depth, begin = [], 0, 0
    for token in STRUCTURE.finditer(text):
        mark = token[0]
        if mark in ("[", "{"):
            depth += 1
            if depth == DEEPEST:
                kept.append(text[begin : token.start()] + "null")
        elif mark in ("]", "}"):
            if depth == DEEPEST:
                begin = token.end()
            depth -= 1
    return "".join(kept) + ("" if depth >= DEEPEST else text[begin:])


def _cleaned(value: Any, depth: int) -> Any:
    """The same document with writable texts, and null below ``depth`` levels."""
    if isinstance(value, str):
        return writable_text(value)
    if not isinstance(value, dict | list):
        return value
    if depth <= 0:
        return None
    if isinstance(value, list):
        return [_cleaned(item, depth - 1) for item in value]
    return {writable_text(key): _cleaned(item, depth - 1) for key, item in value.items()}
