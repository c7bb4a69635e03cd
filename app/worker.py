"""The worker: runs tasks, inside `serve` or as a process of its own."""

import asyncio
import fcntl
import importlib
import math
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import IO

import structlog
from sqlalchemy.engine import make_url

from app import clock
from app.accounts.recovery import AccountRecovery
from app.accounts.removal import forget_old_removals
from app.backup.schedule import BackupSchedule
from app.catalog.retirement_watch import CHECK_SECONDS as RETIREMENT_SECONDS
from app.catalog.retirement_watch import RetirementWatch
from app.components import Components
from app.db import marks
from app.db.session import DATABASE_AWAY
from app.dialects.webhook_bodies import WebhookBodies
from app.dispatch.dispatcher import Dispatcher, InProcessDispatcher, put_back_lost
from app.errors import FilmgateError, SettingsInvalid
from app.media.store import delete_task_files
from app.ops.edge import DrainState
from app.providers.base import Provider
from app.tasks.admission.admission import AdmissionController
from app.tasks.admission.held_back import keep_held_tasks
from app.tasks.batches import prune_batches
from app.tasks.budget_watch import BudgetWatch
from app.tasks.film_hashes import FilmHashes
from app.tasks.held_money import mark_unmarked_holds
from app.tasks.held_watch import CHECK_SECONDS, HeldWatch
from app.tasks.input_links import InputLinks
from app.tasks.labelling import FilmLabeller
from app.tasks.lifecycle import ProgressWriter, TaskLifecycle
from app.tasks.notifications import Notification
from app.tasks.pending_files import sweep_files
from app.tasks.prompt_removal import mark_unmarked, remove_prompts
from app.tasks.pruning import prune_ledger, prune_tasks, tend_segments
from app.tasks.receipts import adopt_late_receipts
from app.tasks.results import ResultStorage
from app.tasks.states import JOINED
from app.tasks.submission import TaskSubmitter
from app.tasks.task_spans import trace_unserved
from app.usage import recorder
from app.usage.recounting import recount_days
from app.webhooks.deliverer import WebhookDeliverer
from app.webhooks.deliveries import DeliveryRepository

log = structlog.get_logger()
SWEEP_SECONDS = 2.0
LOOK_SECONDS = 5.0
NOTE_SECONDS = 30.0
"""So often the time of the sweep is written: a start compares its clock with it."""
FORGET_SECONDS = 600.0
RESTART_SECONDS = 1.0


class Worker:
    """The background jobs of one process: admission, dispatch, progress, webhooks, sweep."""

    def __init__(self, components: Components, *, drain: DrainState | None = None) -> None:
        """Once ``drain`` has begun, nothing is admitted or submitted any more; what runs goes on until ``stop``."""
        settings = components.settings
        self._components = components
        self._drain = drain or DrainState()
        self._dispatcher = _build_dispatcher(components)
        self._admission = AdmissionController(
            components.database,
            catalog=components.catalog,
            dispatcher=self._dispatcher,
            events=components.events,
            drain=self._drain,
        )
        self._recovery = AccountRecovery(components.pool)
        self._held = HeldWatch(components.database, components.options, components.notices)
        self._retirements = RetirementWatch(components.catalog, components.notices)
        self._progress = ProgressWriter(components.repository, components.events)
        self._lifecycle = TaskLifecycle(
            repository=components.repository,
            pool=_Providers(components),
            submitter=_build_submitter(components, self._drain),
            results=_build_results(components),
            events=components.events,
            progress=self._progress,
            result_ttl_seconds=settings.result_ttl_seconds,
            run_seconds=settings.task_deadline_seconds,
        )
        self._deliverer = _build_deliverer(components, self._dispatcher)
        self._lock: IO[str] | None = None
        self._noted_at = -math.inf
        self._jobs: dict[str, asyncio.Task[None]] = {}
        self._keeper: asyncio.Task[None] | None = None
        self._work: dict[str, Callable[[], Coroutine[None, None, None]]] = {
            "engine": lambda: self._dispatcher.run(
                {"task": self._lifecycle.run, "delivery": self._deliverer.deliver}
            ),
            "admission": self._admission.run,
            "progress": self._progress.run,
            "previews": components.derived_files.run,
            "sweep": lambda: _repeat_every(self._sweep_once, seconds=SWEEP_SECONDS),
            "accounts": lambda: _repeat_every(self._recovery.look_at_due, seconds=LOOK_SECONDS),
            "webhooks": self._deliverer.run,
            "budgets": BudgetWatch(components.database, components.options, components.notices).run,
            "held": lambda: _repeat_every(self._held.check, seconds=CHECK_SECONDS),
            "retirements": lambda: _repeat_every(self._retirements.check, seconds=RETIREMENT_SECONDS),
            "backup": BackupSchedule(components.backup_sources, components.guard, components.notices).run,
            "forgetting": lambda: _repeat_every(self._forget_old_rows, seconds=FORGET_SECONDS),
        }

    async def start(self) -> None:
        """Raises ``SettingsInvalid`` when another worker serves this SQLite store."""
        database = self._components.database
        if not database.is_postgres:
            self._lock = lock_store(database.url, self._components.settings.data_dir)
        await self._resume_lost()
        for name, work in self._work.items():
            self._jobs[name] = asyncio.create_task(work(), name=name)
        self._keeper = asyncio.create_task(self._restart_ended_jobs(), name="keeper")

    async def wait(self) -> None:
        """Returns when the worker has been stopped."""
        if self._keeper is not None:
            await asyncio.wait([self._keeper])

    async def stop(self) -> None:
        """Hand running tasks back. Requests that are on their way to an upstream are still recorded."""
        self._drain.begun = True
        if self._keeper is not None:
            self._keeper.cancel()
        for name, job in self._jobs.items():
            if name != "engine":
                job.cancel()
        await self._dispatcher.stop()
        await asyncio.gather(*self._jobs.values(), return_exceptions=True)
        await self._progress.flush()
        if self._lock is not None:
            self._lock.close()

    async def _restart_ended_jobs(self) -> None:
        """No job should ever end. One that fails is started again."""
        while True:
            await asyncio.wait(self._jobs.values(), return_when=asyncio.FIRST_COMPLETED)
            for name in [name for name, job in self._jobs.items() if job.done()]:
                job = self._jobs[name]
                problem = None if job.cancelled() else job.exception()
                log.error("worker.interrupted", part=name, exc_info=problem)
                await asyncio.sleep(RESTART_SECONDS)
                self._jobs[name] = asyncio.create_task(self._work[name](), name=name)

    async def _resume_lost(self) -> None:
        """Put tasks again that are open and that the queue has lost, as after a crash."""
        if self._drain.begun:
            return  # they are handed back: another worker or the next start goes on
        database, open_ids = self._components.database, self._components.repository.open_ids
        resumed = await put_back_lost(self._dispatcher, database, "task", open_ids=open_ids)
        if resumed:
            log.info("tasks.resumed", count=resumed)

    async def _sweep_once(self) -> None:
        """Catch up on lost notifications, deadlines and expired files."""
        repository = self._components.repository
        adopted = await adopt_late_receipts(
            self._components.database, run_seconds=self._components.settings.task_deadline_seconds
        )
        self._components.events.publish([Notification("state", task_id) for task_id in adopted])
        await self._resume_lost()
        self._components.events.publish(
            [Notification("cancel", task_id) for task_id in await repository.cancelling_ids()]
        )
        ended = await repository.cancel_requeued()
        if (now := clock.sure_now()) is not None:
            ended += await self._end_what_is_over(now)
        await trace_unserved(repository, ended)
        self._components.events.publish([Notification("state", task_id) for task_id in ended])

    async def _end_what_is_over(self, now: float) -> list[str]:
        """What can't be undone, at a time that is sure; the ids of the tasks that failed."""
        repository = self._components.repository
        await keep_held_tasks(self._components.database, self._components.catalog, now=now)
        ended = await repository.fail_overdue(now, refused=self._components.catalog.unavailable_error_or_none)
        await sweep_files(self._components.database, self._components.store, now=now)
        for task_id in await repository.expired_ids(now):
            await delete_task_files(self._components.store, task_id)
            await repository.mark_purged(task_id)
        await remove_prompts(self._components.database, self._components.store)
        if time.monotonic() - self._noted_at >= NOTE_SECONDS:
            async with self._components.database.write() as connection:
                await marks.write_last_sweep(connection, now=now)
            self._noted_at = time.monotonic()
        return ended

    async def _forget_old_rows(self) -> None:
        await asyncio.to_thread(self._components.scratch.sweep)
        settings, now = self._components.settings, clock.sure_now()
        if now is None:
            return
        await recorder.delete_old_rows(
            self._components.database,
            now=now,
            request_days=settings.request_log_days,
            audit_days=settings.audit_days,
        )
        await forget_old_removals(self._components.database, now=now)
        await tend_segments(self._components.database, now=now)
        await prune_tasks(self._components.database, now=now, days=settings.task_days)
        await prune_batches(
            self._components.database, self._components.store, now=now, days=settings.task_days
        )
        await prune_ledger(self._components.database, now=now, days=settings.ledger_days)
        await FilmHashes(self._components.database).forget_old(now=now, days=settings.label_days)
        await mark_unmarked_holds(self._components.database)
        await mark_unmarked(self._components.database)
        await recount_days(self._components.database, now=now, request_days=settings.request_log_days)


class _Providers:
    """What runs poll. Segments are loaded with the first film that is joined."""

    def __init__(self, components: Components) -> None:
        self._components = components
        self._segments: Provider | None = None

    async def provider_by_id(self, account_id: str) -> Provider:
        if account_id != JOINED:
            return await self._components.pool.provider_by_id(account_id)
        if self._segments is None:
            self._segments = self._build_segments()
        return self._segments

    def _build_segments(self) -> Provider:
        parts = self._components
        built: Provider = importlib.import_module("app.tasks.segments.provider").SegmentsProvider(
            repository=parts.repository,
            store=parts.store,
            inspector=parts.inspector,
            scratch=parts.scratch,
            events=parts.events,
            keys=parts.keys,
            budgets=parts.money.budgets,
        )
        return built


def _build_submitter(components: Components, drain: DrainState) -> TaskSubmitter:
    heartbeat = components.settings.heartbeat_seconds
    public = str(components.settings.public_url or "")
    return TaskSubmitter(
        repository=components.repository,
        pool=components.pool,
        catalog=components.catalog,
        store=components.store,
        # On SQLite one process runs all tasks, so an earlier run is surely dead.
        grace_seconds=heartbeat if components.database.is_postgres else 0.0,
        drain=drain,
        input_links=InputLinks(components.signer, public.rstrip("/")) if public else None,
    )


def _build_results(components: Components) -> ResultStorage:
    return ResultStorage(
        components.store,
        components.fetcher,
        components.inspector,
        chain=components.chain,
        derived_files=components.derived_files,
        options=components.options,
        labeller=FilmLabeller(
            components.inspector,
            components.store,
            FilmHashes(components.database),
            sealer=components.sealer,
            notify=components.notices.notify,
        ),
        scratch=components.scratch,
        max_bytes=components.settings.max_result_bytes,
    )


def _build_dispatcher(components: Components) -> Dispatcher:
    if not components.database.is_postgres:
        return InProcessDispatcher()
    # Imported only where it is used: PgQueuer takes as long to load as FastAPI.
    dispatcher: Dispatcher = importlib.import_module("app.dispatch.postgres").PostgresDispatcher(
        components.database.url, heartbeat_seconds=components.settings.heartbeat_seconds
    )
    return dispatcher


def _build_deliverer(components: Components, dispatcher: Dispatcher) -> WebhookDeliverer:
    return WebhookDeliverer(
        dispatcher,
        DeliveryRepository(components.database),
        components.endpoints,
        sender=components.sender,
        bodies=WebhookBodies(
            components.repository, components.keys, components.signer, dialects=components.dialects
        ),
        notices=components.notices,
        ended_tasks=lambda: components.events.subscribe("ended"),
    )


async def _repeat_every(work: Callable[[], Awaitable[object]], *, seconds: float) -> None:
    while True:
        try:
            await work()
        except (*DATABASE_AWAY, FilmgateError) as error:
            log.warning("sweep.delayed", error=type(error).__name__)
        await asyncio.sleep(seconds)


def lock_store(url: str, data_dir: Path) -> IO[str]:
    """The mark of the one worker of an SQLite store, until it is closed. Raises ``SettingsInvalid`` when there is one."""
    database = make_url(url).database
    path = Path(f"{database}.worker") if database else data_dir / "worker.lock"
    handle = path.open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        raise SettingsInvalid(
            "Another worker already serves this SQLite store. Stop it, start this one with FILMGATE_WORKER=false, "
            "or use PostgreSQL (FILMGATE_DATABASE_URL) for several workers."
        ) from None
    return handle
