"""An upstream that reads a body as loosely as some server does: names as Go folds them, numbers in any form.

It does all the work that it reads in a request, and states what that was.
"""

import json
from collections import Counter
from typing import Any

from tests.relay.plain_upstream import Exchange, whole_answer

SILENT_TOKENS = 60_000
"""How long it answers when it reads no limit."""
LENGTHS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "num_predict", "maxOutputTokens")
COUNTS = ("n", "best_of", "candidateCount")
NESTED = ("options", "generationConfig")
GO_FOLDS = str.maketrans({"\u017f": "s", "\u212a": "k"})


def go_name(name: str) -> str:
    """``encoding/json`` folds ASCII, the long s and the Kelvin sign: the smallest rune of each orbit of SimpleFold."""
    return "".join(c.lower() if c.isascii() else c for c in name.translate(GO_FOLDS))


def read_loosely(body: bytes) -> dict[str, Any]:
    """Later fields win, whatever their case."""

    def fold(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        exact = {go_name(name): name for name in (*LENGTHS, *COUNTS, *NESTED, "model")}
        return {exact.get(go_name(name), name): value for name, value in pairs}

    read: dict[str, Any] = json.loads(body, object_pairs_hook=fold)
    return read


def work_of(fields: dict[str, Any]) -> int:
    """Output tokens: the largest limit times the largest count."""
    objects = [fields, *(fields[name] for name in NESTED if isinstance(fields.get(name), dict))]
    lengths = [_number(found[name]) for found in objects for name in LENGTHS if name in found]
    counts = [_number(found[name]) for found in objects for name in COUNTS if name in found]
    length = max((each for each in lengths if each > 0), default=SILENT_TOKENS)
    return int(length * max((each for each in counts if each > 0), default=1))


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0


class LenientUpstream:
    """``answer`` is for ``plain_upstream``; ``models`` counts the calls by the model that it read."""

    def __init__(self) -> None:
        self.models: Counter[str] = Counter()
        self.tokens = 0

    async def answer(self, exchange: Exchange) -> None:
        fields = read_loosely(exchange.body)
        self.models[fields["model"]] += 1
        tokens = work_of(fields)
        self.tokens += tokens
        usage = {"prompt_tokens": 10, "completion_tokens": tokens, "total_tokens": 10 + tokens}
        await exchange.write(whole_answer(json.dumps({"choices": [], "usage": usage}).encode()))
