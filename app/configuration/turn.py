"""A lock: one process applies the configuration file at a time, so that rows are not added twice."""

import asyncio
import fcntl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from app.db.session import Database

ADVISORY_LOCK = 727_003  # the number of a PostgreSQL advisory lock, chosen by us


@asynccontextmanager
async def configuration_lock(database: Database) -> AsyncIterator[None]:
    """Waits for other processes. The lock of a process that dies is released."""
    if database.is_postgres:
        async with database.write() as connection:
            await connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
            yield
        return
    handle = await asyncio.to_thread(_lock_file, Path(f"{make_url(database.url).database}.config"))
    try:
        yield
    finally:
        handle.close()


def _lock_file(path: Path) -> IO[str]:
    handle = path.open("w")
    fcntl.flock(handle, fcntl.LOCK_EX)
    return handle
