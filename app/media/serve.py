"""Answers downloads of stored files: complete, partial (206) or unchanged (304). RFC 9110, sections 13 and 14."""

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse
from starlette.types import Send

from app.errors import RangeNotSatisfiable
from app.media.store import MediaStore, StoreEntry
from app.ops.browser_policy import FILE_POLICY, is_inert

ONE_RANGE = re.compile(r"\s*bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.IGNORECASE)


class StoredFileResponse(StreamingResponse):
    """Closes its source however the download ends. The base class leaves that to the garbage collector."""

    def __init__(
        self, source: AsyncGenerator[bytes, None], *, status_code: int, headers: Mapping[str, str]
    ) -> None:
        super().__init__(source, status_code=status_code, headers=headers)
        self._source = source

    async def stream_response(self, send: Send) -> None:
        async with aclosing(self._source):
            await super().stream_response(send)


def file_response(
    store: MediaStore,
    stored: StoreEntry,
    *,
    request_headers: Mapping[str, str],
    method: str,
    content_type: str,
    file_name: str,
) -> Response:
    """The answer to GET or HEAD; ``request_headers`` are looked up by names in lower case.

    Raises ``RangeNotSatisfiable``.
    """
    headers = common_headers(stored, content_type=content_type, file_name=file_name)
    if is_unchanged(request_headers.get("if-none-match", ""), stored.etag):
        kept = ("etag", "last-modified", "cache-control", "x-content-type-options")
        return Response(status_code=304, headers={name: headers[name] for name in kept})
    if method == "HEAD":
        return Response(headers={**headers, "content-length": str(stored.size)})
    wanted = wanted_range(stored, request_headers)
    start, end = wanted or (0, stored.size)
    headers["content-length"] = str(end - start)
    if wanted:
        headers["content-range"] = f"bytes {start}-{end - 1}/{stored.size}"
    return StoredFileResponse(
        store.stream(stored.key, start, end), status_code=206 if wanted else 200, headers=headers
    )


def wanted_range(stored: StoreEntry, request_headers: Mapping[str, str]) -> tuple[int, int] | None:
    range_header = request_headers.get("range", "")
    if_range = request_headers.get("if-range", "")
    if not range_header or not range_applies(if_range, etag=stored.etag, modified=stored.modified):
        return None
    return parse_range(range_header, stored.size)


def common_headers(stored: StoreEntry, *, content_type: str, file_name: str) -> dict[str, str]:
    """A file of a type that can run scripts is saved, never opened: this origin is the panel's too."""
    inert = is_inert(content_type)
    return {
        "content-type": content_type if inert else "application/octet-stream",
        "etag": stored.etag,
        "last-modified": http_date(stored.modified.astimezone(UTC)),
        "accept-ranges": "bytes",
        "cache-control": "private",
        "content-disposition": content_disposition(file_name, shown=inert),
        "content-security-policy": FILE_POLICY,
        "x-content-type-options": "nosniff",
    }


def content_disposition(file_name: str, *, shown: bool = True) -> str:
    """The header's value, with any file name encoded as one safe token (RFC 5987)."""
    flat = file_name.replace("/", "_").replace("\\", "_").encode("utf-8", "replace")
    return f"{'inline' if shown else 'attachment'}; filename*=UTF-8''{quote(flat, safe='')}"


def parse_range(value: str, size: int) -> tuple[int, int] | None:
    """The first byte and the one after the last; None when the whole file must be sent.

    Several ranges, other units and nonsense count as no range. Raises ``RangeNotSatisfiable``.
    """
    match = ONE_RANGE.fullmatch(value)
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1 if last else size)
        if last and int(last) < int(first):
            return None
    if start >= size:
        raise RangeNotSatisfiable(size)
    return start, end


def is_unchanged(if_none_match: str, etag: str) -> bool:
    """Whether the client already has this file. The comparison is weak, as the RFC demands."""
    known = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in known or etag.removeprefix("W/") in known


def range_applies(if_range: str, *, etag: str, modified: datetime) -> bool:
    """Whether the condition of ``If-Range`` is true; always without the header."""
    if not if_range:
        return True
    if '"' in if_range:
        return if_range == etag and not etag.startswith("W/")
    try:
        return parsedate_to_datetime(if_range) == modified.replace(microsecond=0)
    except (ValueError, TypeError):
        return False


def http_date(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)
