"""Google Drive, spoken to as its documentation says: a resumable upload, a permission, a link.

https://developers.google.com/workspace/drive/api/guides/manage-uploads
"""

import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx2
from pydantic import BaseModel, ValidationError

from app.errors import DeliveryFailed, DeliveryRefused, InvalidRequest, UpstreamAuthFailed, UpstreamError
from app.media.delivery.calls import LATER, Failed, asked_pause, call, check, pause, repeated
from app.media.delivery.documents import Drive
from app.providers.http import UpstreamClient
from app.providers.vertex_veo.token import AccessTokens, read_service_account, token_address

SCOPE = "https://www.googleapis.com/auth/drive"
CALL_SECONDS = 30.0
# Google takes multiples of 256 KiB.
CHUNK_BYTES = 8 * 1024 * 1024
CHUNK_SECONDS = 120.0
FIELDS = "id,webViewLink,webContentLink"
BUSY_REASONS = ("rateLimitExceeded", "userRateLimitExceeded", "backendError")
WHAT = "Google Drive"
Body = TypeVar("Body", bound=BaseModel)
Read = Callable[[int, int], AsyncIterator[bytes]]
"""The bytes from one place up to, not including, another."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to be put there; ``mark`` is found again by a later run, so that nothing is uploaded twice.
    ``failed`` hears of every break after which the upload goes on."""

    name: str
    content_type: str
    size: int
    mark: str
    read: Read
    failed: Failed | None = None


class DriveFile(BaseModel):
    """As much of Google's answer as we read."""

    id: str
    webViewLink: str = ""  # noqa: N815 - Google's name
    webContentLink: str = ""  # noqa: N815


class Found(BaseModel):
    files: tuple[DriveFile, ...] = ()


class DriveUploads:
    """One folder of one service account. Close it. Raises ``DeliveryFailed`` from every call."""

    def __init__(
        self,
        drive: Drive,
        transport: httpx2.AsyncBaseTransport,
        client: httpx2.AsyncClient,
        *,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        self._drive = drive
        self._chunk_bytes = chunk_bytes
        self._client = client
        self._base = drive.endpoint.rstrip("/")
        account = read_service_account(drive.service_account.get_secret_value())
        self._tokens = AccessTokens(
            account,
            token_address(account, drive.token_endpoint or None),
            http=UpstreamClient(transport, base_url=self._base, headers={}),
            scope=SCOPE,
            subject=drive.impersonate,
        )

    async def close(self) -> None:
        await self._tokens.aclose()

    async def deliver(self, upload: Upload) -> str:
        """The link to it, once it is there and shared."""
        file = await self._find(upload.mark) or await self._put(upload)
        if self._drive.share == "anyone":
            body = {"role": "reader", "type": "anyone"}
            await self._ask("POST", f"/drive/v3/files/{file.id}/permissions", json=body)
        if not file.webViewLink:
            file = _read(
                DriveFile, await self._ask("GET", f"/drive/v3/files/{file.id}", query={"fields": FIELDS})
            )
        link = file.webContentLink if self._drive.link == "download" else file.webViewLink
        if not link.startswith(("https://", "http://")):
            raise DeliveryRefused(f"{WHAT} gave no link.")
        return link

    async def probe(self) -> None:
        """Whether the account may see the folder at all."""
        where = f"files/{self._drive.folder_id}" if self._drive.folder_id else "about"
        await self._ask(
            "GET", f"/drive/v3/{where}", query={"fields": "id" if self._drive.folder_id else "user"}
        )

    async def _find(self, mark: str) -> DriveFile | None:
        query = f"appProperties has {{ key='filmgate' and value='{mark}' }} and trashed = false"
        shared = {"includeItemsFromAllDrives": "true", "q": query, "pageSize": "1"}
        answer = await self._ask("GET", "/drive/v3/files", query={"fields": f"files({FIELDS})", **shared})
        found = _read(Found, answer).files
        return found[0] if found else None

    async def _put(self, upload: Upload) -> DriveFile:
        """Piece by piece; after a break it goes on where Google says that it is."""
        session = await self._begin(upload)
        sent: int | None = 0
        breaks = furthest = 0
        while True:
            try:
                answer = await self._step(session, upload, sent)
            except DeliveryRefused:
                raise
            except DeliveryFailed as error:
                breaks += 1
                if breaks >= self._drive.tries:
                    raise
                if upload.failed is not None:
                    await upload.failed(breaks, error)
                await pause(breaks, asked=error.retry_after)
                sent = None
                if isinstance(error, SessionGone):
                    session, sent, furthest = await self._begin(upload), 0, 0
                continue
            if answer.is_success:
                return _read(DriveFile, answer)
            sent = _received(answer)
            if sent > furthest:
                breaks, furthest = 0, sent

    async def _step(self, session: str, upload: Upload, sent: int | None) -> httpx2.Response:
        """The next piece, or where it stands when that is not known. What moves nothing has failed."""
        if sent is None:
            return await self._where(session, upload.size)
        answer = await self._send(session, upload, sent)
        if not answer.is_success and _received(answer) <= sent:
            raise DeliveryFailed(f"{WHAT} takes no more of the upload.")
        return answer

    async def _begin(self, upload: Upload) -> str:
        parents = {"parents": [self._drive.folder_id]} if self._drive.folder_id else {}
        body = {"name": upload.name, "appProperties": {"filmgate": upload.mark}, **parents}
        headers = {
            "x-upload-content-type": upload.content_type,
            "x-upload-content-length": str(upload.size),
        }
        answer = await self._ask(
            "POST",
            "/upload/drive/v3/files",
            json=body,
            headers=headers,
            query={"uploadType": "resumable", "fields": FIELDS},
        )
        session = answer.headers.get("location", "")
        if not session.startswith(("https://", "http://")):
            raise DeliveryRefused(f"{WHAT} began no upload.")
        return session

    async def _send(self, session: str, upload: Upload, start: int) -> httpx2.Response:
        end = min(start + self._chunk_bytes, upload.size)
        content = b"".join([piece async for piece in upload.read(start, end)])
        headers = {"content-range": f"bytes {start}-{end - 1}/{upload.size}"}
        return await self._session_call(session, headers, content)

    async def _where(self, session: str, size: int) -> httpx2.Response:
        return await self._session_call(session, {"content-range": f"bytes */{size}"}, b"")

    async def _session_call(self, session: str, headers: dict[str, str], content: bytes) -> httpx2.Response:
        # The session's address is the credential here; the token goes to the configured origin only.
        answer = await call(
            self._client, "PUT", session, seconds=CHUNK_SECONDS, what=WHAT, headers=headers, content=content
        )
        if answer.status_code == 308:
            return answer
        if answer.status_code in (404, 410):
            raise SessionGone(f"{WHAT} no longer knows the upload.")
        check(answer, what=WHAT)
        return answer

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        headers: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
    ) -> httpx2.Response:
        params = {"supportsAllDrives": "true", **(query or {})}

        async def once() -> httpx2.Response:
            token = await self._token()
            answer = await call(
                self._client,
                method,
                self._base + path,
                seconds=CALL_SECONDS,
                what=WHAT,
                params=params,
                json=json,
                headers={"authorization": f"Bearer {token}", **(headers or {})},
            )
            if answer.status_code == 401:
                self._tokens.forget()
                raise DeliveryFailed(f"{WHAT} refused the access token.")
            if answer.status_code == 403 and _is_busy(answer):
                raise DeliveryFailed(f"{WHAT} is busy.", retry_after=asked_pause(answer))
            _explain(answer)
            return answer

        return await repeated(once, tries=self._drive.tries)

    async def _token(self) -> str:
        try:
            return await self._tokens.token()
        except UpstreamAuthFailed as error:
            raise DeliveryRefused(error.message) from error
        except (UpstreamError, InvalidRequest) as error:
            raise DeliveryFailed(error.message, retry_after=error.retry_after) from error


class SessionGone(DeliveryFailed):
    """An upload has to begin anew."""


def _received(answer: httpx2.Response) -> int:
    """How many bytes Google has of it; without a ``Range`` none."""
    match = re.fullmatch(r"bytes=0-(\d+)", answer.headers.get("range", ""))
    return int(match[1]) + 1 if match else 0


def _is_busy(answer: httpx2.Response) -> bool:
    return any(reason in answer.text for reason in BUSY_REASONS)


def _explain(answer: httpx2.Response) -> None:
    """Raises with Google's own words, which say what an operator has to do."""
    if answer.is_success or answer.status_code in LATER:
        check(answer, what=WHAT)
        return
    try:
        words = str(json.loads(answer.content)["error"]["message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        words = ""
    raise DeliveryRefused(f"{WHAT} answered with HTTP {answer.status_code}. {words[:300]}".strip())


def _read(kind: type[Body], answer: httpx2.Response) -> Body:
    try:
        return kind.model_validate_json(answer.content)
    except ValidationError as error:
        raise DeliveryFailed(f"{WHAT} gave an answer that can't be read.") from error
