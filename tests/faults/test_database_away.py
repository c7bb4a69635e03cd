"""The store goes away in the middle of the work: restarted, frozen, locked by another. Nothing is lost or bought twice."""

import os
import pwd
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import leave_out
from tests.faults.flight import all_completed, begin, finish
from tests.faults.ledger import table
from tests.faults.test_kill import Print, say
from tests.serving import GatewayProcess
from tests.upstream import FakeUpstream

__all__ = ["say"]
FROZEN_SECONDS = 30.0
LOCKED_SECONDS = 8.0


class OwnPostgres:
    """A server of this test's own, which it may restart and freeze; PostgreSQL refuses to run as root."""

    def __init__(self, folder: Path, binaries: Path) -> None:
        self._binaries = binaries
        self._data = folder / "data"
        self._user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        if self._user:
            os.chown(folder, self._user.pw_uid, self._user.pw_gid)
        self._run("initdb", "--username", "postgres", "--auth", "trust", "--no-sync")
        self.control("start")

    @property
    def url(self) -> str:
        return f"postgresql+asyncpg://postgres@127.0.0.1:{self.port}/postgres"

    def control(self, action: str) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._data}"
        log = self._data.parent / "log"
        how = ["-o", options, "-l", str(log)] if action != "stop" else []
        mode = ["-m", "immediate"] if action != "start" else []
        self._run("pg_ctl", "--wait", "--silent", *how, *mode, action)

    def signal_all(self, what: signal.Signals) -> None:
        main = int((self._data / "postmaster.pid").read_text().split()[0])
        children = subprocess.run(["ps", "--ppid", str(main), "-o", "pid="], capture_output=True, text=True)
        for process in (main, *map(int, children.stdout.split())):
            os.kill(process, what)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._binaries / program), "--pgdata", str(self._data), *arguments]
        ids = (
            {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []} if self._user else {}
        )
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self._data.parent, **ids)  # type: ignore[call-overload]


@pytest.fixture
def postgres() -> Iterator[OwnPostgres]:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = found[-1] if found else shutil.which("initdb")
    if not initdb:
        leave_out("PostgreSQL's own programs are not installed")
    # Not below pytest's own folder, which no other user may enter.
    with tempfile.TemporaryDirectory(prefix="filmgate-postgres-") as folder:
        server = OwnPostgres(Path(folder), Path(str(initdb)).parent)
        yield server
        server.signal_all(signal.SIGCONT)
        server.control("stop")


@pytest.mark.slow
@pytest.mark.postgres
def test_postgres_is_restarted(
    gateway: GatewayProcess, upstream: FakeUpstream, postgres: OwnPostgres, say: Print
) -> None:
    gateway.environment["FILMGATE_DATABASE_URL"] = postgres.url
    ledger = begin(gateway, upstream)
    postgres.control("stop")
    with gateway.client() as client:
        refused = client.get(f"/v1/videos/{ledger.asked[0].task_id}")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "unavailable")
        assert "retry-after" in refused.headers
    postgres.control("start")
    tally = finish(gateway, upstream, ledger)
    say(table("PostgreSQL restarted", tally))
    assert all_completed(tally, ledger), tally


@pytest.mark.slow
@pytest.mark.postgres
def test_postgres_freezes(
    gateway: GatewayProcess, upstream: FakeUpstream, postgres: OwnPostgres, say: Print
) -> None:
    gateway.environment["FILMGATE_DATABASE_URL"] = postgres.url
    ledger = begin(gateway, upstream)
    postgres.signal_all(signal.SIGSTOP)
    time.sleep(FROZEN_SECONDS)
    postgres.signal_all(signal.SIGCONT)
    tally = finish(gateway, upstream, ledger)
    say(table(f"PostgreSQL frozen for {FROZEN_SECONDS:.0f} s", tally))
    assert all_completed(tally, ledger), tally


@pytest.mark.slow
def test_another_process_locks_the_store(gateway: GatewayProcess, upstream: FakeUpstream, say: Print) -> None:
    ledger = begin(gateway, upstream)
    other = sqlite3.connect(gateway.folder / "filmgate.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    time.sleep(LOCKED_SECONDS)
    other.execute("COMMIT")
    other.close()
    tally = finish(gateway, upstream, ledger)
    say(table(f"SQLite locked by another for {LOCKED_SECONDS:.0f} s", tally))
    assert all_completed(tally, ledger), tally
