"""The bodies of forms."""

from collections.abc import AsyncIterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import httpx2

from app.providers.http_messages import FormFile


def form_body(
    fields: Mapping[str, str], files: Sequence[FormFile]
) -> tuple[dict[str, str], AsyncIterable[bytes]]:
    """Headers and body of a multipart form, also without ``files``, whose bytes are not copied."""
    parts: list[tuple[str, Any]] = [(name, (None, text)) for name, text in fields.items()]
    parts += [(file.name, (file.filename, file.content, file.content_type)) for file in files]
    form = httpx2.Request("POST", "http://form", files=parts)
    assert isinstance(form.stream, httpx2.AsyncByteStream)
    names = {"Content-Type": "content-type", "Content-Length": "content-length"}
    return {name: form.headers[known] for name, known in names.items()}, form.stream


def url_encoded_body(fields: Mapping[str, str]) -> tuple[dict[str, str], bytes]:
    """Headers and body of a URL-encoded form."""
    return {"Content-Type": "application/x-www-form-urlencoded"}, urlencode(fields).encode()
