"""Characters named in a prompt: ``@username``, set off by spaces."""

import re

NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,62}[A-Za-z0-9_])?"
MENTION = re.compile(rf"(?<!\S)@(?:({NAME})|\{{({NAME})\}})(?=\s|$|[,.!?;:，。！？；：、)）]+(?:\s|$))")


def mentioned_usernames(prompt: str) -> tuple[str, ...]:
    """The usernames written as ``@username`` or ``@{username}``, set off by spaces; each once, in order."""
    return tuple(dict.fromkeys(match[1] or match[2] for match in MENTION.finditer(prompt)))
