"""Compares the store's schema revision with this version's, and migrates it up or back."""

import asyncio
import sys
from pathlib import Path

import structlog
from sqlalchemy import text

from app import __version__
from app.db import marks
from app.db.session import DATABASE_AWAY, Database

log = structlog.get_logger()
ROOT = Path(__file__).parent.parent.parent
NEWEST = max(path.name for path in (ROOT / "migrations" / "versions").glob("[0-9]*.py")).partition("_")[0]
"""The newest revision: the files are named for theirs."""
RELEASES = {"0.1.0": "0010", __version__: NEWEST}
"""The revision that each release knows."""


class MigrationFailed(Exception):
    """The message is the last line that the migration printed."""


class StoreRefused(Exception):
    """The store was migrated by a newer version, or was moved away. The message says so, and what to do."""


async def upgrade_if_needed(database: Database) -> None:
    """Migrate if needed. Raises ``MigrationFailed``, or ``StoreRefused``."""
    found = await current_revision(database)
    if found == NEWEST:
        await require_not_moved(database)
        return
    if found is not None and found > NEWEST:
        raise StoreRefused(
            f"The store has revision {found} of a newer Filmgate; this is {__version__}, which knows {NEWEST}. "
            f"Start the newer version, or stop all its processes and run its `filmgate downgrade {__version__}`."
        )
    await run_migration(database)
    log.info("database.migrated", before=found, after=NEWEST)


async def require_not_moved(database: Database) -> None:
    """Raises ``StoreRefused`` for a store whose content lives elsewhere now: two gateways would spend the same money."""
    async with database.read() as connection:
        where = await marks.moved_to(connection)
    if where is not None:
        raise StoreRefused(
            f"This store was moved to {where}: set FILMGATE_DATABASE_URL to that address. "
            "To use this copy again, and give up the other, run `filmgate move --reopen`."
        )


async def run_migration(database: Database, *arguments: str) -> None:
    """Upgrade in a child process: Alembic takes 10 MB that a server never needs again. With a revision as the argument go
    back to it, and with ``up`` and a revision no further than that.

    Raises ``MigrationFailed``.
    """
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "app.db.migrate",
        *arguments,
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, output = await child.communicate(database.url.encode())
    if child.returncode != 0:
        lines = [
            line for line in output.decode(errors="replace").splitlines() if line and line[0] not in "( "
        ]
        raise MigrationFailed(lines[-1] if lines else "the migration gave no reason")


async def current_revision(database: Database) -> str | None:
    """The revision of the store; None when it has no tables or does not answer."""
    try:
        async with database.read() as connection:
            row = await connection.execute(text("SELECT version_num FROM alembic_version"))
            return row.scalar_one_or_none()
    except DATABASE_AWAY:
        return None
