"""How much the media store holds, counted beside: a large one takes its time."""

import asyncio
import time
from dataclasses import dataclass

import structlog

from app.errors import ServiceUnavailable
from app.media.store import MediaStore

log = structlog.get_logger()
FRESH_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class StorageUsage:
    files: int
    bytes: int
    counted_at: float


class StorageCount:
    """Answers with the last count at once, and counts again when that is older than five minutes."""

    def __init__(self, store: MediaStore) -> None:
        self._store = store
        self._last: StorageUsage | None = None
        self._counting: asyncio.Task[None] | None = None

    def last_count(self) -> StorageUsage | None:
        """None until the first count is done."""
        stale = self._last is None or time.time() - self._last.counted_at > FRESH_SECONDS
        if stale and (self._counting is None or self._counting.done()):
            self._counting = asyncio.create_task(self._count_files())
        return self._last

    async def close(self) -> None:
        if self._counting is not None:
            self._counting.cancel()
            await asyncio.gather(self._counting, return_exceptions=True)

    async def _count_files(self) -> None:
        try:
            files, size = await self._store.measure_use()
        except ServiceUnavailable as error:
            log.warning("storage.uncounted", error=error.message)
            return
        self._last = StorageUsage(files, size, time.time())
