"""`filmgate downgrade`: takes the store back to the schema of an older release."""

import asyncio
from contextlib import closing
from typing import Annotated

import typer

from app.cli.output import err, out
from app.db import revision
from app.db.session import Database
from app.errors import InvalidRequest, ServiceUnavailable, SettingsInvalid
from app.settings import Settings, load_settings, mask_address
from app.worker import lock_store

WARNING = """Going back from revision {found} to {target} of release {release} drops the columns and tables that came since, and what is in them.
Store: {store}
Stop every process of this gateway first. {copy}
Run it again with --yes to do it."""
SQLITE_COPY = "A copy of the database is left beside it."
POSTGRES_COPY = "Make a copy first: pg_dump --format custom --file before.dump …"


def downgrade_store(
    release: Annotated[str, typer.Argument(help="The release to go back to, like 0.1.0.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without it nothing is changed.")] = False,
) -> None:
    """Take the store back to the schema of an older release, to start that release again."""
    target = revision.RELEASES.get(release)
    if target is None:
        raise InvalidRequest(f"{release} is none of {', '.join(revision.RELEASES)}.", param="release")
    asyncio.run(_go_back(load_settings(), release, target, confirmed=yes))


async def _go_back(settings: Settings, release: str, target: str, *, confirmed: bool) -> None:
    database = Database(settings.resolved_database_url)
    try:
        found = await revision.current_revision(database)
        if found is None:
            raise ServiceUnavailable(
                "The database does not answer, or holds no store. `filmgate doctor` shows more."
            )
        if found <= target:
            out.print(f"The store has revision {found}; release {release} can use it as it is.")
            return
        if not confirmed:
            copy = POSTGRES_COPY if database.is_postgres else SQLITE_COPY
            store = mask_address(database.url)
            err.print(WARNING.format(found=found, target=target, release=release, store=store, copy=copy))
            raise typer.Exit(1)
        await _migrate_alone(database, settings, target)
        out.print(f"The store has revision {target}: start Filmgate {release}.")
    finally:
        await database.close()


async def _migrate_alone(database: Database, settings: Settings, target: str) -> None:
    """Raises ``SettingsInvalid`` while a worker serves this SQLite store, and when the migration fails."""
    try:
        if database.is_postgres:
            await revision.run_migration(database, target)
            return
        with closing(lock_store(database.url, settings.data_dir)):
            await revision.run_migration(database, target)
    except revision.MigrationFailed as error:
        raise SettingsInvalid(f"The store could not be taken back ({str(error)[:300]}).") from error
