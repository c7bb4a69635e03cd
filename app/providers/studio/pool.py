"""Rendering jobs and the pool of child processes that run them."""

import asyncio
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import structlog

from app.children.pool import ChildLost, ChildPool
from app.providers.studio.plan import PART_SUFFIX, RenderPlan

_CRASHED = "The process that rendered this clip ended unexpectedly."
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}

log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class RenderJob:
    """One rendering job; ``share`` is its progress, 0 to 1."""

    id: str
    plan: RenderPlan
    folder: Path
    state: Literal["queued", "running", "done", "failed", "cancelled"] = "queued"
    share: float = 0.0
    code: str = ""
    message: str = ""
    ended_at: float = 0.0
    """On the monotonic clock."""
    rendering: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def is_active(self) -> bool:
        return self.state in {"queued", "running"}

    def receive_progress(self, news: dict[str, Any]) -> None:
        """Store the progress that the process reports."""
        if self.is_active:
            self.state = "running"
            self.share = max(self.share, float(news["share"]))

    def finish_as(
        self, state: Literal["done", "failed", "cancelled"], code: str = "", message: str = ""
    ) -> None:
        """Set the final state. Only the first call counts: a cancelled job does not fail when its process ends."""
        if self.is_active:
            self.state, self.code, self.message = state, code, message
            self.ended_at = time.monotonic()


class RenderPool:
    """Up to ``size`` processes, started when needed; each renders one job at a time."""

    def __init__(self, size: int) -> None:
        self._children = ChildPool("app.providers.studio.render", size=max(1, size), environment=_ONE_THREAD)
        self._renderings: set[asyncio.Task[None]] = set()

    @property
    def process_ids(self) -> list[int]:
        """The ids of the running processes."""
        return self._children.process_ids

    def submit(self, job: RenderJob) -> None:
        """Queue a job; ``job.state`` shows its progress."""
        job.rendering = asyncio.create_task(self._render_job(job), name=f"rendering-{job.id}")
        self._renderings.add(job.rendering)
        job.rendering.add_done_callback(self._renderings.discard)

    def cancel(self, job: RenderJob) -> None:
        """Cancel a job. The process that renders it is killed; the next job gets a new one."""
        job.finish_as("cancelled", "cancelled", "The rendering was cancelled.")
        if job.rendering is not None:
            job.rendering.cancel()

    async def close(self) -> None:
        """Cancel all jobs and end every process."""
        renderings = list(self._renderings)
        for rendering in renderings:
            rendering.cancel()
        await asyncio.gather(*renderings, return_exceptions=True)
        await self._children.close()

    async def _render_job(self, job: RenderJob) -> None:
        order = {"plan": asdict(job.plan), "folder": str(job.folder)}
        try:
            answer = await self._children.run_order(order, on_news=job.receive_progress)
        except ChildLost:
            job.finish_as("failed", "upstream_error", _CRASHED)
        except OSError as error:
            log.warning("rendering.refused", job=job.id, error=str(error))
            job.finish_as("failed", "upstream_error", "No process could be started to render this clip.")
        else:
            job.finish_as("failed" if answer else "done", **answer)
        finally:
            if job.state in {"failed", "cancelled"}:
                await asyncio.to_thread(_remove_partial_files, job.folder)


def _remove_partial_files(folder: Path) -> None:
    """Remove the partial files of a process that ended early."""
    for part in folder.glob(f"*{PART_SUFFIX}"):
        part.unlink(missing_ok=True)
