"""Half-made files on the local disk: a folder for each process, and what dead processes have left in theirs. Files of one
piece of work have a name in common instead of a folder: making and removing a folder costs more than a small film's copy.

Several processes may share the data folder. Each holds a lock on its own folder, which the system lets go of when the
process dies, however it dies; whatever is not locked belongs to nobody any more. No clock decides.
"""

import asyncio
import fcntl
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import structlog

log = structlog.get_logger()
TURN_SECONDS = 0.05
"""So often who waits for a folder looks whether it is free."""


class ScratchFiles:
    """The files of one piece of work, which lie among those of others."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._named: list[Path] = []

    def path(self, name: str) -> Path:
        """Where a file may be made: whatever lies there is removed with the others."""
        path = self._folder / f"{self._name}-{name}"
        self._named.append(path)
        return path

    def remove(self) -> None:
        for path in self._named:
            path.unlink(missing_ok=True)


class ScratchFolder:
    """Temporary folders below ``root``. The process's own is made when it is first needed."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._own: tuple[Path, int] | None = None

    @contextmanager
    def files(self, name: str) -> Iterator[ScratchFiles]:
        """Files that are removed at the end. Raises ``OSError``."""
        files = ScratchFiles(self._own_folder(), f"{name}-{secrets.token_hex(8)}")
        try:
            yield files
        finally:
            files.remove()

    @contextmanager
    def temporary(self, prefix: str) -> Iterator[Path]:
        """A new folder that is removed with its content at the end. Raises ``OSError``."""
        folder = self._own_folder() / f"{prefix}{secrets.token_hex(8)}"
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder)

    @asynccontextmanager
    async def exclusive(self, name: str) -> AsyncIterator[Path]:
        """A folder of this name that one caller at a time has, in whichever process that shares ``root``: others wait.
        It is removed at the end, and free at once when its process dies. Raises ``OSError``."""
        folder = self._root / name
        while (lock := _lock_folder(folder)) is None:  # noqa: ASYNC110 - the holder may be another process
            await asyncio.sleep(TURN_SECONDS)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)

    def sweep(self) -> int:
        """Remove what dead processes have left; how many folders. May run in several processes at once."""
        removed = 0
        for folder in self._root.iterdir() if self._root.is_dir() else ():
            if self._own is None or folder != self._own[0]:
                removed += _remove_unlocked(folder)
        if removed:
            log.info("scratch.swept", folders=removed)
        return removed

    def close(self) -> None:
        if self._own is not None:
            folder, lock = self._own
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)
            self._own = None

    def _own_folder(self) -> Path:
        while self._own is None:
            folder = self._root / secrets.token_hex(8)
            folder.mkdir(mode=0o700, parents=True)
            lock = os.open(folder, os.O_RDONLY)
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Another process may have swept it between the two calls.
            if folder.is_dir():
                self._own = folder, lock
            else:
                os.close(lock)
        return self._own[0]


def _lock_folder(folder: Path) -> int | None:
    """A lock on the folder, which is made where it is missing; None while somebody has it."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:  # removed meanwhile
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(folder.stat(), os.fstat(lock)):
            return lock
    except (BlockingIOError, FileNotFoundError):
        pass  # in use, or removed by who had it
    os.close(lock)
    return None


def _remove_unlocked(folder: Path) -> bool:
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True
