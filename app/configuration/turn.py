"""One process applies the configuration file at a time: two would both find that something is missing."""

import asyncio
import fcntl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from app.db.session import Database

ADVISORY_LOCK = 727_003  # of PostgreSQL's advisory locks; the number is ours to choose


@asynccontextmanager
async def configuration_lock(database: Database) -> AsyncIterator[None]:
    """Waits for the others. A process that dies lets go of it."""
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
