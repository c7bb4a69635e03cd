"""`filmgate worker`: runs tasks without serving clients; several can share one PostgreSQL database."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from typing import Annotated

import structlog
import typer
import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from app.assembly import assemble_components
from app.cli.output import err
from app.cli.startup import address_of, bind_listener, freeze_startup_objects, log_start
from app.components import Components
from app.configuration.applying import apply_configuration_file
from app.errors import FilmgateError
from app.health import open_health_checks
from app.media.store_mark import one_store
from app.ops import logs
from app.ops.connections import raise_file_limit
from app.ops.edge import DrainState
from app.ops.envelope import OWN_ENVELOPE
from app.ops.health import health_routes
from app.ops.tracing import exported_traces
from app.settings import Settings, load_settings
from app.worker import Worker

log = structlog.get_logger()


def run_worker(
    *,
    host: Annotated[str | None, typer.Option(help="The address of --port; default FILMGATE_HOST.")] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="Answer /healthz, /readyz and /metrics here; 0 takes a free port."
        ),
    ] = None,
) -> None:
    """Run the tasks that `serve --no-worker` accepts. Ctrl-C or SIGTERM passes them to another worker."""
    settings = load_settings()
    logs.set_up(level=settings.log_level, style=settings.log_format)
    raise_file_limit()
    listener = None if port is None else bind_listener(host or settings.host, port)
    with listener or nullcontext(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run_until_stopped(settings, listener))


async def _run_until_stopped(settings: Settings, listener: socket.socket | None) -> None:
    stop_requested, drain = asyncio.Event(), DrainState()

    def request_stop() -> None:
        log.info("worker.stopping")
        drain.begun = True
        stop_requested.set()

    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, request_stop)
    async with exported_traces(os.environ):
        await _run_components(settings, listener, drain=drain, stop_requested=stop_requested)


async def _run_components(
    settings: Settings, listener: socket.socket | None, *, drain: DrainState, stop_requested: asyncio.Event
) -> None:
    components = await assemble_components(settings)
    try:
        await apply_configuration_file(components)
        worker = Worker(components, drain=drain)
        async with one_store(components.database, components.store), _health_served(components, listener):
            await worker.start()
            freeze_startup_objects()
            address = None if listener is None else address_of(listener)
            log_start("worker", address=address)
            if address is not None and logs.may_print():
                print(f"Listening on {address}", flush=True)
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


class _HealthServer(uvicorn.Server):
    """Leaves signals to the worker."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def _health_served(components: Components, listener: socket.socket | None) -> AsyncIterator[None]:
    """Answers health checks and metrics on ``listener``, if there is one, until the worker has stopped."""
    if listener is None:
        yield
        return
    app = Starlette(routes=health_routes(), exception_handlers={FilmgateError: _answer_error})
    open_health_checks(app, components)
    server = _HealthServer(
        uvicorn.Config(app, lifespan="off", log_config=None, log_level="error", server_header=False)
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="health")
    try:
        yield
    finally:
        server.should_exit = True
        await serving


async def _answer_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, FilmgateError)
    return Response(OWN_ENVELOPE.error_bytes(error), error.status, media_type="application/json")
