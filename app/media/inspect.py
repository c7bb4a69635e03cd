"""Has finished results looked at by child processes: what strangers made is never decoded in this one."""

from pathlib import Path
from typing import Any, Literal

import structlog

from app.children.group import Children
from app.children.process import ChildLost
from app.errors import InvalidRequest, ResultUnreadable, Unavailable
from app.media.findings import Inspection

DECODER = "app.media.decoder"
TIMEOUT_SECONDS = 60.0
MEMORY_BYTES = 2 * 1024**3
# Each memory arena reserves a part of what a process may have, and there is one per thread.
FEW_ARENAS = {"MALLOC_ARENA_MAX": "2"}

log = structlog.get_logger(__name__)


class Inspector:
    """Up to ``workers`` processes, started when there is something to look at.

    Each may take ``memory_bytes`` of address space, and ``timeout_seconds`` for one file.
    """

    def __init__(
        self,
        *,
        workers: int = 2,
        timeout_seconds: float = TIMEOUT_SECONDS,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        self._children = Children(DECODER, str(memory_bytes), size=workers, environment=FEW_ARENAS)
        self._timeout_seconds = timeout_seconds

    @property
    def process_ids(self) -> list[int]:
        """The processes that live now."""
        return self._children.process_ids

    async def inspect_video(self, path: Path) -> Inspection:
        """One pass over the clip. Raises ``ResultUnreadable``, or ``Unavailable`` when no process starts."""
        return await self._look("video", path)

    async def inspect_image(self, path: Path) -> Inspection:
        """Raises like ``inspect_video``."""
        return await self._look("image", path)

    async def cut(self, path: Path, target: Path, *, start: float, end: float) -> Inspection:
        """Write a moment of a clip (seconds) to ``target`` and look at it. Raises like ``inspect_video``, and
        ``InvalidRequest`` when the clip ends before the moment does."""
        return await self._ask(
            order("cut", path) | order("cut", target, name="target") | {"start": start, "end": end}
        )

    async def close(self) -> None:
        """End the processes; what is being looked at counts as unreadable."""
        await self._children.close()

    async def _look(self, kind: Literal["video", "image"], path: Path) -> Inspection:
        return await self._ask(order(kind, path))

    async def _ask(self, wanted: dict[str, Any]) -> Inspection:
        try:
            answer = await self._children.ask(wanted, seconds=self._timeout_seconds)
            if "short" in answer:
                raise InvalidRequest(f"The clip is only {answer['short']:g} seconds long")
            if "unreadable" in answer:
                raise ResultUnreadable(str(answer["unreadable"]))
            return Inspection.from_json(answer)
        except (ChildLost, KeyError, TypeError, ValueError) as error:
            raise ResultUnreadable("The result could not be decoded.") from error
        except OSError as error:
            log.error("decoder.refused", error=str(error))
            raise Unavailable("No process could be started to look at the result.") from error


def order(kind: str, path: Path, *, name: str = "path") -> dict[str, Any]:
    # Absolute, as a process stays in the folder that it was started in.
    return {"kind": kind, name: str(path.absolute())}
