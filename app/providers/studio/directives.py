"""Test directives in a prompt, such as ``[studio:fail]``; off unless the account allows them."""

import re
from dataclasses import dataclass

from app.errors import UpstreamBusy, UpstreamModerated, UpstreamRejected

_DIRECTIVE = re.compile(
    r"\[studio:(?P<word>fail|reject|moderate|moderate-late|busy|fast|slow=(?P<seconds>\d+(?:\.\d+)?))\]"
)


@dataclass(frozen=True, slots=True)
class StudioDirectives:
    """The directives of a prompt; ``slow`` is the shortest rendering time in seconds."""

    words: frozenset[str] = frozenset()
    slow: float = 0.0


def split_directives(prompt: str) -> tuple[str, StudioDirectives]:
    """The prompt without its directives, and the directives."""
    words: set[str] = set()
    slow = 0.0
    for match in _DIRECTIVE.finditer(prompt):
        if match["seconds"]:
            slow = max(slow, float(match["seconds"]))
        else:
            words.add(match["word"])
    return _DIRECTIVE.sub("", prompt).strip(), StudioDirectives(frozenset(words), slow)


def raise_directed_error(directives: StudioDirectives) -> None:
    """Raises the error that a directive asks for."""
    if "reject" in directives.words:
        raise UpstreamRejected("The studio was told to refuse this prompt.", param="prompt")
    if "moderate" in directives.words:
        raise UpstreamModerated("The prompt goes against the content policy.", param="prompt")
    if "busy" in directives.words:
        raise UpstreamBusy("The studio was told to be busy.", retry_after=1)
