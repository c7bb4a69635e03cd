"""Stores for tests: copies of one that was migrated once, as every migration takes a second."""

import asyncio
import atexit
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

Answer = TypeVar("Answer")
ROOT = Path(__file__).parent.parent
POSTGRES_URL = os.environ.get("FILMGATE_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/test")


def sqlite_store(path: Path) -> str:
    """A store with its tables at ``path``; its URL."""
    shutil.copy(_sqlite_template(), path)
    return f"sqlite+aiosqlite:///{path}"


def postgres_store() -> str:
    """A store with its tables of a name of its own; its URL."""
    return _create(f"TEMPLATE {_postgres_template()}")


def empty_postgres_store() -> str:
    return _create("")


def drop(url: str) -> None:
    _run(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")


@cache
def _sqlite_template() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="filmgate-"))
    atexit.register(shutil.rmtree, folder)
    _migrate(f"sqlite+aiosqlite:///{folder / 'template.db'}")
    return folder / "template.db"


@cache
def _postgres_template() -> str:
    url = empty_postgres_store()
    atexit.register(drop, url)
    _migrate(url.replace("postgresql://", "postgresql+asyncpg://"))
    return url.rpartition("/")[2]


def _migrate(url: str) -> None:
    subprocess.run([sys.executable, "-m", "app.db.migrate"], cwd=ROOT, input=url, text=True, check=True)


def _create(options: str) -> str:
    name = f"filmgate_{secrets.token_hex(6)}"
    _run(f"CREATE DATABASE {name} {options}")
    return f"{POSTGRES_URL.rpartition('/')[0]}/{name}"


def _run(sql: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(POSTGRES_URL)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    done(run())


def done(work: Coroutine[Any, Any, Answer]) -> Answer:
    """Its result, also in a browser's test, whose thread has a loop running."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as elsewhere:
        return elsewhere.submit(asyncio.run, work).result()
