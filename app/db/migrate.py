"""Runs Alembic on a store, safe when several processes start at once. ``revision.py`` runs it in a child process."""

import fcntl
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy.engine import make_url

MIGRATIONS = Path(__file__).parent.parent.parent / "migrations"
REVISION = "SELECT version_num FROM alembic_version"


def alembic_config(url: str) -> Config:
    settings = Config()
    settings.set_main_option("script_location", str(MIGRATIONS))
    settings.attributes["url"] = url
    return settings


def upgrade(url: str, *, revision: str = "head") -> None:
    """Blocking and with an event loop of its own: run it in a thread from async code."""
    config = alembic_config(url)
    with _migration_lock(url) as path:
        if path is not None:
            newest = ScriptDirectory.from_config(config).get_current_head()
            copy_store(path, unless=newest or "" if revision == "head" else revision)
        command.upgrade(config, revision)


def downgrade(url: str, *, revision: str) -> None:
    """Blocking and with an event loop of its own: run it in a thread from async code."""
    with _migration_lock(url) as path:
        if path is not None:
            copy_store(path, unless=revision)
        command.downgrade(alembic_config(url), revision)


def copy_store(path: Path, *, unless: str) -> None:
    """Copy an SQLite file beside itself, named for its revision, in place of an older copy. A store without tables, or
    of the revision ``unless``, is not copied. Raises ``CommandError`` where the disk has no room."""
    with closing(sqlite3.connect(path)) as store:
        try:
            (found,) = store.execute(REVISION).fetchone() or (None,)
        except sqlite3.OperationalError:
            return
        if found in (None, unless):
            return
        part = path.with_name(f"{path.name}.copying")
        try:
            with closing(sqlite3.connect(part)) as copy:
                store.backup(copy)
        except sqlite3.Error as error:
            with suppress(OSError):
                part.unlink()
            raise CommandError(
                f"no copy of the database could be made before its migration: {error}. Is there as much room as it takes?"
            ) from error
    for older in path.parent.glob(f"{path.name}.revision-*"):
        older.unlink()
    part.rename(path.with_name(f"{path.name}.revision-{found}"))


@contextmanager
def _migration_lock(url: str) -> Iterator[Path | None]:
    """One process at a time migrates an SQLite file, whose path is given. On PostgreSQL the migration itself takes a
    lock."""
    database = make_url(url).database if url.startswith("sqlite") else None  # else it may name several hosts
    if not database:
        yield None
        return
    with Path(f"{database}.migration").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield Path(database)


if __name__ == "__main__":
    # The address comes by standard input: it may hold a password, and arguments are seen by everybody.
    address = sys.stdin.read().strip()
    if sys.argv[1:2] == ["up"]:
        upgrade(address, revision=sys.argv[2])
    elif sys.argv[1:]:
        downgrade(address, revision=sys.argv[1])
    else:
        upgrade(address)
