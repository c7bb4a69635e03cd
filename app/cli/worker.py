"""`filmgate worker`: runs tasks without serving requests; several can share one PostgreSQL database."""

import asyncio
import signal

import structlog
import uvloop

from app.assembly import assemble_components
from app.cli.output import err
from app.cli.startup import freeze_startup_objects
from app.configuration.applying import apply_configuration_file
from app.ops import logs
from app.settings import Settings, load_settings
from app.worker import Worker

log = structlog.get_logger()


def run_worker() -> None:
    """Run the tasks that `serve --no-worker` accepts. Ctrl-C or SIGTERM passes them to another worker."""
    settings = load_settings()
    logs.set_up(level=settings.log_level, style=settings.log_format)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run_until_stopped(settings))


async def _run_until_stopped(settings: Settings) -> None:
    stop_requested = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop_requested.set)
    components = await assemble_components(settings)
    try:
        await apply_configuration_file(components)
        worker = Worker(components)
        await worker.start()
        freeze_startup_objects()
        log.info("worker.started")
        if err.is_terminal:
            err.print("[bold magenta]▶ Filmgate[/] worker is running tasks; Ctrl-C stops it")
        try:
            await _wait_for_end(stop_requested, worker)
        finally:
            await worker.stop()
            log.info("worker.stopped")
    finally:
        await components.close()


async def _wait_for_end(stop_requested: asyncio.Event, worker: Worker) -> None:
    """Returns when a stop is requested; re-raises the error that ended the worker."""
    waits = [asyncio.create_task(stop_requested.wait()), asyncio.create_task(worker.wait())]
    try:
        done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in done:
            wait.result()
    finally:
        for wait in waits:
            wait.cancel()
