"""Copies results into our own store, inspects them, and makes thumbnails and sprite sheets."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from app.errors import DeliveryFailed, PayloadTooLarge, PollFailed, ResultUnreadable, UpstreamError
from app.media.delivery.chain import DeliverableFile, DeliveryChain, GeneratedFile, TimelineWriter
from app.media.delivery.options import LinkResolver
from app.media.fetch import MediaFetcher
from app.media.inspection import SNIFF_BYTES, MediaInspection, MediaInspector, kind_of, sniff_content_type
from app.media.links import DeliveredLink
from app.media.store import MediaStore
from app.providers.base import Operation, Provider, ResultFile, Succeeded
from app.tasks.task import StoredFile, Task, TaskResult

AT_ONCE = 8
"""Results that are copied and inspected at the same time; others wait."""
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
}


@dataclass(frozen=True, slots=True)
class CopyJob:
    """The task and operation whose result is copied; ``note`` adds a row to its timeline."""

    task: Task
    provider: Provider
    operation: Operation
    note: TimelineWriter


@dataclass(frozen=True, slots=True)
class KeptFile:
    """One file, its pictures by name, and the resolver's link to it."""

    stored: StoredFile
    pictures: Mapping[str, StoredFile]
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
        work_dir: Path,
        max_bytes: int,
    ) -> None:
        self.store = store
        self._chain = chain
        self._fetcher = fetcher
        self._inspector = inspector
        self._work_dir = work_dir
        self._max_bytes = max_bytes
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def keep_result(
        self, task: Task, provider: Provider, operation: Operation, *, answer: Succeeded, note: TimelineWriter
    ) -> TaskResult:
        """Copy all files of a result. Raises ``FilmgateError`` or ``OSError``; a later attempt may succeed."""
        work = CopyJob(task, provider, operation, note)
        if not answer.files:
            raise PollFailed("The upstream says it is done, but names no result.")
        kept = [await self._keep_one(work, file, number=number) for number, file in enumerate(answer.files)]
        first = kept[0].pictures
        return TaskResult(
            files=tuple(one.stored for one in kept),
            thumbnail=first.get("thumbnail"),
            spritesheet=first.get("spritesheet"),
            vendor_url=answer.files[0].url,
            delivered=tuple(link for one in kept for link in one.links),
            usage=dict(answer.usage),
        )

    async def delivers_slowly(self, task: Task) -> bool:
        """Whether ``deliver_links`` may take long."""
        return not task.request.private and await self._chain.may_take_long()

    async def deliver_links(self, task: Task, result: TaskResult, *, note: TimelineWriter) -> TaskResult:
        """The result with the links that other stages made. A private task has none."""
        if task.request.private:
            return result
        files = [DeliverableFile(file.name, file.key, file.content_type, file.bytes) for file in result.files]
        links = await self._chain.create_links(task.id, files, resolved=result.delivered, note=note)
        return result.model_copy(update={"delivered": links})

    async def _keep_one(self, work: CopyJob, file: ResultFile, *, number: int) -> KeptFile:
        """Copy a file through the first resolver whose link works, else from the vendor."""
        resolvers = [] if work.task.request.private else await self._chain.enabled_resolvers()
        pages: list[DeliveredLink] = []
        for resolver in resolvers:
            found = await self._copy_from_resolver(work, file, resolver=resolver, number=number)
            if isinstance(found, KeptFile):
                return found
            if found is not None:
                pages.append(found)
                break
        kept = await self._copy_file(work, file, number=number)
        return replace(kept, links=tuple(_link_to_kept(link, kept) for link in pages))

    async def _copy_from_resolver(
        self, work: CopyJob, file: ResultFile, *, resolver: LinkResolver, number: int
    ) -> KeptFile | DeliveredLink | None:
        """The file copied from a resolver's link, or a link to its page; None when it failed."""
        task = work.task
        made = GeneratedFile(
            task.id, file.kind, task.model, work.operation.id, vendor_url=file.url, number=number
        )
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

    async def _copy_file(self, work: CopyJob, file: ResultFile, *, number: int) -> KeptFile:
        folder = f"tasks/{work.task.id}"
        async with self._turn, self._local_copy(work.provider, work.operation, file) as path:
            with path.open("rb") as head:
                content_type = sniff_content_type(head.read(SNIFF_BYTES)) or file.content_type
            found = await self._inspect_copy(path, file.kind, content_type)
            name = f"{file.kind}{f'-{number + 1}' if number else ''}.{ENDINGS.get(content_type, 'bin')}"
            size = await self.store.put(f"{folder}/{name}", _read_pieces(path), content_type=content_type)
        probe = found.probe if found else None
        stored = StoredFile(
            name=name,
            key=f"{folder}/{name}",
            content_type=content_type,
            bytes=size,
            width=probe.width if probe else None,
            height=probe.height if probe else None,
            seconds=(probe.seconds or None) if probe else None,
            fps=(probe.fps or None) if probe else None,
        )
        return KeptFile(stored, await self._store_pictures(folder, found) if found and number == 0 else {})

    async def _inspect_copy(self, path: Path, kind: str, content_type: str) -> MediaInspection | None:
        """Raises ``ResultUnreadable``. Sounds are checked by their first bytes only."""
        if kind == "video":
            return await self._inspector.inspect_video(path)
        if kind == "image":
            return await self._inspector.inspect_image(path)
        if kind_of(content_type) != kind:
            raise ResultUnreadable(f"The result is {content_type or 'nothing known'}, not {kind}.")
        return None

    async def _store_pictures(self, folder: str, found: MediaInspection) -> dict[str, StoredFile]:
        kept: dict[str, StoredFile] = {}
        for name, file_name, content_type in (
            ("thumbnail", "thumbnail.webp", "image/webp"),
            ("spritesheet", "spritesheet.jpg", "image/jpeg"),
        ):
            content = getattr(found, name, None)
            if content:
                key = f"{folder}/{file_name}"
                size = await self.store.put(key, content, content_type=content_type)
                kept[name] = StoredFile(name=file_name, key=key, content_type=content_type, bytes=size)
        return kept

    @asynccontextmanager
    async def _local_copy(
        self, provider: Provider, operation: Operation, file: ResultFile
    ) -> AsyncIterator[Path]:
        self._work_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._work_dir, prefix="result-") as folder:
            path = Path(folder) / "result"
            if file.url is None:
                await self._write_file(path, provider.fetch(operation, file))
            else:
                async with self._fetcher.stream(file.url, limit=self._max_bytes) as pieces:
                    await self._write_file(path, pieces)
            yield path

    async def _write_file(self, path: Path, pieces: AsyncIterator[bytes]) -> None:
        size = 0
        with path.open("wb") as target:
            async for piece in pieces:
                size += len(piece)
                if size > self._max_bytes:
                    raise PayloadTooLarge(f"The result is larger than the limit of {self._max_bytes} bytes.")
                target.write(piece)


async def _read_pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as source:
        while piece := await asyncio.to_thread(source.read, 1 << 20):
            yield piece


def _link_to_kept(link: DeliveredLink, kept: KeptFile) -> DeliveredLink:
    return link.model_copy(update={"file": kept.stored.name})
