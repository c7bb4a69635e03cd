"""One serving process: the gateway on a socket, alone or as one of several below a supervisor."""

import argparse
import asyncio
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from types import FrameType
from typing import TYPE_CHECKING, Any, cast

import structlog
import uvicorn
import uvloop
from starlette.types import ASGIApp

from app import __version__
from app.cli.output import out, print_error
from app.cli.startup import (
    ALIVE,
    ALIVE_SECONDS,
    BACKLOG,
    READY,
    address_of,
    bind_listener,
    freeze_startup_objects,
    log_start,
)
from app.components import Components
from app.errors import FilmgateError
from app.late import LateModule
from app.main import create_app
from app.ops import logs
from app.ops.connections import ConnectionLimits, ConnectionTable, connections_for, raise_file_limit
from app.ops.edge import DrainState
from app.ops.forwarded import ForwardedAddresses
from app.settings import Settings, load_settings

if TYPE_CHECKING:
    from uvicorn.protocols.websockets import websockets_sansio_impl as websockets
else:
    websockets = LateModule("uvicorn.protocols.websockets.websockets_sansio_impl")

log = structlog.get_logger()
LIMITS = ConnectionLimits()
CLOSE_HEADER = (b"connection", b"close")
RETIREMENT_SECONDS = LIMITS.head_seconds + 1
"""Connections that are still open then are long requests, or have waited for so long that they may be closed."""


@dataclass(frozen=True)
class Greeting:
    """What the process prints on stdout. Of several processes only the first prints anything; beside a log of JSON only the
    address, if it is asked to be ``quiet``."""

    is_first: bool = True
    quiet: bool = False

    def print_banner(self, components: Components, address: str) -> None:
        if not self.is_first or not (self.quiet or logs.may_print()):
            return
        if not self.quiet:
            out.print()
            out.print(
                f"  [bold magenta]▶ Filmgate[/] [dim]{__version__}[/]   one address for every video model"
            )
            out.print()
            out.print(f"  [dim]OpenAI base URL[/]  [bold cyan]{address}/v1[/]")
            out.print(f"  [dim]Admin panel    [/]  [cyan]{address}/admin/[/]")
            out.print(f"  [dim]Try every call [/]  [cyan]{address}/docs[/]")
            out.print(f"  [dim]Videos made by [/]  {_accounts_summary(components)}")
            out.print()
        print(f"Listening on {address}", flush=True)


class DrainingServer(uvicorn.Server):
    """Rejects new requests after a stop signal, and leaves the end of the process to the caller."""

    def __init__(
        self, config: uvicorn.Config, *, drain: DrainState, on_listening: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._drain = drain
        self._on_listening = on_listening
        self._retires_by: float | None = None
        self._stopped_by: int | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            freeze_startup_objects()
            self._on_listening()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # Writes nothing: the signal may have come in the middle of a write to the log, which can't be entered again.
        self._stopped_by = sig
        self._drain.begun = True
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        log.info("serve.stopping", signal=self._stopped_by)
        await super().shutdown(sockets)

    def begin_retirement(self) -> None:
        """Another process has taken over the socket. Requests on open connections are still answered, and each answer
        ends its connection, so that clients come back to the other process; then this one stops."""
        if self._retires_by is not None or not self.started:
            return
        log.info("serve.retiring")
        self._retires_by = asyncio.get_running_loop().time() + RETIREMENT_SECONDS
        for listening in self.servers:
            listening.close()
        # The first is put together anew every second, from the second.
        self.server_state.default_headers = [*self.server_state.default_headers, CLOSE_HEADER]
        self.config.encoded_headers = [*self.config.encoded_headers, CLOSE_HEADER]
        for connection in self.server_state.connections:
            cycle = getattr(connection, "cycle", None)
            if cycle is not None:
                cycle.keep_alive = False

    async def on_tick(self, counter: int) -> bool:
        if self._retires_by is not None and not self.should_exit:
            over = asyncio.get_running_loop().time() > self._retires_by
            if over or not self.server_state.connections:
                self.handle_exit(signal.SIGTERM, None)
        return await super().on_tick(counter)

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


class SupervisorLink:
    """The connection to the supervisor. Its end means that the supervisor is gone, however that came."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        connection.setblocking(False)

    def report_ready(self) -> None:
        self._connection.send(READY)
        self._say_alive()

    def _say_alive(self) -> None:
        with suppress(OSError):  # it may be slow to read, or gone, of which the end of the connection tells
            self._connection.send(ALIVE)
        asyncio.get_running_loop().call_later(ALIVE_SECONDS, self._say_alive)

    def watch(self, server: DrainingServer) -> None:
        """Stop when the supervisor has gone; retire when it says so."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, server.begin_retirement)
        loop.add_reader(self._connection, self._stop_alone, server)

    def _stop_alone(self, server: DrainingServer) -> None:
        asyncio.get_running_loop().remove_reader(self._connection)
        log.error("serve.orphaned", advice="The supervisor has ended. Start the service again.")
        server.handle_exit(signal.SIGTERM, None)


def serve_alone(settings: Settings, *, quiet: bool) -> None:
    """Serve until a stop signal. Raises ``SettingsInvalid``."""
    listener = bind_listener(settings.host, settings.port)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run_server(settings, listener, greeting=Greeting(quiet=quiet)))


async def _run_server(
    settings: Settings, listener: socket.socket, *, greeting: Greeting, link: SupervisorLink | None = None
) -> None:
    settings = settings.model_copy(update={"port": listener.getsockname()[1]})
    drain = DrainState()
    app = create_app(settings, drain=drain, greets=greeting.is_first)

    def announce() -> None:
        log_start("serve", address=address_of(listener))
        greeting.print_banner(app.state.components, address_of(listener))
        if link is not None:
            link.report_ready()

    loop = asyncio.get_running_loop()
    limits = replace(LIMITS, connections=connections_for(raise_file_limit()))
    table = ConnectionTable(limits, now=loop.time())

    async def look_after() -> None:
        table.check_connections(loop.time())

    config = server_config(app, settings, table, look_after=look_after)
    server = DrainingServer(config, drain=drain, on_listening=announce)
    with listener, server.handled_signals():
        if link is not None:
            link.watch(server)
        async with app.router.lifespan_context(app):
            await server.serve(sockets=[listener])
    log.info("serve.stopped")


def server_config(
    app: ASGIApp, settings: Settings, table: ConnectionTable, *, look_after: Callable[[], Awaitable[None]]
) -> uvicorn.Config:
    """``look_after`` is called every second."""
    return uvicorn.Config(
        ForwardedAddresses(app, settings.proxy_networks),
        interface="asgi3",
        http=table.protocol(),
        ws=cast("type[asyncio.Protocol]", _open_websocket),
        lifespan="off",  # entered by the caller, so that an invalid setting is one line and not a traceback
        log_config=None,
        log_level="error",  # a warning for each broken request would let strangers write our log
        access_log=False,
        server_header=False,
        proxy_headers=False,  # done in front of `app`, for those requests that have such headers
        backlog=BACKLOG,
        callback_notify=look_after,
        timeout_notify=0,  # every second
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=max(1, round(settings.drain_seconds)),
    )


def _open_websocket(**given: Any) -> asyncio.Protocol:
    return websockets.WebSocketsSansIOProtocol(**given)


def _accounts_summary(components: Components) -> str:
    names = [status.account.name for status in components.pool.cached_statuses() if status.enabled]
    if names == ["studio"]:
        text = "the embedded studio  [dim](add a real one: filmgate accounts add)[/]"
    elif names:
        text = f"{len(names)} account{'s' if len(names) > 1 else ''}  [dim](filmgate accounts list)[/]"
    else:
        text = "[yellow]no account yet[/]  [dim](filmgate accounts add)[/]"
    return text if components.settings.worker else f"{text}, run by separate workers"


def main() -> None:
    """One of several: the supervisor starts it with its socket and its link to it."""
    parser = argparse.ArgumentParser(prog="app.cli.serving", description=__doc__)
    parser.add_argument("listener", type=int, help="file descriptor of the bound socket")
    parser.add_argument("link", type=int, help="file descriptor of the connection to the supervisor")
    parser.add_argument("--number", type=int, required=True, help="which of the processes it is, from 1")
    parser.add_argument("--first", action="store_true", help="print the banner and first keys")
    parser.add_argument("--quiet", action="store_true")
    given = parser.parse_args()
    try:
        settings = load_settings()
        logs.set_up(level=settings.log_level, style=settings.log_format)
        structlog.contextvars.bind_contextvars(process=given.number, pid=os.getpid())
        listener, link = (
            socket.socket(fileno=given.listener),
            SupervisorLink(socket.socket(fileno=given.link)),
        )
        greeting = Greeting(is_first=given.first, quiet=given.quiet)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run_server(settings, listener, greeting=greeting, link=link))
    except FilmgateError as error:
        sys.exit(print_error(error))


if __name__ == "__main__":
    main()
