"""Writes and reads backups: local files, or URLs with PUT and GET."""

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2

from app import USER_AGENT
from app.durable_files import sync_path
from app.errors import InvalidRequest
from app.media.delivery.calls import call_endpoint, check_status, retry_call
from app.media.guard import OutboundGuard

TIMEOUT_SECONDS = 60.0
TRIES = 3
MAX_BYTES = 64 * 1024 * 1024
REQUEST_HEADERS = {"user-agent": USER_AGENT, "accept": "application/json"}
WHAT = "The backup server"


def as_text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def read_text(text: str | bytes) -> Any:
    """Raises ``InvalidRequest``."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(
            f"This is no JSON: {error}"[:300], param="backup", reason="invalid_json"
        ) from error


def is_address(place: str) -> bool:
    return place.startswith(("http://", "https://"))


async def upload_backup(
    guard: OutboundGuard, url: str, document: Mapping[str, Any], *, method: str, headers: Mapping[str, str]
) -> None:
    """Raises ``DeliveryFailed``. Private addresses must be on ``FILMGATE_OUTBOUND_ALLOW``."""
    content = as_text(document).encode()
    all_headers = {**REQUEST_HEADERS, "content-type": "application/json", **headers}
    async with _http_client(guard) as client:

        async def put_once() -> None:
            answer = await call_endpoint(
                client, method, url, seconds=TIMEOUT_SECONDS, what=WHAT, content=content, headers=all_headers
            )
            check_status(answer, what=WHAT)

        await retry_call(put_once, tries=TRIES)


async def download_backup(guard: OutboundGuard, url: str, *, headers: Mapping[str, str]) -> Any:
    """Raises ``DeliveryFailed`` or ``InvalidRequest``."""
    async with _http_client(guard) as client:

        async def get_once() -> bytes:
            all_headers = {**REQUEST_HEADERS, **headers}
            answer = await call_endpoint(
                client,
                "GET",
                url,
                seconds=TIMEOUT_SECONDS,
                what=WHAT,
                most_bytes=MAX_BYTES,
                headers=all_headers,
            )
            check_status(answer, what=WHAT)
            return answer.content

        return read_text(await retry_call(get_once, tries=TRIES))


def write_file(path: Path, document: Mapping[str, Any]) -> None:
    """Write the file complete or not at all, readable by its owner only. Raises ``InvalidRequest``."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(as_text(document))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        sync_path(path.parent)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise InvalidRequest(f"{path} can't be written: {error.strerror}") from error


def read_file(path: Path) -> Any:
    """Raises ``InvalidRequest``."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InvalidRequest(f"{path} is larger than {MAX_BYTES} bytes: it is no backup")
        return read_text(path.read_bytes())
    except OSError as error:
        raise InvalidRequest(f"{path} can't be read: {error.strerror}") from error


def _http_client(guard: OutboundGuard) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        transport=guard.http_transport(ports=None), trust_env=False, follow_redirects=False
    )
