"""Compares the store's schema revision with this version's, and migrates it up or back."""

import asyncio
import sys
from pathlib import Path

import structlog
from sqlalchemy import text

from app import __version__
from app.db.session import DATABASE_AWAY, Database

log = structlog.get_logger()
ROOT = Path(__file__).parent.parent.parent
NEWEST = max(path.name for path in (ROOT / "migrations" / "versions").glob("[0-9]*.py")).partition("_")[0]
"""The newest revision: the files are named for theirs."""
RELEASES = {"0.1.0": "0010", __version__: NEWEST}
"""The revision that each release knows."""


class MigrationFailed(Exception):
    """The message is the last line that the migration printed."""


class StoreTooNew(Exception):
    """The store was migrated by a newer version. The message says so, and what to do."""


async def upgrade_if_needed(database: Database) -> None:
    """Migrate if needed. Raises ``MigrationFailed``, or ``StoreTooNew``."""
    found = await current_revision(database)
    if found == NEWEST:
        return
    if found is not None and found > NEWEST:
        raise StoreTooNew(
            f"The store has revision {found} of a newer Filmgate; this is {__version__}, which knows {NEWEST}. "
            f"Start the newer version, or stop all its processes and run its `filmgate downgrade {__version__}`."
        )
    await run_migration(database)
    log.info("database.migrated", before=found, after=NEWEST)


async def run_migration(database: Database, *back_to: str) -> None:
    """Upgrade, or go back to a revision, in a child process: Alembic takes 10 MB that a server never needs again.

    Raises ``MigrationFailed``.
    """
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "app.db.migrate",
        *back_to,
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
