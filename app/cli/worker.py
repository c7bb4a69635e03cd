"""`filmgate worker`: runs tasks without serving; any number of them on one PostgreSQL database."""

import asyncio
import signal

import structlog
import uvloop

from app.assembly import assemble_components
from app.cli.collector import freeze_startup_objects
from app.cli.output import err
from app.configuration.applying import apply_configuration_file
from app.ops import logs
from app.settings import Settings, load_settings
from app.worker import Worker

log = structlog.get_logger()


def worker() -> None:
    """Run tasks that `serve --no-worker` takes in. Ctrl-C or SIGTERM hands them on."""
    settings = load_settings()
    logs.set_up(level=settings.log_level, style=settings.log_format)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run_worker(settings))


async def _run_worker(settings: Settings) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, told.set)
    components = await assemble_components(settings)
    try:
        await apply_configuration_file(components)
        runs = Worker(components)
        await runs.start()
        freeze_startup_objects()
        log.info("worker.started")
        if err.is_terminal:
            err.print("[bold magenta]▶ Filmgate[/] worker is running tasks; Ctrl-C ends it")
        try:
            await _wait_for_end(told, runs)
        finally:
            await runs.stop()
            log.info("worker.stopped")
    finally:
        await components.close()


async def _wait_for_end(told: asyncio.Event, runs: Worker) -> None:
    """Returns when told to end; raises what felled the worker."""
    ends = [asyncio.create_task(told.wait()), asyncio.create_task(runs.wait())]
    try:
        done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for job in done:
            job.result()
    finally:
        for job in ends:
            job.cancel()
