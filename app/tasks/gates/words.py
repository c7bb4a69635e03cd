"""Finds forbidden words in texts: whole words where a script has spaces, anywhere where it has none."""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

SPACELESS = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
"""Thai, Lao, Burmese, Khmer, Japanese and Chinese: there a word has no border that a program could see."""
INVISIBLE = re.compile(r"[\u00ad\u200b-\u200f\u2060\ufeff]")


def find_word(words: tuple[str, ...], texts: Iterable[str]) -> str | None:
    """The first of ``words`` (folded) that a text holds, however it is cased, spaced, or written with look-alike widths."""
    pattern = _pattern(words)
    if pattern is None:
        return None
    for text in texts:
        if found := pattern.search(_folded(text)):
            return found[0]
    return None


def _folded(text: str) -> str:
    plain = INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).casefold()
    return " ".join(plain.split())


@lru_cache(maxsize=8)
def _pattern(words: tuple[str, ...]) -> re.Pattern[str] | None:
    folded = sorted({_folded(word) for word in words}, key=len, reverse=True)
    parts = [
        re.escape(word) if SPACELESS.search(word) else rf"(?<!\w){re.escape(word)}(?!\w)"
        for word in folded
        if word
    ]
    return re.compile("|".join(parts)) if parts else None
