"""Runs the delivery stages of a finished video. A failed stage never fails the task, because our own copy exists."""

import asyncio
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx2
import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app import USER_AGENT
from app.errors import DeliveryFailed, DeliveryRefused, FilmgateError, InvalidRequest
from app.media.delivery.calls import call_endpoint, check_status, retry_call
from app.media.delivery.drive import DriveUpload, DriveUploads
from app.media.delivery.options import DeliveryOptions, DriveOptions, LinkResolver
from app.media.guard import OutboundGuard
from app.media.links import DeliveredLink
from app.media.store import MediaStore
from app.options import OptionsRepository
from app.providers.transport import UpstreamTransport

log = structlog.get_logger(__name__)
UPLOADS_AT_ONCE = 4
HEADERS = {"accept": "application/json", "user-agent": USER_AGENT}
STAGE_BEGUN = "stage_begun"
"""The event of a timeline when a stage begins: an upload may take minutes, in which the client is to know what goes on."""
SAMPLE_ID = "0" * 32


@dataclass(frozen=True, slots=True)
class GeneratedFile:
    """A file made by an upstream, described for a resolver. ``number`` counts the files of one task from 0."""

    task_id: str
    kind: str
    model: str
    operation_id: str
    vendor_url: str | None = None
    number: int = 0
    test: bool = False


@dataclass(frozen=True, slots=True)
class DeliverableFile:
    """One file in our store, to be delivered."""

    name: str
    key: str
    content_type: str
    bytes: int


@dataclass(frozen=True, slots=True)
class StageTest:
    """The outcome of testing one stage."""

    stage: str
    name: str
    ok: bool
    error: str
    milliseconds: float


class TimelineWriter(Protocol):
    async def __call__(self, event: str, **detail: Any) -> None:
        """Write a row of the task's timeline."""


class ResolverAnswer(BaseModel):
    """A resolver's answer. ``expires_in`` is in seconds; without it the link does not expire."""

    model_config = ConfigDict(extra="ignore")

    url: str = ""
    link: str = ""
    expires_in: float | None = Field(default=None, gt=0)


class DeliveryChain:
    """Resolvers, our store and Google Drive, as the operator's options are at that time. Close it."""

    def __init__(self, options: OptionsRepository, store: MediaStore, guard: OutboundGuard) -> None:
        self._options = options
        self._store = store
        self._guard = guard
        self._client = httpx2.AsyncClient(
            transport=guard.http_transport(ports=None),
            trust_env=False,
            follow_redirects=False,
            headers=HEADERS,
        )
        self._transport: UpstreamTransport | None = None
        self._drive: tuple[DriveOptions, DriveUploads] | None = None
        self._turn = asyncio.Semaphore(UPLOADS_AT_ONCE)

    async def close(self) -> None:
        if self._transport is not None:
            await self._transport.aclose()
        await self._client.aclose()

    async def enabled_resolvers(self) -> list[LinkResolver]:
        """The enabled resolvers, in the order in which they are called."""
        options = await self._options.read_if_possible(DeliveryOptions)
        return [resolver for resolver in options.resolvers if resolver.enabled]

    async def may_take_long(self) -> bool:
        """Whether a stage after our store (Google Drive) may take long."""
        return _has_drive((await self._options.read_if_possible(DeliveryOptions)).drive)

    async def resolve(
        self, resolver: LinkResolver, file: GeneratedFile, *, note: TimelineWriter
    ) -> DeliveredLink:
        """Ask a resolver of the operator for its link, in which ``file`` is empty. Raises ``DeliveryFailed``."""

        async def record_failure(attempt: int, error: DeliveryFailed) -> None:
            await note(
                "delivery.resolver", name=resolver.name, ok=False, attempt=attempt, error=error.message
            )

        async def ask_once() -> DeliveredLink:
            return await self._ask_resolver(resolver, file)

        return await retry_call(ask_once, tries=resolver.tries, failed=record_failure)

    async def create_links(
        self,
        task_id: str,
        files: Sequence[DeliverableFile],
        *,
        resolved: Sequence[DeliveredLink],
        note: TimelineWriter,
    ) -> tuple[DeliveredLink, ...]:
        """All links of the stages, in their order. The last valid one is given to clients."""
        wanted = await self._options.read_if_possible(DeliveryOptions)
        links: list[DeliveredLink] = list(resolved) if wanted.store.links == "none" else []
        if not resolved and (wanted.store.links == "presigned" or _has_drive(wanted.drive)):
            await note(STAGE_BEGUN, stage="publish")
        for file in files:
            if wanted.store.links == "presigned":
                await note(STAGE_BEGUN, stage="store", file=file.name)
                links += await self._presign_file(file, wanted, note)
            if _has_drive(wanted.drive):
                links += await self._upload_file(task_id, file, drive=wanted.drive, note=note)
        return tuple(links)

    async def test_stages(self) -> list[StageTest]:
        """Test every configured stage without a file. Resolvers receive ``"test": true``."""
        wanted = await self._options.read(DeliveryOptions)
        file = GeneratedFile(SAMPLE_ID, "video", "test", "test", test=True)
        tried = [
            await _run_stage_test("resolver", resolver.name, self._ask_resolver(resolver, file))
            for resolver in wanted.resolvers
        ]
        if wanted.store.links == "presigned":
            tried.append(await _run_stage_test("store", "presigned", self._presign_key("probe/test", wanted)))
        if _has_drive(wanted.drive):
            tried.append(await _run_stage_test("drive", "Google Drive", self._check_drive(wanted.drive)))
        return tried

    async def _ask_resolver(self, resolver: LinkResolver, file: GeneratedFile) -> DeliveredLink:
        secret = resolver.secret.get_secret_value()
        what = f"The resolver {resolver.name}"
        answer = await call_endpoint(
            self._client,
            "POST",
            resolver.url,
            seconds=resolver.timeout_seconds,
            what=what,
            json=_resolver_body(file),
            headers={resolver.header: secret} if secret else {},
        )
        check_status(answer, what=what)
        try:
            given = ResolverAnswer.model_validate_json(answer.content)
        except ValidationError as error:
            raise DeliveryRefused(f"{what} gave no JSON with url or link.") from error
        url = given.url or given.link
        if not file.test and not _is_http_url(url):
            raise DeliveryRefused(f"{what} gave no link.")
        expires_at = time.time() + given.expires_in if given.expires_in else None
        return DeliveredLink(kind="resolver", file="", url=url, expires_at=expires_at)

    async def _presign_file(
        self, file: DeliverableFile, wanted: DeliveryOptions, note: TimelineWriter
    ) -> list[DeliveredLink]:
        try:
            url = await self._presign_key(file.key, wanted)
        except FilmgateError as error:
            await note("delivery.store", file=file.name, ok=False, error=error.message)
            return []
        await note("delivery.store", file=file.name, ok=True, host=_host_name(url))
        expires_at = time.time() + wanted.store.ttl_seconds
        return [DeliveredLink(kind="store", file=file.name, url=url, expires_at=expires_at)]

    async def _presign_key(self, key: str, wanted: DeliveryOptions) -> str:
        url = await self._store.presign(key, wanted.store.ttl_seconds, endpoint=wanted.store.endpoint)
        if url is None:
            raise DeliveryRefused(
                "Files lie in a folder: only an object store (FILMGATE_STORAGE_URL) presigns."
            )
        return url

    async def _upload_file(
        self, task_id: str, file: DeliverableFile, *, drive: DriveOptions, note: TimelineWriter
    ) -> list[DeliveredLink]:

        async def record_failure(attempt: int, error: DeliveryFailed) -> None:
            await note("delivery.drive", file=file.name, ok=False, attempt=attempt, error=error.message)

        upload = DriveUpload(
            name=f"{task_id}-{file.name}",
            content_type=file.content_type,
            size=file.bytes,
            upload_id=f"{task_id}/{file.name}",
            read=lambda start, end: self._store.stream(file.key, start, end),
            failed=record_failure,
        )
        await note(STAGE_BEGUN, stage="drive", file=file.name)
        try:
            # Waiting counts: when Google is stuck, films are done without it rather than queue for it.
            async with asyncio.timeout(drive.timeout_seconds), self._turn:
                url = await (await self._drive_uploads(drive)).upload_and_share(upload)
        except TimeoutError:
            text = f"It was not uploaded within {drive.timeout_seconds:g} seconds."
            await note("delivery.drive", file=file.name, ok=False, error=text)
            return []
        except FilmgateError as error:
            await note("delivery.drive", file=file.name, ok=False, error=error.message)
            return []
        await note("delivery.drive", file=file.name, ok=True, host=_host_name(url))
        return [DeliveredLink(kind="drive", file=file.name, url=url)]

    async def _check_drive(self, drive: DriveOptions) -> None:
        await (await self._drive_uploads(drive)).check_folder()

    async def _drive_uploads(self, drive: DriveOptions) -> DriveUploads:
        """Reused while the options stay the same, because its access token serves many uploads."""
        if self._drive is None or self._drive[0] != drive:
            self._transport = self._transport or self._guard.upstream_transport()
            try:
                self._drive = (drive, DriveUploads(drive, self._transport, self._client))
            except InvalidRequest as error:
                raise DeliveryRefused(error.message) from error
        return self._drive[1]


async def _run_stage_test(stage: str, name: str, work: Awaitable[object]) -> StageTest:
    began, error = time.monotonic(), ""
    try:
        await work
    except FilmgateError as failure:
        error = failure.message
    return StageTest(stage, name, not error, error, round((time.monotonic() - began) * 1000, 1))


def _resolver_body(file: GeneratedFile) -> dict[str, Any]:
    body = {
        "task_id": file.task_id,
        "video_id": f"video_{file.task_id}",
        "operation_id": file.operation_id,
        "vendor_url": file.vendor_url,
        "kind": file.kind,
        "model": file.model,
        "number": file.number,
    }
    return body | ({"test": True} if file.test else {})


def _has_drive(drive: DriveOptions) -> bool:
    return drive.enabled and bool(drive.service_account.get_secret_value())


def _is_http_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and url.isprintable() and " " not in url


def _host_name(url: str) -> str:
    return urlsplit(url).hostname or ""
