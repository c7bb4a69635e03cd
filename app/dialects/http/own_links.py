"""Our own links to films, as clients hand them back: signed ones, those of an object store, and addresses of our API."""

import re
from collections.abc import Callable
from dataclasses import dataclass

LINK = re.compile(
    r"https?://[^\s/?#<>\"'()]+(?:/[\w.%~-]+){0,8}?/(?:files|tasks|videos|generations)/"
    r"([a-z]{0,12}[_-]?[0-9a-f-]{32,36})(?:/[\w.%-]*)*(?:\?[\w=&%.~+*/-]*)?",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class OwnLink:
    """A link that may be ours, and the id of the task in it (32 hex digits)."""

    address: str
    task_id: str


def own_link(text: str, parse_id: Callable[[str], str | None]) -> OwnLink | None:
    """``text`` as one link of ours. Whether there is such a task, only its store knows."""
    match = LINK.fullmatch(text.strip())
    task_id = parse_id(match[1]) if match else None
    return OwnLink(text.strip(), task_id) if task_id else None


def own_link_in(text: str, parse_id: Callable[[str], str | None]) -> OwnLink | None:
    """The first one in ``text``."""
    for match in LINK.finditer(text):
        task_id = parse_id(match[1])
        if task_id:
            return OwnLink(match[0], task_id)
    return None
