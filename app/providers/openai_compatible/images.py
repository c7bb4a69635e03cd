"""Images of OpenAI-compatible servers: they are made while the request waits, and come by URL or inside the answer."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from app.providers.base import ResultFile
from app.providers.inline_files import base64_in, image_type
from app.providers.reading import Fields, Items


class ImagesAnswer(BaseModel):
    """The answer of ``/images/generations``: ``data`` holds ``{url}`` or ``{b64_json}``. Some servers put a ``data:``
    URI into either."""

    data: Items = []
    usage: Fields = {}
    error: Any = None

    def image_entries(self) -> list[dict[str, str]]:
        return [entry for item in self.data if isinstance(item, dict) and (entry := _entry_of(item))]


def image_file(image: Mapping[str, str], index: int) -> ResultFile:
    """One image of a finished call; the bytes of an inline one are in the operation, under ``index``."""
    if "url" in image:
        return ResultFile("image", "image/png", url=image["url"])
    return ResultFile("image", image_type(image["b64_json"]), data={"index": index})


def _entry_of(item: Mapping[str, Any]) -> dict[str, str]:
    for name in ("url", "b64_json"):
        text = item.get(name)
        if not isinstance(text, str) or not text:
            continue
        encoded = base64_in(text)
        if encoded is not None or name == "b64_json":
            return {"b64_json": text if encoded is None else encoded}
        return {"url": text}
    return {}
