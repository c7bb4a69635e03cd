"""Where backups go and come from: a file, or an address that takes a PUT and gives a GET."""

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2

from app.errors import InvalidRequest
from app.media.delivery.calls import call, check, repeated
from app.media.guard import OutboundGuard

SECONDS = 60.0
TRIES = 3
MOST_BYTES = 64 * 1024 * 1024
ASKED = {"user-agent": "filmgate", "accept": "application/json"}
WHAT = "The place of the backup"


def as_text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def read_text(text: str | bytes) -> Any:
    """Raises ``InvalidRequest``."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"This is no JSON: {error}"[:300], param="backup") from error


def is_address(place: str) -> bool:
    return place.startswith(("http://", "https://"))


async def upload(
    guard: OutboundGuard, url: str, document: Mapping[str, Any], *, method: str, headers: Mapping[str, str]
) -> None:
    """Raises ``DeliveryFailed``. A private address must be on the operator's list of those."""
    content = as_text(document).encode()
    told = {**ASKED, "content-type": "application/json", **headers}
    async with _client(guard) as client:

        async def once() -> None:
            answer = await call(
                client, method, url, seconds=SECONDS, what=WHAT, content=content, headers=told
            )
            check(answer, what=WHAT)

        await repeated(once, tries=TRIES)


async def download(guard: OutboundGuard, url: str, *, headers: Mapping[str, str]) -> Any:
    """Raises ``DeliveryFailed`` or ``InvalidRequest``."""
    async with _client(guard) as client:

        async def once() -> bytes:
            told = {**ASKED, **headers}
            answer = await call(
                client, "GET", url, seconds=SECONDS, what=WHAT, most_bytes=MOST_BYTES, headers=told
            )
            check(answer, what=WHAT)
            return answer.content

        return read_text(await repeated(once, tries=TRIES))


def write_file(path: Path, document: Mapping[str, Any]) -> None:
    """Whole or not at all, and for its owner's eyes only. Raises ``InvalidRequest``."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(as_text(document))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise InvalidRequest(f"{path} can't be written: {error.strerror}") from error


def read_file(path: Path) -> Any:
    """Raises ``InvalidRequest``."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InvalidRequest(f"{path} is larger than {MOST_BYTES} bytes: it is no backup")
        return read_text(path.read_bytes())
    except OSError as error:
        raise InvalidRequest(f"{path} can't be read: {error.strerror}") from error


def _client(guard: OutboundGuard) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=guard.transport(ports=None), trust_env=False, follow_redirects=False)
