"""One process of the product: its real components and worker, started, stopped and killed in the world."""

import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, Literal
from unittest.mock import patch

from app import assembly, options, worker
from app.accounts import pool
from app.assembly import assemble_components
from app.backup import schedule
from app.catalog import prices, route_repository
from app.components import Components
from app.db import revision
from app.errors import ResultUnreadable
from app.media.inspection import SPRITESHEET, THUMBNAIL, MediaInfo, MediaInspector
from app.ops.edge import DrainState
from app.tasks import budget_watch, lifecycle, patience
from app.tasks.admission import admission
from app.webhooks import deliverer
from app.webhooks.deliverer import WebhookDeliverer
from app.worker import Worker
from bench.world.clock import replaced
from bench.world.disk import Disk
from bench.world.edges import Edges
from bench.world.plan import Plan
from bench.world.store import Engines, WorldDatabase
from bench.world.template import settings_for
from bench.world.vendors import FILM, FILM_END
from bench.world.wire import WorldGuard, WorldTransport

PACES: tuple[tuple[ModuleType, str, float], ...] = (
    (worker, "SWEEP_SECONDS", 1 / 4),
    (worker, "NOTE_SECONDS", 1.0),
    (worker, "LOOK_SECONDS", 1 / 2),
    (worker, "CHECK_SECONDS", 1.0),
    (worker, "FORGET_SECONDS", 2.0),
    (lifecycle, "PROGRESS_SECONDS", 1 / 10),
    (admission, "SAFETY_SECONDS", 1 / 5),
    (deliverer, "RESUME_SECONDS", 1.0),
    (options, "CACHE_SECONDS", 1.0),
    (pool, "CACHE_SECONDS", 1.0),
    (route_repository, "CACHE_SECONDS", 1.0),
    (prices, "FRESH_SECONDS", 1.0),
    (budget_watch, "CHECK_SECONDS", 1e3),
    (schedule, "CHECK_SECONDS", 1e3),
)
PASSES: tuple[tuple[type, str, Any, str], ...] = (
    (worker.Worker, "_sweep_once", None, "SELECT 1"),
    (
        admission.AdmissionController,
        "admit",
        0,
        "SELECT 1 FROM tasks WHERE state = 'queued' AND account_id IS NULL LIMIT 1",
    ),
    (
        WebhookDeliverer,
        "_dispatch_due",
        None,
        "SELECT 1 FROM webhook_deliveries WHERE state = 'pending' LIMIT 1",
    ),
)
"""Passes over rows, what they return when they find nothing, and a cheap question whether there is anything to find."""
"""What is repeated although nothing happens: where its pause is, and the share of a task's deadline that it is here."""
LIMITS: tuple[tuple[ModuleType, str, float], ...] = (
    (lifecycle, "OVERDUE_SECONDS", 2.0),
    (patience, "RESULT_SECONDS", 2.0),
    (patience, "GONE_SECONDS", 0.7),
)
"""Times of up to a day that a world waits for, as shares of a task's deadline."""
FORGETS = 10
"""One world of so many deletes old rows as the product does: there are none."""
SEEN = MediaInfo(64, 64, 1.0, 24.0, 1, "h264", False)


class Viewer(MediaInspector):
    """Sees whether a film of this world is whole; it decodes nothing."""

    async def probe_video(self, path: Path) -> MediaInfo:
        content = path.read_bytes()  # noqa: ASYNC240 - from memory
        if content.startswith(FILM) and content.endswith(FILM_END):
            return SEEN
        raise ResultUnreadable("The result could not be decoded.")

    async def draw_previews(self, path: Path, folder: Path, *, kind: Literal["video", "image"]) -> None:
        (folder / THUMBNAIL).write_bytes(b"thumbnail")
        (folder / SPRITESHEET).write_bytes(b"sheet")


class Gateway:
    """A process that runs: ``components`` are what its clients reach."""

    def __init__(self, components: Components, running: Worker, drain: DrainState) -> None:
        self.components = components
        self.worker = running
        self.drain = drain

    @classmethod
    async def start(
        cls, disk: Disk, plan: Plan, *, engines: Engines, edges: Edges, transport: WorldTransport
    ) -> "Gateway":
        settings = settings_for(disk.data, plan)

        def open_database(_url: str) -> WorldDatabase:
            return WorldDatabase(engines, disk.data / "filmgate.db", edges=edges, full=lambda: disk.is_full())

        async def leave_as_it_is(_database: object) -> None:
            """The template has been migrated."""

        class Guard(WorldGuard):
            pass

        Guard.transport = transport
        with (
            replaced(assembly, "Database", open_database),
            replaced(revision, "upgrade_if_needed", leave_as_it_is),
            replaced(assembly, "OutboundGuard", Guard),
        ):
            components = await assemble_components(settings)
        components = replace(components, inspector=Viewer())
        drain = DrainState()
        running = Worker(components, drain=drain)
        await running.start()
        return cls(components, running, drain)

    async def stop(self) -> None:
        await self.worker.stop()
        await self.components.close()

    def drop(self) -> None:
        """What the system takes back from a dead process."""
        lock = self.worker._lock
        if lock is not None:
            lock.close()
        if self.components.scratch._own is not None:
            os.close(self.components.scratch._own[1])
            self.components.scratch._own = None


class Idleness:
    """A pass over rows that have not changed since the last one is left out, though not more than ``MOST`` in a row:
    all but the time is as it was. ``state``: what must be the same."""

    MOST = 5

    def __init__(self, state: Callable[[], object], look: Callable[[str], list[Any]]) -> None:
        self._state = state
        self._look = look
        self._seen: dict[str, tuple[object, int]] = {}

    def skipping(
        self, work: Callable[..., Awaitable[Any]], *, name: str, otherwise: Any, concerns: str
    ) -> Callable[..., Any]:
        async def do_unless_idle(*given: Any, **named: Any) -> Any:
            if not self._look(concerns):
                return otherwise
            before, left_out = self._seen.get(name, (None, 0))
            if before == self._state() and left_out < self.MOST:
                self._seen[name] = (before, left_out + 1)
                return otherwise
            done = await work(*given, **named)
            self._seen[name] = (self._state(), 0)
            return done

        return do_unless_idle


async def _forget_no_rows(running: Worker) -> None:
    """No row of a world is old."""
    running._components.scratch.sweep()


@contextmanager
def unhurried(plan: Plan, state: Callable[[], object], look: Callable[[str], list[Any]]) -> Iterator[None]:
    """What the worker repeats although nothing has happened, it repeats more seldom: an hour takes milliseconds."""
    idleness = Idleness(state, look)
    defaults = WebhookDeliverer.__init__.__kwdefaults__
    assert defaults is not None
    with ExitStack() as stack:
        for module, name, share in PACES:
            stack.enter_context(replaced(module, name, max(getattr(module, name), plan.deadline * share)))
        for module, name, share in LIMITS:
            stack.enter_context(replaced(module, name, plan.deadline * share))
        for place, name, otherwise, concerns in PASSES:
            work = getattr(place, name)
            skipping = idleness.skipping(work, name=name, otherwise=otherwise, concerns=concerns)
            stack.enter_context(replaced(place, name, skipping))
        if plan.seed % FORGETS:
            stack.enter_context(replaced(worker.Worker, "_forget_old_rows", _forget_no_rows))
        stack.enter_context(patch.dict(defaults, check_seconds=plan.deadline / 6))
        yield
