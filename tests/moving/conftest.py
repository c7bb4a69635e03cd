"""Servers that hold the databases of other gateways."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests import stores
from tests.conftest import leave_out
from tests.moving.peers import PeerStore


def sqlite_file(folder: Path, store: PeerStore) -> Path:
    path = folder / "one-api.db"
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        store.fill(connection)
    engine.dispose()
    return path


async def postgres_database(store: PeerStore) -> str:
    url = stores.empty_postgres_store()
    engine = sa.ext.asyncio.create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.begin() as connection:
        await connection.run_sync(store.fill)
    await engine.dispose()
    return url


@pytest.fixture(scope="package")
def mysql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """MariaDB of this test run alone, without grants, so that it needs no tables of its own."""
    program = shutil.which("mariadbd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        leave_out("MariaDB is not installed")
    assert program
    folder = tmp_path_factory.mktemp("mysql")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [
                program,
                "--no-defaults",
                f"--datadir={folder}",
                f"--socket={folder / 'socket'}",
                f"--port={port}",
                "--bind-address=127.0.0.1",
                "--skip-grant-tables",
                "--skip-networking=0",
                "--innodb-buffer-pool-size=8M",
                "--innodb-log-file-size=4M",
                "--user=root" if os.geteuid() == 0 else "--skip-name-resolve",
            ],
            stdout=log,
            stderr=log,
        )
        try:
            _await_port(server, port, folder / "log")
            yield f"mysql://root:secret@127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(60)


def _await_port(server: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    for _ in range(600):
        if server.poll() is not None:
            break
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail(f"MariaDB did not start:\n{log.read_text()[-2000:]}")


def mysql_database(server: str, store: PeerStore) -> str:
    url = sa.make_url(server).set(drivername="mysql+pymysql")
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP DATABASE IF EXISTS oneapi")
        connection.exec_driver_sql("CREATE DATABASE oneapi CHARACTER SET utf8mb4")
    engine.dispose()
    engine = sa.create_engine(url.set(database="oneapi"))
    with engine.begin() as connection:
        store.fill(connection)
    engine.dispose()
    return f"{server}/oneapi"
