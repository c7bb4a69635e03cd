"""PostgreSQL servers of a test's own, which it may restart, freeze and let another take over from; and a wire to one."""

import asyncio
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.conftest import leave_out
from tests.serving import until


class OwnPostgres:
    """PostgreSQL refuses to run as root, so it runs as its own user then."""

    def __init__(self, folder: Path, binaries: Path, *, copy_of: "OwnPostgres | None" = None) -> None:
        """``copy_of``: follow that server as a standby, which confirms each commit."""
        self._binaries = binaries
        self._data = folder / "data"
        self._user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        if self._user:
            os.chown(folder, self._user.pw_uid, self._user.pw_gid)
        if copy_of is None:
            self._run("initdb", "--username", "postgres", "--auth", "trust", "--no-sync")
        else:
            source = f"host=127.0.0.1 port={copy_of.port} user=postgres"
            copy = ("--dbname", source, "--write-recovery-conf", "--checkpoint", "fast", "--no-sync")
            self._run("pg_basebackup", *copy)
        self.control("start")

    @property
    def url(self) -> str:
        return database_url(self.port)

    def control(self, action: str) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._data}"
        log = self._data.parent / "log"
        how = ["-o", options, "-l", str(log)] if action not in {"stop", "promote"} else []
        mode = ["-m", "immediate"] if action in {"stop", "restart"} else []
        self._run("pg_ctl", "--wait", "--silent", *how, *mode, action)

    def end(self) -> None:
        self.signal_all(signal.SIGCONT)
        self.control("stop")

    def execute(self, *statements: str) -> list[Any]:
        """The rows of the last statement."""

        async def run() -> list[Any]:
            connection = await asyncpg.connect(self.url.replace("+asyncpg", ""))
            try:
                return [await connection.fetch(statement) for statement in statements][-1]
            finally:
                await connection.close()

        return asyncio.run(run())

    def require_standby(self) -> None:
        """From now on a commit waits until the standby has it too, as where no commit may be lost."""
        self.execute(
            "ALTER SYSTEM SET synchronous_standby_names = '*'",
            "SELECT pg_reload_conf()",
        )
        until(lambda: self.execute("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"))

    def signal_all(self, what: signal.Signals) -> None:
        main = int((self._data / "postmaster.pid").read_text().split()[0])
        children = subprocess.run(["ps", "--ppid", str(main), "-o", "pid="], capture_output=True, text=True)
        for process in (main, *map(int, children.stdout.split())):
            with suppress(ProcessLookupError):
                os.kill(process, what)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._binaries / program), "--pgdata", str(self._data), *arguments]
        ids = (
            {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []} if self._user else {}
        )
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self._data.parent, **ids)  # type: ignore[call-overload]


def database_url(port: int) -> str:
    return f"postgresql+asyncpg://postgres@127.0.0.1:{port}/postgres"


StartServer = Callable[..., OwnPostgres]


@pytest.fixture
def start_postgres() -> Iterator[StartServer]:
    """Starts servers, and stops them after the test."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = found[-1] if found else shutil.which("initdb")
    if not initdb:
        leave_out("PostgreSQL's own programs are not installed")
    with ExitStack() as ends:

        def start(copy_of: OwnPostgres | None = None) -> OwnPostgres:
            # Not below pytest's own folder, which no other user may enter.
            folder = ends.enter_context(tempfile.TemporaryDirectory(prefix="filmgate-postgres-"))
            server = OwnPostgres(Path(folder), Path(str(initdb)).parent, copy_of=copy_of)
            ends.callback(server.end)
            return server

        yield start


@pytest.fixture
def postgres(start_postgres: StartServer) -> OwnPostgres:
    return start_postgres()


class Wire:
    """A port that leads to a server, as a load balancer or a virtual address does."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._open: list[socket.socket] = []
        self._silent: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def lead_to(self, port: int) -> None:
        """New connections go to another server; those that exist go silent without being closed: what is sent on
        them is taken and never answered."""
        self._target = port
        self._silent |= set(self._open)

    def close(self) -> None:
        for one in (self._listener, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                self._open += near, far
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if source not in self._silent:
                    target.sendall(data)
            if source not in self._silent:
                target.shutdown(socket.SHUT_WR)


@pytest.fixture
def wire(postgres: OwnPostgres) -> Iterator[Wire]:
    wire = Wire(postgres.port)
    yield wire
    wire.close()
