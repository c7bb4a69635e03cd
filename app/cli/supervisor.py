"""`filmgate serve --processes N`: starts serving processes on one port and keeps them running.

Each process has a listening socket of its own (SO_REUSEPORT), which the supervisor made and keeps. The system spreads
connections over these by their address, evenly; from one shared socket the first process to wake takes nearly all. A
process begins to listen when it can serve. Its planned successor gets the same socket, so no connection that waits there
is lost; when it dies, its socket is closed at once, so new connections go to the others.
"""

import asyncio
import fcntl
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from asyncio.subprocess import Process
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from app.cli.startup import READY, address_of, bind_shared, bind_sibling
from app.ops.ended_counts import keep_counts
from app.settings import Settings

log = structlog.get_logger()
ROOT = Path(__file__).parent.parent.parent
HEALTHY_SECONDS = 60.0
"""A process that served for so long is replaced at once when it dies; the pause grows for one that didn't."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
NOT_STARTED = "process.not_started"
LOOK_SECONDS, SILENT_LOOKS = 5.0, 12
"""A process that says nothing for so many looks in a row hangs, and is replaced as one that has died."""
HEARD_BYTES = 1024
READY_SECONDS = 300.0
"""A process that doesn't serve after so long is given up. A planned successor's predecessor stays then."""


@dataclass(eq=False)
class ServingProcess:
    """One child. ``link`` tells when it serves, and tells it when the supervisor is gone."""

    process: Process
    link: socket.socket
    ready_at: float | None = None
    watch: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        return self.process.pid

    async def wait_ready(self) -> bool:
        """False when it ended before it could serve."""
        said = await asyncio.get_running_loop().sock_recv(self.link, len(READY))
        if said == READY:
            self.ready_at = time.monotonic()
            self.watch = asyncio.create_task(self._end_if_silent())
        return said == READY

    async def wait_end(self) -> int:
        """Its exit code; negative: the signal that ended it."""
        code = await self.process.wait()
        if self.watch is not None:
            self.watch.cancel()
            await asyncio.gather(self.watch, return_exceptions=True)
        self.link.close()
        return code

    async def _end_if_silent(self) -> None:
        """Looks are counted, not time: if this process or the machine stood still, that was one look in vain."""
        silent = 0
        while silent < SILENT_LOOKS:
            silent = 0 if await self._is_heard() else silent + 1
        log.error(
            "process.hung", hung=self.pid, advice="Its event loop stood still for a minute: it is killed."
        )
        self.signal(signal.SIGKILL)

    async def _is_heard(self) -> bool:
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(LOOK_SECONDS):
                if await asyncio.get_running_loop().sock_recv(self.link, HEARD_BYTES):
                    return True
                await asyncio.sleep(
                    LOOK_SECONDS
                )  # it has closed its end: it ends, or can't be told from one that hangs
        return False

    def signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            self.process.send_signal(number)

    @property
    def was_healthy(self) -> bool:
        return self.ready_at is not None and time.monotonic() - self.ready_at > HEALTHY_SECONDS


@dataclass(eq=False)
class Seat:
    """The place of one process: its number, its socket, and who has it now."""

    number: int
    listener: socket.socket
    holder: ServingProcess | None = None
    deaths: int = 0
    """Of processes that were not healthy, in a row."""
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)


class Supervisor:
    """All processes of one `serve`."""

    def __init__(self, settings: Settings, *, quiet: bool, metrics: Path) -> None:
        """``metrics``: a folder for the counts of all processes."""
        self._settings = settings
        self._quiet = quiet
        self._metrics = metrics
        listeners = bind_shared(settings.host, settings.port, settings.processes)
        self._seats = [Seat(number, listener) for number, listener in enumerate(listeners, 1)]
        self._running: set[ServingProcess] = set()
        self._stop_asked = asyncio.Event()
        self._restarting: asyncio.Task[None] | None = None

    async def run(self) -> int:
        """Until a stop signal has ended all processes; the exit code."""
        self._handle_signals()
        # The first migrates the store, makes the first key and prints the banner, before the others come.
        code = await self._open_first()
        if code is not None or self._stop_asked.is_set():
            return await self._end_all(code or 0)
        keepers = [asyncio.create_task(self._keep(seat)) for seat in self._seats]
        await self._stop_asked.wait()
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)
        return await self._end_all(0)

    # ---- signals ---------------------------------------------------------------------------------

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._pass_on, number)
        loop.add_signal_handler(signal.SIGHUP, self._begin_restart)

    def _pass_on(self, number: int) -> None:
        """Every stop signal reaches every process: a second Ctrl-C means more than the first."""
        log.info("processes.stopping", signal=number)
        self._stop_asked.set()
        if self._restarting is not None:
            self._restarting.cancel()
        for process in self._running:
            process.signal(number)

    def _begin_restart(self) -> None:
        if self._stop_asked.is_set() or (self._restarting is not None and not self._restarting.done()):
            log.warning("processes.restart_refused", reason="They are stopping or being restarted already.")
            return
        self._restarting = asyncio.create_task(self._restart_all(), name="restart")

    # ---- starting and ending -----------------------------------------------------------------------

    async def _open_first(self) -> int | None:
        """None once it serves; else the exit code with which it has failed."""
        seat = self._seats[0]
        seat.holder = first = await self._start(seat, "--first")
        if await first.wait_ready():
            return None
        code = await self._wait_end(first)
        return code if code >= 0 else 1

    async def _start(self, seat: Seat, *arguments: str) -> ServingProcess:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        quiet = ["--quiet"] if self._quiet else []
        given = [str(seat.listener.fileno()), str(theirs.fileno()), "--number", str(seat.number)]
        with ExitStack() as unless_started, theirs:
            unless_started.callback(ours.close)
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "app.cli.serving", *given, *arguments, *quiet),
                cwd=ROOT if ROOT.joinpath("app").is_dir() else None,
                env=self._environment(),
                pass_fds=(seat.listener.fileno(), theirs.fileno()),
                start_new_session=True,  # a terminal's Ctrl-C reaches it through us, and once
            )
            unless_started.pop_all()
        serving = ServingProcess(process, ours)
        self._running.add(serving)
        log.info("process.started", process=seat.number, started=process.pid)
        return serving

    def _environment(self) -> dict[str, str]:
        settings = self._settings
        return os.environ | {
            "FILMGATE_HOST": settings.host,
            "FILMGATE_PORT": str(self._seats[0].listener.getsockname()[1]),
            "FILMGATE_WORKER": str(settings.worker).lower(),
            "PROMETHEUS_MULTIPROC_DIR": str(self._metrics),
        }

    async def _wait_end(self, process: ServingProcess) -> int:
        code = await process.wait_end()
        self._running.discard(process)
        # In a thread, as a process that hangs may hold the lock: then only its end lets go of it.
        await asyncio.to_thread(keep_counts, self._metrics, process.pid)
        return code

    async def _end_all(self, code: int) -> int:
        for process in self._running:
            process.signal(signal.SIGTERM)
        await asyncio.gather(*(self._wait_end(process) for process in list(self._running)))
        for seat in self._seats:
            seat.listener.close()
        log.info("processes.stopped")
        return code

    # ---- keeping them ------------------------------------------------------------------------------

    async def _keep(self, seat: Seat) -> None:
        """Put a new process in the place of each that dies."""
        while True:
            holder = seat.holder
            code = None if holder is None else await self._wait_end(holder)
            async with seat.changing:
                if seat.holder is holder:
                    await self._try_replacing(seat, holder, code)

    async def _try_replacing(self, seat: Seat, holder: ServingProcess | None, code: int | None) -> None:
        """A machine without a process, a file or memory to spare gets time, and the seat is tried again."""
        try:
            await self._replace_dead(seat, holder, code)
        except OSError as error:
            log.error(NOT_STARTED, process=seat.number, error=str(error), restart_in=LONGEST_PAUSE)
            await asyncio.sleep(LONGEST_PAUSE)

    async def _replace_dead(self, seat: Seat, holder: ServingProcess | None, code: int | None) -> None:
        pause = self._note_death(seat, holder, code) if holder is not None else 0.0
        seat.holder = None
        await asyncio.sleep(pause)
        seat.holder = process = await self._start(seat)
        if await self._serves_in_time(process):
            self._report_if_all_serve()

    def _note_death(self, seat: Seat, holder: ServingProcess, code: int | None) -> float:
        """Seconds until the next try. The dead one's socket goes, and with it what waited there for nobody."""
        dead, seat.listener = seat.listener, bind_sibling(seat.listener)
        dead.close()
        seat.deaths = 0 if holder.was_healthy else seat.deaths + 1
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (seat.deaths - 1)) if seat.deaths else 0.0
        log.error("process.died", process=seat.number, died=holder.pid, code=code, restart_in=pause)
        return pause

    def _report_if_all_serve(self) -> None:
        holders = [seat.holder for seat in self._seats]
        if all(holder is not None and holder.ready_at is not None for holder in holders):
            pids = [holder.pid for holder in holders if holder is not None]
            address = address_of(self._seats[0].listener)
            log.info("processes.ready", processes=len(pids), pids=pids, address=address)

    async def _restart_all(self) -> None:
        """One after the other: a successor serves before its predecessor stops, and that has ended before the next."""
        log.info("processes.restarting")
        for seat in self._seats:
            async with seat.changing:
                predecessor = seat.holder
                if not await self._install_successor(seat):
                    log.error(
                        "processes.restart_given_up",
                        process=seat.number,
                        advice="The successor did not come to serve; its own lines in the log say why. What ran "
                        "before goes on. Mend the cause, and send SIGHUP again.",
                    )
                    return
            if predecessor is not None:
                predecessor.signal(signal.SIGHUP)
                await predecessor.process.wait()
        log.info("processes.restarted")

    async def _install_successor(self, seat: Seat) -> bool:
        """False when it did not come to serve; it is gone then."""
        try:
            successor = await self._start(seat)
        except OSError as error:
            log.error(NOT_STARTED, process=seat.number, error=str(error))
            return False
        if not await self._serves_in_time(successor):
            await self._wait_end(successor)
            return False
        seat.holder, seat.deaths = successor, 0
        return True

    async def _serves_in_time(self, process: ServingProcess) -> bool:
        """False when it died, or took so long that it was ended."""
        with suppress(TimeoutError):
            async with asyncio.timeout(READY_SECONDS):
                if await process.wait_ready():
                    return True
        process.signal(signal.SIGKILL)
        return False


def supervise(settings: Settings, *, quiet: bool) -> None:
    """Run the processes until a stop signal, and exit. Raises ``SettingsInvalid``."""
    if settings.redis_url is None:
        log.warning(
            "limits.counted_by_process",
            advice="Each process counts the requests per minute of a key alone. Set FILMGATE_REDIS_URL to count "
            "them together.",
        )
    metrics = Path(tempfile.mkdtemp(prefix="filmgate-metrics-"))
    # What tidies up /tmp spares a folder that is locked: https://www.freedesktop.org/software/systemd/man/tmpfiles.d.html
    in_use = os.open(metrics, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(in_use, fcntl.LOCK_SH)
    try:
        with asyncio.Runner() as runner:
            code = runner.run(_run_supervisor(settings, quiet=quiet, metrics=metrics))
    finally:
        shutil.rmtree(metrics, ignore_errors=True)
        os.close(in_use)
    sys.exit(code)


async def _run_supervisor(settings: Settings, *, quiet: bool, metrics: Path) -> int:
    return await Supervisor(settings, quiet=quiet, metrics=metrics).run()
