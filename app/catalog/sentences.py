"""A prompt in parts: split at the ends of its sentences, in any language that marks them."""

import re
from collections.abc import Sequence

SENTENCE_END = re.compile(
    r"""
    (?<=[.!?…]) ["'”’»)\]]* \s+    # Latin, Greek, Cyrillic: a mark, closing quotes, then a space
    | (?<=[。！？；｡]) (?=[^”’」』）。！？；｡])    # Chinese and Japanese write no space behind theirs
    | (?<=[。！？；｡][”’」』）]) (?=.)
    | (?<=[।॥؟۔።]) \s*                 # Hindi, Arabic, Urdu, Amharic
    | \s*\n+\s*
    """,
    re.VERBOSE | re.DOTALL,
)


def split_sentences(prompt: str) -> list[str]:
    """The sentences of ``prompt``; the whole of it where no end of one is found."""
    found, begin = [], 0
    for match in SENTENCE_END.finditer(prompt):
        mark = match.group().rstrip()
        found.append(prompt[begin : match.start()] + mark)
        begin = match.end()
    found.append(prompt[begin:])
    return [sentence.strip() for sentence in found if sentence.strip()] or [prompt]


def spread_sentences(prompt: str, shares: Sequence[float]) -> list[str]:
    """One text for each share of the film, in order: its sentences as they fall into it. With fewer sentences than shares
    some are used twice, one after the other."""
    sentences = split_sentences(prompt)
    count, whole = len(sentences), sum(shares)
    texts, begun = [], 0.0
    for share in shares:
        first, begun = int(begun / whole * count + 1e-9), begun + share
        last = max(int(begun / whole * count + 1e-9), first + 1)
        texts.append(_together(sentences[min(first, count - 1) : last]))
    return texts


def _together(sentences: Sequence[str]) -> str:
    text = sentences[0]
    for sentence in sentences[1:]:
        text += sentence if text[-1] in "。！？；｡”’」』）" else f" {sentence}"
    return text
