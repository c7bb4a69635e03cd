"""Stores files in a local folder or an object store, with the same methods."""

import asyncio
import errno
import os
import re
import secrets
import shutil
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from app.durable_files import sync_with_folders
from app.errors import NotFound, ServiceUnavailable
from app.late import LateModule
from app.ops.metrics import STORE_ERRORS
from app.step_turns import StepTurns

if TYPE_CHECKING:
    import obstore
    from obstore import Attributes, GetOptions, exceptions  # the first two only exist for type checkers
    from obstore.store import ClientConfig, LocalStore, S3Store
else:  # with the first file: it takes 5 MB
    obstore, exceptions = LateModule("obstore"), LateModule("obstore.exceptions")

log = structlog.get_logger(__name__)

KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
MAX_KEY = 512
TASK_ID = re.compile(r"[0-9a-f]{32}")
# Each reader holds so much in memory, and hundreds read at the same time.
PIECE_BYTES = 32 * 1024
PART_BYTES = 5 * 1024 * 1024
PARTS_AT_ONCE = 2
STALL_SECONDS = 30.0
"""After so many silent seconds an object store counts as unavailable."""
LONGEST_READING = timedelta(hours=12)
NEVER_WAITS: int | None = getattr(os, "RWF_NOWAIT", None)
ABSENT = (FileNotFoundError, IsADirectoryError, NotADirectoryError)


@dataclass(frozen=True, slots=True)
class StoreEntry:
    """A file in the store: ``size`` in bytes, ``etag`` with its quotes, ``modified`` with a time zone."""

    key: str
    size: int
    etag: str
    modified: datetime


class MediaStore:
    """Keys look like ``tasks/<id>/video.mp4``; a key with ``..`` or odd characters is never found.

    Every method raises ``ServiceUnavailable`` when the store itself can't be used.
    """

    def __init__(self, *, folder: Path | None, objects: "S3Store | None" = None, url: str = "") -> None:
        self._remote = objects
        self._folder = folder
        self._url = url
        self._turns = StepTurns()

    @classmethod
    def open(
        cls, url: str, *, folder: Path, endpoint: str = "", stall_seconds: float = STALL_SECONDS
    ) -> "MediaStore":
        """``s3://bucket/prefix`` (credentials from the usual ``AWS_`` variables), or empty for ``folder``."""
        if not url:
            root = folder.resolve()
            root.mkdir(parents=True, exist_ok=True)
            return cls(folder=root)
        return cls(folder=None, objects=object_store(url, endpoint, stall_seconds=stall_seconds), url=url)

    @cached_property
    def _objects(self) -> "LocalStore | S3Store":
        return self._remote or obstore.store.LocalStore(self._folder, automatic_cleanup=True)

    async def put(self, key: str, content: bytes | AsyncIterator[bytes], *, content_type: str = "") -> int:
        """Store atomically, replacing an existing file. Returns the size in bytes once a power cut can't undo it.

        A ``FilmgateError`` of the iterator comes through as it is, and leaves nothing behind. An object store
        keeps ``content_type``, for those who read there.
        """
        counted = CountedContent(content)
        kept: Attributes = {"Content-Type": content_type} if content_type and self._folder is None else {}
        try:
            await obstore.put_async(
                self._objects,
                checked_key(key),
                content if isinstance(content, bytes) else counted,
                attributes=kept,
                chunk_size=PART_BYTES,
                max_concurrency=PARTS_AT_ONCE,
            )
            if self._folder is not None:  # obstore renames what may still be in memory only
                await asyncio.to_thread(_finish_file, self._folder / key, root=self._folder)
        except (exceptions.BaseError, OSError) as error:
            raise unavailable_error("put", error) from error
        return counted.size

    async def put_file(self, key: str, path: Path, *, content_type: str = "") -> int:
        """Like ``put``, with the content of a local file, which is gone afterwards where it could be moved."""
        if self._folder is None:
            return await self.put(key, _read_pieces(path), content_type=content_type)
        try:
            return await asyncio.to_thread(
                _move_file, path, self._folder / checked_key(key), root=self._folder
            )
        except OSError as error:
            raise unavailable_error("put", error) from error

    async def head(self, key: str) -> StoreEntry:
        """Raises ``NotFound``."""
        try:
            meta = await obstore.head_async(self._objects, checked_key(key))
        except ABSENT as error:
            raise missing_file_error() from error
        except (exceptions.BaseError, OSError) as error:
            raise unavailable_error("head", error) from error
        etag = meta["e_tag"] or f'"{meta["size"]}-{int(meta["last_modified"].timestamp())}"'
        return StoreEntry(key=key, size=meta["size"], etag=etag, modified=meta["last_modified"])

    async def get(self, key: str) -> bytes:
        """The content of a small file. Raises ``NotFound``."""
        try:
            answer = await obstore.get_async(self._objects, checked_key(key))
            return bytes(await answer.bytes_async())
        except ABSENT as error:
            raise missing_file_error() from error
        except (exceptions.BaseError, OSError) as error:
            raise unavailable_error("get", error) from error

    async def stream(self, key: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """Bytes from ``start`` up to, not including, ``end``, in small pieces that are read one by one.

        Close it (``contextlib.aclosing``) to let go of the file early. Raises ``NotFound``.
        """
        if self._folder is not None:
            pieces = read_file(self._folder / checked_key(key), start=start, end=end)
        else:
            pieces = self._read_object(checked_key(key), start=start, end=end)
        try:
            async for piece in pieces:
                await self._turns.next_turn()
                yield piece
        except ABSENT as error:
            raise missing_file_error() from error
        except (exceptions.BaseError, OSError) as error:
            raise unavailable_error("stream", error) from error
        finally:
            await pieces.aclose()

    async def _read_object(self, key: str, *, start: int, end: int | None) -> AsyncGenerator[bytes, None]:
        if end is None:  # an offset of 0 would be refused for an empty file
            wanted: GetOptions = {"range": {"offset": start}} if start else {}
        elif start < end:
            wanted = {"range": (start, end)}
        else:
            return
        answer = await obstore.get_async(self._objects, key, options=wanted)
        async for piece in answer.stream(min_chunk_size=PIECE_BYTES):
            yield bytes(piece)

    async def delete(self, prefix: str) -> None:
        """Delete one file, or a folder with its content. It need not exist."""
        prefix = checked_key(prefix)
        try:
            if self._folder is not None:
                await asyncio.to_thread(remove_path, self._folder / prefix)
                return
            batches = obstore.list(self._objects, prefix)
            keys = [entry["path"] async for batch in batches for entry in batch]
            await obstore.delete_async(self._objects, [*keys, prefix])
        except (exceptions.BaseError, OSError) as error:
            raise unavailable_error("delete", error) from error

    def local_path(self, key: str) -> Path | None:
        """The path of the file when the store is a folder, else None."""
        return self._folder / checked_key(key) if self._folder is not None else None

    async def presign(self, key: str, seconds: int, *, endpoint: str = "") -> str | None:
        """A presigned URL of the object store, valid for ``seconds``; None for a folder.

        ``endpoint``: what it begins with, where that is not what we call the store by.
        """
        objects = self._remote
        if objects is None:
            return None
        try:
            if endpoint:
                objects = object_store(self._url, endpoint)
            return await obstore.sign_async(objects, "GET", checked_key(key), timedelta(seconds=seconds))
        except (exceptions.BaseError, OSError, ValueError) as error:
            raise unavailable_error("presign", error) from error

    async def check(self) -> None:
        """Write, read and delete a small file. Raises ``ServiceUnavailable``."""
        key, content = f"probe/{secrets.token_hex(8)}", secrets.token_bytes(16)
        await self.put(key, content)
        try:
            if await self.get(key) != content:
                raise ServiceUnavailable("The file store does not return what was put into it.")
        finally:
            await self.delete(key)

    async def list_files(self) -> AsyncGenerator[StoreEntry, None]:
        """Every whole file, in no order; not what an interrupted upload has left."""
        try:
            async for batch in obstore.list(self._objects):
                for entry in (entry for entry in batch if KEY.fullmatch(entry["path"])):
                    yield StoreEntry(
                        entry["path"], entry["size"], entry["e_tag"] or "", modified=entry["last_modified"]
                    )
        except (exceptions.BaseError, OSError) as error:
            raise unavailable_error("list", error) from error

    async def measure_use(self) -> tuple[int, int]:
        """The number of files and their total size in bytes. Lists every file."""
        files = size = 0
        try:
            async for batch in obstore.list(self._objects):
                files += len(batch)
                size += sum(entry["size"] for entry in batch)
        except (exceptions.BaseError, OSError) as error:
            raise unavailable_error("list", error) from error
        return files, size


def object_store(url: str, endpoint: str, *, stall_seconds: float = STALL_SECONDS) -> "S3Store":
    options: ClientConfig = {
        "read_timeout": timedelta(seconds=stall_seconds),
        # For a complete answer. A reader may be slow, so only a stalled connection is given up.
        "timeout": LONGEST_READING,
    }
    if endpoint:
        options["allow_http"] = endpoint.startswith("http://")
    place: dict[str, Any] = {"endpoint": endpoint.rstrip("/")} if endpoint else {}
    return obstore.store.S3Store.from_url(
        url, retry_config={"max_retries": 3}, client_options=options, **place
    )


class CountedContent:
    """Forwards pieces and counts their bytes."""

    def __init__(self, content: bytes | AsyncIterator[bytes]) -> None:
        self._content = content
        self.size = len(content) if isinstance(content, bytes) else 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if isinstance(self._content, bytes):
            return
        async for piece in self._content:
            self.size += len(piece)
            yield piece


async def read_file(path: Path, *, start: int, end: int | None) -> AsyncGenerator[bytes, None]:
    """Pieces of a local file, each read on demand."""
    # Opened here and not in a thread: a reader that is cancelled meanwhile could never close it.
    with open_file(path) as file:
        end = os.fstat(file.fileno()).st_size if end is None else end
        while start < end:
            piece = await read_piece(file, at=start, size=min(PIECE_BYTES, end - start))
            if not piece:
                return
            start += len(piece)
            yield piece


async def _read_pieces(path: Path) -> AsyncGenerator[bytes, None]:
    with path.open("rb") as source:
        while piece := await asyncio.to_thread(source.read, 1 << 20):
            yield piece


def _move_file(source: Path, target: Path, *, root: Path) -> int:
    """Make ``source`` the file ``target``, whole or not at all. Returns its size once a power cut can't undo it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    size = source.stat().st_size
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        draft = target.with_name(f"{target.name}#{secrets.token_hex(8)}")
        shutil.copyfile(source, draft)
        draft.rename(target)
    _finish_file(target, root=root)
    return size


def _finish_file(path: Path, *, root: Path) -> None:
    """Sync a file that was put, and remove what earlier puts of it have left that were killed."""
    sync_with_folders(path, root=root)
    for draft in path.parent.glob(f"{path.name}#*"):
        draft.unlink(missing_ok=True)


def open_file(path: Path) -> FileIO:
    return FileIO(path)


async def read_piece(file: FileIO, *, at: int, size: int) -> bytes:
    """At once what the system holds in memory, as most of a file that is read from its beginning; else in a thread, because
    a disk may take long."""
    return read_from_memory(file, at=at, size=size) or await asyncio.to_thread(
        os.pread, file.fileno(), size, at
    )


def read_from_memory(file: FileIO, *, at: int, size: int) -> bytes:
    """Empty where the bytes would have to be waited for, or the system can't tell (https://man7.org/linux/man-pages/man2/readv.2.html)."""
    if NEVER_WAITS is None:
        return b""
    piece = bytearray(size)
    try:
        count = os.preadv(file.fileno(), [piece], at, NEVER_WAITS)
    except OSError:
        return b""
    return bytes(piece[:count])


def remove_path(path: Path) -> None:
    # Not done by obstore, which does not see the remains of interrupted uploads.
    try:
        shutil.rmtree(path)
    except NotADirectoryError:
        path.unlink()
    except FileNotFoundError:
        return


def checked_key(key: str) -> str:
    if len(key) > MAX_KEY or not KEY.fullmatch(key):
        raise missing_file_error()
    return key


def missing_file_error() -> NotFound:
    return NotFound("No such file")


def unavailable_error(action: str, error: BaseException) -> ServiceUnavailable:
    STORE_ERRORS.labels(action).inc()
    log.error("store.failed", action=action, error=type(error).__name__, detail=str(error)[:300])
    return ServiceUnavailable("The file store can't be used just now.")


def task_folders(task_id: str) -> tuple[str, str]:
    """The folders of a task's results and inputs. Raises ``ValueError`` when ``task_id`` is no task id."""
    if not TASK_ID.fullmatch(task_id):
        raise ValueError(f"not a task id: {task_id!r}")
    return f"tasks/{task_id}", f"inputs/{task_id}"


async def delete_task_files(store: MediaStore, task_id: str) -> None:
    """Delete all files of one task. It may be repeated. Raises ``ServiceUnavailable``."""
    for folder in task_folders(task_id):
        await store.delete(folder)
