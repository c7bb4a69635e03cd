"""The stages a finished video's link goes through. None of them can fail a task: our own copy is there."""

import asyncio
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx2
import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.errors import DeliveryFailed, DeliveryRefused, FilmgateError, InvalidRequest
from app.media.delivery.calls import call, check, repeated
from app.media.delivery.documents import DeliveryOptions, Drive, Resolver
from app.media.delivery.drive import DriveUploads, Upload
from app.media.delivery.links import Delivered
from app.media.guard import OutboundGuard
from app.media.store import MediaStore
from app.options.options import Options

log = structlog.get_logger(__name__)
UPLOADS_AT_ONCE = 4
HEADERS = {"accept": "application/json", "user-agent": "filmgate"}
SAMPLE_ID = "0" * 32


@dataclass(frozen=True, slots=True)
class Made:
    """What an upstream made, as a resolver is told of it; ``number`` counts the files of one task from 0."""

    task_id: str
    kind: str
    model: str
    operation_id: str
    vendor_url: str | None = None
    number: int = 0
    test: bool = False


@dataclass(frozen=True, slots=True)
class Kept:
    """One file in our store."""

    name: str
    key: str
    content_type: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Tried:
    """How one stage did in a test."""

    stage: str
    name: str
    ok: bool
    error: str
    milliseconds: float


class Note(Protocol):
    async def __call__(self, event: str, **detail: Any) -> None:
        """Write a row of the task's timeline."""


class Resolved(BaseModel):
    """A resolver's answer; ``expires_in`` in seconds, none: the link stays."""

    model_config = ConfigDict(extra="ignore")

    url: str = ""
    link: str = ""
    expires_in: float | None = Field(default=None, gt=0)


class Chain:
    """Resolvers, our store, Google Drive, as the operator's document says at that moment. Close it."""

    def __init__(self, options: Options, store: MediaStore, guard: OutboundGuard) -> None:
        self._options = options
        self._store = store
        self._transport = guard.transport(ports=None)
        self._client = httpx2.AsyncClient(
            transport=self._transport, trust_env=False, follow_redirects=False, headers=HEADERS
        )
        self._drive: tuple[Drive, DriveUploads] | None = None
        self._turn = asyncio.Semaphore(UPLOADS_AT_ONCE)

    async def close(self) -> None:
        if self._drive is not None:
            await self._drive[1].close()
        await self._client.aclose()

    async def resolvers(self) -> list[Resolver]:
        """In the order in which they are asked."""
        found = await self._options.read_if_possible(DeliveryOptions)
        return [resolver for resolver in found.resolvers if resolver.enabled]

    async def is_slow(self) -> bool:
        """Whether a stage after our store may take long."""
        return (await self._options.read_if_possible(DeliveryOptions)).drive.usable

    async def resolve(self, resolver: Resolver, made: Made, *, note: Note) -> Delivered:
        """Ask an endpoint of the operator's for its link; ``file`` is left empty. Raises ``DeliveryFailed``."""

        async def failed(attempt: int, error: DeliveryFailed) -> None:
            await note(
                "delivery.resolver", name=resolver.name, ok=False, attempt=attempt, error=error.message
            )

        async def once() -> Delivered:
            return await self._ask(resolver, made)

        return await repeated(once, tries=resolver.tries, failed=failed)

    async def links(
        self, task_id: str, files: Sequence[Kept], *, resolved: Sequence[Delivered], note: Note
    ) -> tuple[Delivered, ...]:
        """Every link that may be given out, in the order of the stages; the last one that works counts."""
        wanted = await self._options.read_if_possible(DeliveryOptions)
        made: list[Delivered] = list(resolved) if wanted.store.links == "none" else []
        for file in files:
            if wanted.store.links == "presigned":
                made += await self._presigned(file, wanted, note)
            if wanted.drive.usable:
                made += await self._uploaded(task_id, file, drive=wanted.drive, note=note)
        return tuple(made)

    async def test(self) -> list[Tried]:
        """Try every stage that is set, with nothing to deliver: resolvers are told ``"test": true``."""
        wanted = await self._options.read(DeliveryOptions)
        made = Made(SAMPLE_ID, "video", "test", "test", test=True)
        tried = [
            await _try("resolver", resolver.name, self._ask(resolver, made)) for resolver in wanted.resolvers
        ]
        if wanted.store.links == "presigned":
            tried.append(await _try("store", "presigned", self._sign("probe/test", wanted)))
        if wanted.drive.usable:
            tried.append(await _try("drive", "Google Drive", self._probe(wanted.drive)))
        return tried

    async def _ask(self, resolver: Resolver, made: Made) -> Delivered:
        secret = resolver.secret.get_secret_value()
        what = f"The resolver {resolver.name}"
        answer = await call(
            self._client,
            "POST",
            resolver.url,
            seconds=resolver.timeout_seconds,
            what=what,
            json=_told(made),
            headers={resolver.header: secret} if secret else {},
        )
        check(answer, what=what)
        try:
            found = Resolved.model_validate_json(answer.content)
        except ValidationError as error:
            raise DeliveryRefused(f"{what} gave no JSON with url or link.") from error
        url = found.url or found.link
        if not made.test and not _is_address(url):
            raise DeliveryRefused(f"{what} gave no link.")
        expires_at = time.time() + found.expires_in if found.expires_in else None
        return Delivered(kind="resolver", file="", url=url, expires_at=expires_at)

    async def _presigned(self, file: Kept, wanted: DeliveryOptions, note: Note) -> list[Delivered]:
        try:
            url = await self._sign(file.key, wanted)
        except FilmgateError as error:
            await note("delivery.store", file=file.name, ok=False, error=error.message)
            return []
        await note("delivery.store", file=file.name, ok=True, host=_host(url))
        expires_at = time.time() + wanted.store.ttl_seconds
        return [Delivered(kind="store", file=file.name, url=url, expires_at=expires_at)]

    async def _sign(self, key: str, wanted: DeliveryOptions) -> str:
        url = await self._store.presign(key, wanted.store.ttl_seconds, endpoint=wanted.store.endpoint)
        if url is None:
            raise DeliveryRefused(
                "Files lie in a folder: only an object store (FILMGATE_STORAGE_URL) presigns."
            )
        return url

    async def _uploaded(self, task_id: str, file: Kept, *, drive: Drive, note: Note) -> list[Delivered]:

        async def failed(attempt: int, error: DeliveryFailed) -> None:
            await note("delivery.drive", file=file.name, ok=False, attempt=attempt, error=error.message)

        upload = Upload(
            name=f"{task_id}-{file.name}",
            content_type=file.content_type,
            size=file.bytes,
            mark=f"{task_id}/{file.name}",
            read=lambda start, end: self._store.stream(file.key, start, end),
            failed=failed,
        )
        try:
            async with self._turn, asyncio.timeout(drive.timeout_seconds):
                url = await (await self._uploads(drive)).deliver(upload)
        except TimeoutError:
            text = f"The upload took longer than {drive.timeout_seconds:g} seconds."
            await note("delivery.drive", file=file.name, ok=False, error=text)
            return []
        except FilmgateError as error:
            await note("delivery.drive", file=file.name, ok=False, error=error.message)
            return []
        await note("delivery.drive", file=file.name, ok=True, host=_host(url))
        return [Delivered(kind="drive", file=file.name, url=url)]

    async def _probe(self, drive: Drive) -> None:
        await (await self._uploads(drive)).probe()

    async def _uploads(self, drive: Drive) -> DriveUploads:
        """Kept while the document stays the same: its access token serves many uploads."""
        if self._drive is None or self._drive[0] != drive:
            try:
                self._drive = (drive, DriveUploads(drive, self._transport, self._client))
            except InvalidRequest as error:
                raise DeliveryRefused(error.message) from error
        return self._drive[1]


async def _try(stage: str, name: str, work: Awaitable[object]) -> Tried:
    began, error = time.monotonic(), ""
    try:
        await work
    except FilmgateError as failure:
        error = failure.message
    return Tried(stage, name, not error, error, round((time.monotonic() - began) * 1000, 1))


def _told(made: Made) -> dict[str, Any]:
    body = {
        "task_id": made.task_id,
        "video_id": f"video_{made.task_id}",
        "operation_id": made.operation_id,
        "vendor_url": made.vendor_url,
        "kind": made.kind,
        "model": made.model,
        "number": made.number,
    }
    return body | ({"test": True} if made.test else {})


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and url.isprintable() and " " not in url


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""
