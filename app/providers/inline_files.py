"""Pictures that an upstream puts into its answer, as base64 or as a ``data:`` URI, in place of a link."""

import base64
import binascii
import re

from app.errors import PollFailed
from app.providers.base import FileKind, ResultFile

CHUNK_BYTES = 48 * 1024
IMAGE_TYPES = {
    b"\x89PNG": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
}
DATA_URI = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w=.+-]+)*;base64,", re.ASCII | re.IGNORECASE)
INLINE = "inline"
"""In ``ResultFile.data``: the file itself, in base64."""


def base64_in(link: str) -> str | None:
    """What a ``data:`` URI holds, still in base64; None for any other address."""
    head = DATA_URI.match(link[:200])
    return None if head is None else link[head.end() :]


def inline_file(link: str, kind: FileKind) -> ResultFile | None:
    """The file in a ``data:`` URI; None for any other address."""
    encoded = base64_in(link)
    if encoded is None:
        return None
    head = DATA_URI.match(link[:200])
    named = (head[1] or "").lower() if head else ""
    return ResultFile(kind, named or image_type(encoded), data={INLINE: encoded})


def decode_chunks(encoded: str) -> list[bytes]:
    """The bytes of an inline file. Raises ``PollFailed``."""
    try:
        content = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise PollFailed("the upstream sent an image that can't be decoded") from error
    return [content[at : at + CHUNK_BYTES] for at in range(0, len(content), CHUNK_BYTES)]


def image_type(encoded: str) -> str:
    """The type of a picture, by its first bytes; ``image/png`` where they say nothing."""
    try:
        start = base64.b64decode(encoded[:16])
    except (binascii.Error, ValueError):
        return "image/png"
    return next((kind for magic, kind in IMAGE_TYPES.items() if start.startswith(magic)), "image/png")
