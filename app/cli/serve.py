"""`filmgate serve`: the gateway, with a worker inside unless told otherwise."""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Annotated

import typer
import uvicorn
import uvloop

from app import __version__
from app.cli.collector import freeze_startup_objects
from app.cli.listener import BACKLOG, address_of, bind_listener
from app.cli.output import out
from app.components import Components
from app.main import create_app
from app.ops import logs
from app.ops.edge import DrainState
from app.settings import Settings, load_settings


def serve(
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on; FILMGATE_HOST.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="0 takes a free one; FILMGATE_PORT.")
    ] = None,
    worker: Annotated[bool, typer.Option("--worker/--no-worker", help="Run tasks in this process.")] = True,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the address only.")] = False,
) -> None:
    """Start the gateway. Ctrl-C or SIGTERM lets open requests end first."""
    settings = load_settings()
    settings = settings.model_copy(
        update={
            "host": settings.host if host is None else host,
            "port": settings.port if port is None else port,
            "worker": settings.worker and worker,
        }
    )
    logs.set_up(level=settings.log_level, style=settings.log_format)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve_gateway(settings, quiet=quiet))


class DrainingServer(uvicorn.Server):
    """Refuses new work as soon as it is told to end, and lets the process end by itself."""

    def __init__(self, config: uvicorn.Config, *, drain: DrainState, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._drain = drain
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            freeze_startup_objects()
            self._listening()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._drain.begun = True
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # The signals are taken over for longer than this: see `signals`. uvicorn would raise them again
        # here, and the process would die before the store is closed.
        yield

    @contextmanager
    def handled_signals(self) -> Iterator[None]:
        """From before the store is opened until after it is closed."""
        before = {name: signal.signal(name, self.handle_exit) for name in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for name, former in before.items():
                signal.signal(name, former)


async def _serve_gateway(settings: Settings, *, quiet: bool) -> None:
    listener = bind_listener(settings.host, settings.port)
    settings = settings.model_copy(update={"port": listener.getsockname()[1]})
    drain = DrainState()
    app = create_app(settings, drain=drain)

    def when_listening() -> None:
        _print_banner(app.state.components, address_of(listener), quiet=quiet)

    config = uvicorn.Config(
        app,
        http="httptools",
        lifespan="off",  # it is entered below, so that a bad setting is a line and not a traceback
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips="127.0.0.1",
        backlog=BACKLOG,
        timeout_graceful_shutdown=max(1, round(settings.drain_seconds)),
    )
    server = DrainingServer(config, drain=drain, listening=when_listening)
    with listener, server.handled_signals():
        async with app.router.lifespan_context(app):
            await server.serve(sockets=[listener])


def _print_banner(components: Components, address: str, *, quiet: bool) -> None:
    if quiet:
        print(f"Listening on {address}", flush=True)
        return
    out.print()
    out.print(f"  [bold magenta]▶ Filmgate[/] [dim]{__version__}[/]   one address for every video model")
    out.print()
    out.print(f"  [dim]OpenAI base URL[/]  [bold cyan]{address}/v1[/]")
    out.print(f"  [dim]Try every call [/]  [cyan]{address}/docs[/]")
    out.print(f"  [dim]Video made by  [/]  {_video_by(components)}")
    out.print()
    print(f"Listening on {address}", flush=True)


def _video_by(components: Components) -> str:
    names = [standing.account.name for standing in components.pool.cached_statuses() if standing.enabled]
    if names == ["studio"]:
        text = "the embedded studio  [dim](add a real one: filmgate accounts add)[/]"
    elif names:
        text = f"{len(names)} account{'s' if len(names) > 1 else ''}  [dim](filmgate accounts list)[/]"
    else:
        text = "[yellow]no account yet[/]  [dim](filmgate accounts add)[/]"
    return text if components.settings.worker else f"{text}, run by separate workers"
