"""Runs Alembic on a store, safe when several processes start at once. ``revision.py`` runs it in a child process."""

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy.engine import make_url

MIGRATIONS = Path(__file__).parent.parent.parent / "migrations"


def alembic_config(url: str) -> Config:
    settings = Config()
    settings.set_main_option("script_location", str(MIGRATIONS))
    settings.attributes["url"] = url
    return settings


def upgrade(url: str, *, revision: str = "head") -> None:
    """Blocking and with an event loop of its own: run it in a thread from async code."""
    with _migration_lock(url):
        command.upgrade(alembic_config(url), revision)


def downgrade(url: str, *, revision: str) -> None:
    """Blocking and with an event loop of its own: run it in a thread from async code."""
    command.downgrade(alembic_config(url), revision)


@contextmanager
def _migration_lock(url: str) -> Iterator[None]:
    """One process at a time migrates an SQLite file. On PostgreSQL the migration itself takes a lock."""
    database = make_url(url).database
    if not url.startswith("sqlite") or not database:
        yield
        return
    with Path(f"{database}.migration").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    upgrade(sys.stdin.read().strip())
