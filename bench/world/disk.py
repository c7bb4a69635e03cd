"""The disk of the gateway's machine: a folder in memory that may fill up, and that outlives processes."""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import obstore

from bench.world.clock import replaced
from bench.world.edges import Edges

FULL = OSError(errno.ENOSPC, "No space left on device")
REAL_FSYNC = os.fsync


class Disk:
    """Every process sees the data under a path of its own: what a dead one still tidies up is not there."""

    def __init__(self, root: Path, template: bytes) -> None:
        self._root = root
        self._number = 0
        self.data = root / "data-0"
        self.data.mkdir(parents=True)
        (self.data / "filmgate.db").write_bytes(template)
        self.is_full: Callable[[], bool] = lambda: False
        self.edges: Edges | None = None
        self._synced: set[tuple[int, int]] = set()

    def take_away(self) -> None:
        """The process that used it is dead."""
        self._number += 1
        moved = self._root / f"data-{self._number}"
        self.data.rename(moved)
        self.data = moved

    def cut_power(self) -> int:
        """Files that were not forced to the disk are gone; how many."""
        lost = 0
        files = self.data / "files"
        for path in sorted(files.rglob("*")) if files.exists() else []:
            status = path.stat()
            if path.is_file() and (status.st_dev, status.st_ino) not in self._synced:
                path.unlink()
                lost += 1
        return lost

    def note_sync(self, handle: int) -> None:
        status = os.fstat(handle)
        self._synced.add((status.st_dev, status.st_ino))

    def stored(self, key: str) -> bytes | None:
        path = self.data / "files" / key
        return path.read_bytes() if path.is_file() else None

    def leftovers(self) -> list[str]:
        """Names of what runs have left in the folder for half-copied results."""
        work = self.data / "work"
        return sorted(path.name for path in work.rglob("result*")) if work.exists() else []

    def remove(self) -> None:
        shutil.rmtree(self._root)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """obstore's own threads end when they like, so its calls are made here and now instead."""
        with (
            replaced(obstore, "put_async", self._put),
            replaced(obstore, "head_async", self._head),
            replaced(obstore, "get_async", self._get),
            replaced(os, "fsync", self.note_sync),
            replaced(tempfile, "mkdtemp", self._mkdtemp(tempfile.mkdtemp)),
        ):
            yield

    async def _put(self, store: Any, key: str, content: Any, **_more: Any) -> Any:
        assert self.edges is not None
        await self.edges.wait(f"put {key}")
        pieces = [content] if isinstance(content, bytes) else [bytes(piece) async for piece in content]
        if self.is_full():
            raise FULL
        done = obstore.put(store, key, b"".join(pieces))
        await self.edges.wait(f"was put {key}")
        return done

    async def _head(self, store: Any, key: str, **_more: Any) -> Any:
        assert self.edges is not None
        await self.edges.wait(f"head {key}")
        return obstore.head(store, key)

    async def _get(self, store: Any, key: str, **_more: Any) -> Any:
        assert self.edges is not None
        await self.edges.wait(f"get {key}")
        return obstore.get(store, key)

    def _mkdtemp(self, real: Callable[..., str]) -> Callable[..., str]:
        def make(*given: Any, **named: Any) -> str:
            if self.is_full():
                raise FULL
            return real(*given, **named)

        return make
