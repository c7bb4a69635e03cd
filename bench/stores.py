"""The stores that the gateway is measured on: SQLite in a folder, PostgreSQL on a server that is there or is made for it."""

import asyncio
import os
import secrets
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import asyncpg

from bench.processes import free_port

StoreName = Literal["sqlite", "postgresql"]
SERVER_VARIABLE = "FILMGATE_TEST_POSTGRES_URL"
COUNTED = (
    "SELECT state, count(*), coalesce(max(finished_at), 0), "
    "coalesce(sum(CASE WHEN finished_at <= {until} THEN 1 ELSE 0 END), 0) "
    "FROM tasks WHERE id > '{after}' GROUP BY state"
)


@dataclass(frozen=True)
class TaskCounts:
    """Of the tasks that were created after a given one. ``in_time`` have ended before a given time."""

    by_state: dict[str, int]
    last_end: float
    in_time: int

    @property
    def all(self) -> int:
        return sum(self.by_state.values())

    @property
    def ended(self) -> int:
        return sum(self.by_state.get(state, 0) for state in ("completed", "failed", "cancelled"))


@dataclass(frozen=True)
class Store:
    """One empty store with the folder of a gateway."""

    name: StoreName
    folder: Path
    url: str = ""
    """Of PostgreSQL, as asyncpg takes it."""

    @property
    def environment(self) -> dict[str, str]:
        return {"FILMGATE_DATABASE_URL": self.url} if self.url else {}

    def newest_task(self) -> str:
        return str(self.query("SELECT coalesce(max(id), '') FROM tasks")[0][0])

    def task_counts(self, after: str, *, until: float = 0.0) -> TaskCounts:
        rows = self.query(COUNTED.format(after=after, until=until))
        return TaskCounts(
            {row[0]: row[1] for row in rows},
            max((row[2] for row in rows), default=0.0),
            sum(row[3] for row in rows),
        )

    def query(self, statement: str) -> list[Any]:
        if self.url:
            return asyncio.run(self._query_postgres(statement))
        # The rows of a task lie in the write-ahead log for a while: a reader of its own sees them too.
        with sqlite3.connect(
            f"file:{self.folder / 'filmgate.db'}?mode=ro", uri=True, timeout=30
        ) as connection:
            rows = connection.execute(statement).fetchall()
        connection.close()
        return rows

    def execute(self, *statements: str) -> None:
        """Each in a transaction of its own; as long as it takes."""
        if self.url:
            asyncio.run(self._execute_postgres(statements))
            return
        connection = sqlite3.connect(self.folder / "filmgate.db", timeout=30)
        for statement in statements:
            with connection:
                connection.execute(statement)
        connection.close()

    async def _execute_postgres(self, statements: Iterable[str]) -> None:
        connection = await asyncpg.connect(self.url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def _query_postgres(self, statement: str) -> list[Any]:
        connection = await asyncpg.connect(self.url)
        try:
            return list(await connection.fetch(statement))
        finally:
            await connection.close()


@dataclass(frozen=True)
class PostgresServer:
    """A server with the right to make databases, and where it is from."""

    url: str
    origin: str

    def execute(self, statement: str) -> None:
        async def run() -> None:
            connection = await asyncpg.connect(self.url)
            try:
                await connection.execute(statement)
            finally:
                await connection.close()

        asyncio.run(run())

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of an empty database that is dropped afterwards."""
        name = f"filmgate_bench_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name}")
        try:
            yield f"{self.url.rpartition('/')[0]}/{name}"
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")


def open_postgres(stack: ExitStack) -> PostgresServer | None:
    """The server that the tests use, or one that ends with ``stack``; none where PostgreSQL isn't installed."""
    given = os.environ.get(SERVER_VARIABLE)
    if given:
        return PostgresServer(given, f"the server of {SERVER_VARIABLE}, on any core")
    binaries = _find_binaries()
    if binaries is None:
        return None
    return PostgresServer(
        stack.enter_context(_own_server(binaries)), "a server of its own, on the load's core"
    )


def _find_binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    on_path = shutil.which("initdb")
    if found:
        return found[-1].parent
    return Path(on_path).parent if on_path else None


@contextmanager
def _own_server(binaries: Path) -> Iterator[str]:
    """As it is installed, so every commit is synced to the disk. It inherits this process's core."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="filmgate-bench-pg-") as name:
        folder = Path(name)
        if os.getuid() == 0:  # the server refuses to run as root
            shutil.chown(folder, "postgres")
        _as_postgres(binaries / "initdb", "--pgdata", folder / "data", "--username=postgres", "--auth=trust")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
        control = (binaries / "pg_ctl", "--pgdata", folder / "data", "--wait", "--silent")
        _as_postgres(*control, "--log", folder / "log", "--options", options, "start")
        try:
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
        finally:
            _as_postgres(*control, "--mode=immediate", "stop")


def _as_postgres(*command: str | Path) -> None:
    switch = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    subprocess.run([*switch, *map(str, command)], check=True, stdout=subprocess.DEVNULL, cwd="/")
