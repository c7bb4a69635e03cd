"""Images of OpenAI-compatible servers: they are made while the request waits, and come by URL or inside the answer."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from app.errors import PollFailed
from app.providers.base import ResultFile
from app.providers.reading import Fields, Items

CHUNK_BYTES = 48 * 1024
IMAGE_TYPES = {
    b"\x89PNG": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
}


class ImagesAnswer(BaseModel):
    """The answer of ``/images/generations``: ``data`` holds ``{url}`` or ``{b64_json}``."""

    data: Items = []
    usage: Fields = {}
    error: Any = None

    def image_entries(self) -> list[dict[str, str]]:
        entries = []
        for item in self.data:
            kept = {key: item[key] for key in ("url", "b64_json") if isinstance(item, dict) and item.get(key)}
            if kept:
                entries.append({"url": kept["url"]} if "url" in kept else kept)
        return entries


def image_file(image: Mapping[str, str], index: int) -> ResultFile:
    """One image of a finished call; the bytes of an inline one are in the operation, under ``index``."""
    if "url" in image:
        return ResultFile("image", "image/png", url=image["url"])
    return ResultFile("image", _image_type(image["b64_json"]), data={"index": index})


def decode_image(encoded: str) -> list[bytes]:
    """The bytes of an inline image, in chunks. Raises ``PollFailed``."""
    try:
        content = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise PollFailed("the upstream sent an image that can't be decoded") from error
    return [content[at : at + CHUNK_BYTES] for at in range(0, len(content), CHUNK_BYTES)]


def _image_type(encoded: str) -> str:
    try:
        start = base64.b64decode(encoded[:16])
    except (binascii.Error, ValueError):
        return "image/png"
    return next((kind for magic, kind in IMAGE_TYPES.items() if start.startswith(magic)), "image/png")
