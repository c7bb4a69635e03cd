"""`filmgate serve`: the gateway, with a worker in the same process by default."""

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
from app.cli.output import out
from app.cli.startup import BACKLOG, address_of, bind_listener, freeze_startup_objects
from app.components import Components
from app.main import create_app
from app.ops import logs
from app.ops.edge import DrainState
from app.settings import Settings, load_settings


def serve_gateway(
    *,
    host: Annotated[str | None, typer.Option(help="The address to listen on; default FILMGATE_HOST.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="0 takes a free one; default FILMGATE_PORT.")
    ] = None,
    worker: Annotated[bool, typer.Option("--worker/--no-worker", help="Run tasks in this process.")] = True,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the address.")] = False,
) -> None:
    """Start the gateway. Ctrl-C or SIGTERM stops it after open requests have ended."""
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
        runner.run(_run_server(settings, quiet=quiet))


class DrainingServer(uvicorn.Server):
    """Rejects new requests after a stop signal, and leaves the end of the process to the caller."""

    def __init__(
        self, config: uvicorn.Config, *, drain: DrainState, on_listening: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._drain = drain
        self._on_listening = on_listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            freeze_startup_objects()
            self._on_listening()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._drain.begun = True
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Our handlers are installed for longer, see `handled_signals`. uvicorn's own version raises the signal again
        # when it ends, and the process would exit before the store is closed.
        yield

    @contextmanager
    def handled_signals(self) -> Iterator[None]:
        """Handles stop signals from before the store is opened until after it is closed."""
        previous = {name: signal.signal(name, self.handle_exit) for name in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for name, handler in previous.items():
                signal.signal(name, handler)


async def _run_server(settings: Settings, *, quiet: bool) -> None:
    listener = bind_listener(settings.host, settings.port)
    settings = settings.model_copy(update={"port": listener.getsockname()[1]})
    drain = DrainState()
    app = create_app(settings, drain=drain)

    def print_banner() -> None:
        _print_banner(app.state.components, address_of(listener), quiet=quiet)

    config = uvicorn.Config(
        app,
        http="httptools",
        lifespan="off",  # entered below, so that an invalid setting is one line and not a traceback
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips="127.0.0.1",
        backlog=BACKLOG,
        timeout_graceful_shutdown=max(1, round(settings.drain_seconds)),
    )
    server = DrainingServer(config, drain=drain, on_listening=print_banner)
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
    out.print(f"  [dim]Videos made by [/]  {_accounts_summary(components)}")
    out.print()
    print(f"Listening on {address}", flush=True)


def _accounts_summary(components: Components) -> str:
    names = [status.account.name for status in components.pool.cached_statuses() if status.enabled]
    if names == ["studio"]:
        text = "the embedded studio  [dim](add a real one: filmgate accounts add)[/]"
    elif names:
        text = f"{len(names)} account{'s' if len(names) > 1 else ''}  [dim](filmgate accounts list)[/]"
    else:
        text = "[yellow]no account yet[/]  [dim](filmgate accounts add)[/]"
    return text if components.settings.worker else f"{text}, run by separate workers"
