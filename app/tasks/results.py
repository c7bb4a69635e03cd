"""Copies results into our own store, and measures them."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from app.db.session import DATABASE_AWAY
from app.errors import (
    DeliveryFailed,
    FilmgateError,
    LabelsFailed,
    PayloadTooLarge,
    PollFailed,
    ResultUndecodable,
    ResultUnreadable,
    ServiceUnavailable,
    UpstreamError,
)
from app.media.delivery.chain import (
    STAGE_BEGUN,
    DeliverableFile,
    DeliveryChain,
    GeneratedFile,
    TimelineWriter,
)
from app.media.delivery.options import LinkResolver
from app.media.fetch import DIRECT, MediaFetcher, ResultRoute
from app.media.inspection import RESULT_BYTES, MediaInfo, MediaInspector, result_content_type
from app.media.labels.options import LabelOptions
from app.media.links import DeliveredLink
from app.media.peer_shares import PeerShares
from app.media.scratch import ScratchFiles, ScratchFolder
from app.media.store import MediaStore
from app.options import OptionsRepository
from app.providers.base import Operation, Provider, ResultFile, Succeeded
from app.tasks.derived_files import DerivedFileMaker
from app.tasks.labelling import KEPT_FIELD, FilmLabeller, InspectedCopy, UnlabelledCopy, file_sha256
from app.tasks.task import StoredFile, Task, TaskResult

DECODED_AT_ONCE = 8
"""Results that are inspected at the same time; others wait. Nobody's server is waited for meanwhile."""
COPIES_AT_ONCE = 32
"""Results that are downloaded or lie in the work folder: each may be as large as ``FILMGATE_MAX_RESULT_BYTES``."""
COPIES_PER_ACCOUNT = 8
"""Of these, so that an upstream whose results drip delays nobody else's."""
TRIM_SLACK_SECONDS = 0.25
"""A film that is longer than asked by so little is not cut: vendors round to whole frames."""
ENDINGS = {
    "video/mp4": "mp4",
    "video/webm": "webm",
    "video/quicktime": "mov",
    "video/x-matroska": "mkv",
    "image/png": "png",
    "image/webp": "webp",
    "image/jpeg": "jpg",
    "image/gif": "gif",
    "audio/mpeg": "mp3",
    "audio/wav": "wav",
    "audio/flac": "flac",
    "audio/ogg": "ogg",
    "audio/aac": "aac",
    "audio/mp4": "m4a",
    "audio/aiff": "aiff",
    "audio/amr": "amr",
    "video/x-msvideo": "avi",
    "video/mp2t": "ts",
    "video/x-flv": "flv",
    "video/mpeg": "mpg",
    "video/x-ms-asf": "wmv",
    "video/ogg": "ogv",
    "image/avif": "avif",
    "image/heic": "heic",
    "image/jxl": "jxl",
    "image/tiff": "tif",
    "image/bmp": "bmp",
}


@dataclass(frozen=True, slots=True)
class CopyJob:
    """The task and operation whose result is copied; ``note`` adds a row to its timeline."""

    task: Task
    provider: Provider
    operation: Operation
    note: TimelineWriter


@dataclass(frozen=True, slots=True)
class LocalCopy:
    """A result in the work folder, among its ``files``; ``head``: its first bytes, for ``result_content_type``."""

    files: ScratchFiles
    path: Path
    head: bytes
    sha256: str


@dataclass(frozen=True, slots=True)
class KeptFile:
    """One file, and the resolver's link to it."""

    stored: StoredFile
    links: tuple[DeliveredLink, ...] = ()


class ResultStorage:
    """Stores results. Bytes go through a local file, as a video is inspected before it is stored."""

    def __init__(
        self,
        store: MediaStore,
        fetcher: MediaFetcher,
        inspector: MediaInspector,
        *,
        chain: DeliveryChain,
        derived_files: DerivedFileMaker,
        options: OptionsRepository,
        labeller: FilmLabeller,
        scratch: ScratchFolder,
        max_bytes: int,
    ) -> None:
        self.store = store
        self._derived_files = derived_files
        self._chain = chain
        self._options = options
        self._labeller = labeller
        self._unlabelled: set[str] = set()
        """Tasks whose result is kept here until its labels can be added."""
        self._fetcher = fetcher
        self._inspector = inspector
        self._scratch = scratch
        self._max_bytes = max_bytes
        self._copies = PeerShares(COPIES_AT_ONCE, per_peer=COPIES_PER_ACCOUNT)
        self._decoding = asyncio.Semaphore(DECODED_AT_ONCE)

    async def keep_result(
        self, task: Task, provider: Provider, operation: Operation, *, answer: Succeeded, note: TimelineWriter
    ) -> TaskResult:
        """Copy all files of a result. Raises ``FilmgateError`` or ``OSError``; a later attempt may succeed."""
        work = CopyJob(task, provider, operation, note)
        if task.id in self._unlabelled:
            answer = await self.kept_answer(task) or answer
        if not answer.files:
            raise PollFailed("The upstream says it is done, but names no result.")
        try:
            kept = [
                await self._keep_one(work, file, number=number) for number, file in enumerate(answer.files)
            ]
        except LabelsFailed:
            await self._labeller.keep_answer(task, answer)
            self._unlabelled.add(task.id)
            raise
        self._unlabelled.discard(task.id)
        if not task.is_segment:
            self._derived_files.plan(task.id)
        return TaskResult(
            files=tuple(one.stored for one in kept),
            vendor_url=answer.files[0].url,
            delivered=tuple(link for one in kept for link in one.links),
            usage=dict(answer.usage),
        )

    async def kept_answer(self, task: Task) -> Succeeded | None:
        """What a former run has kept because it could not be labelled: its vendor need not have it any more."""
        try:
            return await self._labeller.find_answer(task)
        except FilmgateError:
            return None

    async def delivers_slowly(self, task: Task) -> bool:
        """Whether ``deliver_links`` may take long."""
        return not _is_kept_here(task) and await self._chain.may_take_long()

    async def deliver_links(self, task: Task, result: TaskResult, *, note: TimelineWriter) -> TaskResult:
        """The result with the links that other stages made. A private task and a segment have none."""
        if _is_kept_here(task):
            return result
        files = [DeliverableFile(file.name, file.key, file.content_type, file.bytes) for file in result.files]
        links = await self._chain.create_links(task.id, files, resolved=result.delivered, note=note)
        return result.model_copy(update={"delivered": links})

    async def _keep_one(self, work: CopyJob, file: ResultFile, *, number: int) -> KeptFile:
        """Copy a file through the first resolver whose link works, else from the vendor."""
        is_ours = work.task.request.private or work.task.is_joined or KEPT_FIELD in file.data
        resolvers = [] if is_ours else await self._chain.enabled_resolvers()
        pages: list[DeliveredLink] = []
        if resolvers and number == 0:
            await work.note(STAGE_BEGUN, stage="publish")
        for resolver in resolvers:
            found = await self._copy_from_resolver(work, file, resolver=resolver, number=number)
            if isinstance(found, KeptFile):
                return found
            if found is not None:
                pages.append(found)
                break
        provider = work.provider
        route = ResultRoute.of(provider.account, provider.http.base_url) if file.url else DIRECT
        kept = await self._copy_file(work, file, number=number, route=route)
        return replace(kept, links=tuple(_link_to_kept(link, kept) for link in pages))

    async def _copy_from_resolver(
        self, work: CopyJob, file: ResultFile, *, resolver: LinkResolver, number: int
    ) -> KeptFile | DeliveredLink | None:
        """The file copied from a resolver's link, or a link to its page; None when it failed."""
        task = work.task
        made = GeneratedFile(
            task.id, file.kind, task.model, work.operation.id, vendor_url=file.url, number=number
        )
        await work.note(STAGE_BEGUN, stage="resolver", name=resolver.name)
        try:
            link = await self._chain.resolve(resolver, made, note=work.note)
            found: KeptFile | DeliveredLink = link
            if resolver.answers == "file":
                kept = await self._copy_file(work, replace(file, url=link.url, data={}), number=number)
                found = replace(kept, links=(_link_to_kept(link, kept),))
        except (DeliveryFailed, UpstreamError, PayloadTooLarge) as error:
            await work.note("delivery.resolver", name=resolver.name, ok=False, error=error.message)
            return None
        await work.note("delivery.resolver", name=resolver.name, ok=True)
        return found

    async def _copy_file(
        self, work: CopyJob, file: ResultFile, *, number: int, route: ResultRoute = DIRECT
    ) -> KeptFile:
        folder = f"tasks/{work.task.id}"
        rules = await self._read_rules()
        place = self._copies.place(work.provider.account.id)
        local = self._local_copy(work.provider, work.operation, file=file, route=route)
        async with place, local as copied:
            path = copied.path
            content_type = result_content_type(copied.head, kind=file.kind, stated=file.content_type)
            async with self._decoding:
                found = await self._inspect_copy(work, path, kind=file.kind)
                made = InspectedCopy(path, copied.files, found, content_type, copied.sha256)
                kept = await self._trim_copy(work, made, kind=file.kind)
                made_seconds = found.seconds if found and kept.path != path else None
                wanted = rules.enabled or work.task.request.labels is not None
                if wanted and not work.task.is_segment:  # the film that is joined of it gets them
                    copy = UnlabelledCopy(work.task, path, kept, kind=file.kind, number=number)
                    kept = await self._labeller.label_copy(copy, rules, note=work.note)
            probe = kept.found
            name = f"{file.kind}{f'-{number + 1}' if number else ''}.{ENDINGS.get(kept.content_type, 'bin')}"
            size = await self.store.put_file(f"{folder}/{name}", kept.path, content_type=kept.content_type)
        stored = StoredFile(
            name=name,
            key=f"{folder}/{name}",
            content_type=kept.content_type,
            bytes=size,
            sha256=kept.sha256,
            labels=kept.layers,
            vendor_marks=kept.marks,
            width=probe.width if probe else None,
            height=probe.height if probe else None,
            seconds=(probe.seconds or None) if probe else None,
            fps=(probe.fps or None) if probe else None,
            made_seconds=made_seconds,
            codec=(probe.codec or None) if probe else None,
            sound=probe.has_audio if probe and probe.seconds else None,
            compatible=probe.compatible if probe and probe.seconds else None,
        )
        return KeptFile(stored)

    async def _read_rules(self) -> LabelOptions:
        """Never the defaults in place of what can't be read: a film would go out unlabelled."""
        try:
            return await self._options.read(LabelOptions)
        except DATABASE_AWAY as error:
            raise ServiceUnavailable("The rules for labels can't be read just now.") from error

    async def _inspect_copy(self, work: CopyJob, path: Path, *, kind: str) -> MediaInfo | None:
        """None for sounds, and for what can't be decoded here: it is kept without pictures, and the timeline says why.
        Raises ``ResultUnreadable``."""
        try:
            if kind == "video":
                return await self._inspector.probe_video(path)
            if kind == "image":
                return await self._inspector.probe_image(path)
        except ResultUndecodable as error:
            await work.note("result.undecoded", error=error.message)
        return None

    async def _trim_copy(self, work: CopyJob, copy: InspectedCopy, *, kind: str) -> InspectedCopy:
        """A film that was asked longer than its client wants it, cut to that length; the whole one when that fails."""
        fitting = work.task.fitting
        if kind != "video" or fitting is None or fitting.trim_to is None:
            return copy
        if copy.found is not None and copy.found.seconds <= fitting.trim_to + TRIM_SLACK_SECONDS:
            return copy
        target = copy.files.path("trimmed")
        try:
            if copy.found is None:
                raise ResultUndecodable("It can't be decoded here.")
            found = await self._inspector.trim_clip(copy.path, target, seconds=fitting.trim_to)
        except (ResultUnreadable, ResultUndecodable) as error:
            await work.note("trimmed", ok=False, to=fitting.trim_to, error=f"Kept whole: {error.message}")
            return copy
        made = copy.found.seconds
        await work.note("trimmed", ok=True, made=made, to=fitting.trim_to, kept=found.seconds)
        return replace(copy, path=target, found=found, sha256=await asyncio.to_thread(file_sha256, target))

    @asynccontextmanager
    async def _local_copy(
        self, provider: Provider, operation: Operation, *, file: ResultFile, route: ResultRoute
    ) -> AsyncIterator[LocalCopy]:
        with self._scratch.files("result") as files:
            if KEPT_FIELD in file.data:
                yield await self._write_file(files, self.store.stream(file.data[KEPT_FIELD]))
            elif file.url is None:
                yield await self._write_file(files, provider.fetch(operation, file))
            else:
                async with self._fetcher.stream(file.url, limit=self._max_bytes, route=route) as pieces:
                    copied = await self._write_file(files, pieces)
                yield copied

    async def _write_file(self, files: ScratchFiles, pieces: AsyncIterator[bytes]) -> LocalCopy:
        """Its SHA-256 is reckoned while it is copied, which costs 0.9 ms of a film's megabyte."""
        path, head, size, digest = files.path("copy"), b"", 0, hashlib.sha256()
        with path.open("wb") as target:
            async for piece in pieces:
                if size < RESULT_BYTES:
                    head += piece[: RESULT_BYTES - size]
                size += len(piece)
                if size > self._max_bytes:
                    raise PayloadTooLarge(f"The result is larger than the limit of {self._max_bytes} bytes.")
                digest.update(piece)
                target.write(piece)
        return LocalCopy(files, path, head, digest.hexdigest())


def _is_kept_here(task: Task) -> bool:
    return task.request.private or task.is_segment


def _link_to_kept(link: DeliveredLink, kept: KeptFile) -> DeliveredLink:
    return link.model_copy(update={"file": kept.stored.name})
