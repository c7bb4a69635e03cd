"""Whom a request's spending is for: the labels in its `x-filmgate-tags` header, and the end user that its body names."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from app.errors import InvalidRequest

TAGS_HEADER = b"x-filmgate-tags"
HEADER_NAME = "x-filmgate-tags"
MOST_TAGS = 8
TAG = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:/=@+-]{0,63}")
USER_FIELDS = ("safety_identifier", "user")
"""OpenAI's two names for it, the newer one first."""
LONGEST_USER = 200


def read_tags(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The labels of a request, as a JSON list in alphabetical order; None without any. Raises ``InvalidRequest``."""
    given = b",".join([value for name, value in headers if name == TAGS_HEADER])
    if not given:
        return None
    tags = {part.strip() for part in given.split(b",")} - {b""}
    if len(tags) > MOST_TAGS:
        raise InvalidRequest(f"{HEADER_NAME} may hold at most {MOST_TAGS} tags", param=HEADER_NAME)
    if not all(TAG.fullmatch(tag) for tag in tags):
        raise InvalidRequest(
            f"{HEADER_NAME} must hold tags with commas between them: each begins with a letter or a digit, and has at most 64 "
            "of letters, digits and . _ : / = @ + -",
            param=HEADER_NAME,
        )
    return json.dumps(sorted(tag.decode() for tag in tags)) if tags else None


def end_user_of(fields: Mapping[str, Any]) -> str | None:
    """The end user that a body names; None where it names none. A longer name is cut: it is only reported."""
    for field in USER_FIELDS:
        value = fields.get(field)
        if isinstance(value, str) and value.strip():
            return value.strip().replace("\0", "").encode(errors="replace").decode()[:LONGEST_USER]
    return None
