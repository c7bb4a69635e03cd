"""Compares the store's schema revision with this version's, and migrates it."""

import asyncio
import sys
from pathlib import Path

from sqlalchemy import text

from app.db.session import DATABASE_AWAY, Database

NEWEST = "0010"
"""The newest revision in ``migrations/versions``; a test compares them."""
ROOT = Path(__file__).parent.parent.parent


class MigrationFailed(Exception):
    """The message is the last line that the migration printed."""


async def upgrade_if_needed(database: Database) -> None:
    """Migrate if needed, in a child process: Alembic takes 10 MB that a server never needs again.

    Raises ``MigrationFailed``.
    """
    if await current_revision(database) == NEWEST:
        return
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "app.db.migrate",
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, output = await child.communicate(database.url.encode())  # not as an argument: it may hold a password
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
