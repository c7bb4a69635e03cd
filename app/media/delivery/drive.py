"""Uploads to Google Drive: a resumable upload, a permission, a link.

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
from app.media.delivery.calls import (
    RETRYABLE_STATUSES,
    FailureCallback,
    call_endpoint,
    check_status,
    retry_after_seconds,
    retry_call,
    wait_before_retry,
)
from app.media.delivery.options import DriveOptions
from app.providers.google_token import AccessTokens, read_service_account, token_address
from app.providers.http import UpstreamClient
from app.providers.transport import UpstreamTransport

SCOPE = "https://www.googleapis.com/auth/drive"
CALL_SECONDS = 30.0
# Google accepts multiples of 256 KiB.
CHUNK_BYTES = 8 * 1024 * 1024
CHUNK_SECONDS = 120.0
FIELDS = "id,webViewLink,webContentLink"
BUSY_REASONS = ("rateLimitExceeded", "userRateLimitExceeded", "backendError")
SERVICE_NAME = "Google Drive"
Body = TypeVar("Body", bound=BaseModel)
ByteReader = Callable[[int, int], AsyncIterator[bytes]]
"""Reads the bytes from one offset up to, not including, another."""


@dataclass(frozen=True, slots=True)
class DriveUpload:
    """A file to upload. A later run finds it by ``upload_id``, so that no file is uploaded twice.

    ``failed`` is called after each interruption that the upload survives.
    """

    name: str
    content_type: str
    size: int
    upload_id: str
    read: ByteReader
    failed: FailureCallback | None = None


class DriveFile(BaseModel):
    """The fields of Google's answer that are used."""

    id: str
    webViewLink: str = ""  # noqa: N815 - Google's name
    webContentLink: str = ""  # noqa: N815


class FileList(BaseModel):
    files: tuple[DriveFile, ...] = ()


class DriveUploads:
    """Uploads to one folder of one service account. Every method raises ``DeliveryFailed``. Close it."""

    def __init__(
        self,
        drive: DriveOptions,
        transport: UpstreamTransport,
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

    async def upload_and_share(self, upload: DriveUpload) -> str:
        """Upload the file, share it, and return its link."""
        file = await self._find_upload(upload.upload_id) or await self._upload_file(upload)
        if self._drive.share == "anyone":
            body = {"role": "reader", "type": "anyone"}
            await self._call_api("POST", f"/drive/v3/files/{file.id}/permissions", json=body)
        if not file.webViewLink:
            file = _parse_answer(
                DriveFile, await self._call_api("GET", f"/drive/v3/files/{file.id}", query={"fields": FIELDS})
            )
        link = file.webContentLink if self._drive.link == "download" else file.webViewLink
        if not link.startswith(("https://", "http://")):
            raise DeliveryRefused(f"{SERVICE_NAME} gave no link.")
        return link

    async def check_folder(self) -> None:
        """Raises when the account cannot see the folder."""
        where = f"files/{self._drive.folder_id}" if self._drive.folder_id else "about"
        await self._call_api(
            "GET", f"/drive/v3/{where}", query={"fields": "id" if self._drive.folder_id else "user"}
        )

    async def _find_upload(self, mark: str) -> DriveFile | None:
        query = f"appProperties has {{ key='filmgate' and value='{mark}' }} and trashed = false"
        shared = {"includeItemsFromAllDrives": "true", "q": query, "pageSize": "1"}
        answer = await self._call_api(
            "GET", "/drive/v3/files", query={"fields": f"files({FIELDS})", **shared}
        )
        files = _parse_answer(FileList, answer).files
        return files[0] if files else None

    async def _upload_file(self, upload: DriveUpload) -> DriveFile:
        """Upload in chunks. After an interruption, continue at the offset that Google reports."""
        session = await self._begin_session(upload)
        sent: int | None = 0
        breaks = furthest = 0
        while True:
            try:
                answer = await self._upload_step(session, upload, sent)
            except DeliveryRefused:
                raise
            except DeliveryFailed as error:
                breaks += 1
                if breaks >= self._drive.tries:
                    raise
                if upload.failed is not None:
                    await upload.failed(breaks, error)
                await wait_before_retry(breaks, at_least=error.retry_after)
                sent = None
                if isinstance(error, UploadSessionGone):
                    session, sent, furthest = await self._begin_session(upload), 0, 0
                continue
            if answer.is_success:
                return _parse_answer(DriveFile, answer)
            sent = _received_bytes(answer)
            if sent > furthest:
                breaks, furthest = 0, sent

    async def _upload_step(self, session: str, upload: DriveUpload, sent: int | None) -> httpx2.Response:
        """Send the next chunk, or query the progress when ``sent`` is unknown. Raises when a chunk makes no progress."""
        if sent is None:
            return await self._query_progress(session, upload.size)
        answer = await self._send_chunk(session, upload, sent)
        if not answer.is_success and _received_bytes(answer) <= sent:
            raise DeliveryFailed(f"{SERVICE_NAME} takes no more of the upload.")
        return answer

    async def _begin_session(self, upload: DriveUpload) -> str:
        parents = {"parents": [self._drive.folder_id]} if self._drive.folder_id else {}
        body = {"name": upload.name, "appProperties": {"filmgate": upload.upload_id}, **parents}
        headers = {
            "x-upload-content-type": upload.content_type,
            "x-upload-content-length": str(upload.size),
        }
        answer = await self._call_api(
            "POST",
            "/upload/drive/v3/files",
            json=body,
            headers=headers,
            query={"uploadType": "resumable", "fields": FIELDS},
        )
        session = answer.headers.get("location", "")
        if not session.startswith(("https://", "http://")):
            raise DeliveryRefused(f"{SERVICE_NAME} began no upload.")
        return session

    async def _send_chunk(self, session: str, upload: DriveUpload, start: int) -> httpx2.Response:
        end = min(start + self._chunk_bytes, upload.size)
        content = b"".join([piece async for piece in upload.read(start, end)])
        headers = {"content-range": f"bytes {start}-{end - 1}/{upload.size}"}
        return await self._session_call(session, headers, content)

    async def _query_progress(self, session: str, size: int) -> httpx2.Response:
        return await self._session_call(session, {"content-range": f"bytes */{size}"}, b"")

    async def _session_call(self, session: str, headers: dict[str, str], content: bytes) -> httpx2.Response:
        # The session URL is the credential here. The access token is sent to the configured origin only.
        answer = await call_endpoint(
            self._client,
            "PUT",
            session,
            seconds=CHUNK_SECONDS,
            what=SERVICE_NAME,
            headers=headers,
            content=content,
        )
        if answer.status_code == 308:
            return answer
        if answer.status_code in (404, 410):
            raise UploadSessionGone(f"{SERVICE_NAME} no longer knows the upload.")
        check_status(answer, what=SERVICE_NAME)
        return answer

    async def _call_api(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        headers: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
    ) -> httpx2.Response:
        params = {"supportsAllDrives": "true", **(query or {})}

        async def call_once() -> httpx2.Response:
            token = await self._access_token()
            answer = await call_endpoint(
                self._client,
                method,
                self._base + path,
                seconds=CALL_SECONDS,
                what=SERVICE_NAME,
                params=params,
                json=json,
                headers={"authorization": f"Bearer {token}", **(headers or {})},
            )
            if answer.status_code == 401:
                self._tokens.forget_token()
                raise DeliveryFailed(f"{SERVICE_NAME} refused the access token.")
            if answer.status_code == 403 and _is_busy(answer):
                raise DeliveryFailed(f"{SERVICE_NAME} is busy.", retry_after=retry_after_seconds(answer))
            _check_answer(answer)
            return answer

        return await retry_call(call_once, tries=self._drive.tries)

    async def _access_token(self) -> str:
        try:
            return await self._tokens.current_token()
        except UpstreamAuthFailed as error:
            raise DeliveryRefused(error.message) from error
        except (UpstreamError, InvalidRequest) as error:
            raise DeliveryFailed(error.message, retry_after=error.retry_after) from error


class UploadSessionGone(DeliveryFailed):
    """The upload session has ended; the upload must start again."""


def _received_bytes(answer: httpx2.Response) -> int:
    """How many bytes Google has received; 0 without a ``Range`` header."""
    match = re.fullmatch(r"bytes=0-(\d+)", answer.headers.get("range", ""))
    return int(match[1]) + 1 if match else 0


def _is_busy(answer: httpx2.Response) -> bool:
    return any(reason in answer.text for reason in BUSY_REASONS)


def _check_answer(answer: httpx2.Response) -> None:
    """Raises with Google's own message, which tells the operator what to do."""
    if answer.is_success or answer.status_code in RETRYABLE_STATUSES:
        check_status(answer, what=SERVICE_NAME)
        return
    try:
        words = str(json.loads(answer.content)["error"]["message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        words = ""
    raise DeliveryRefused(f"{SERVICE_NAME} answered with HTTP {answer.status_code}. {words[:300]}".strip())


def _parse_answer(kind: type[Body], answer: httpx2.Response) -> Body:
    try:
        return kind.model_validate_json(answer.content)
    except ValidationError as error:
        raise DeliveryFailed(f"{SERVICE_NAME} gave an answer that can't be read.") from error
