"""`filmgate move`: takes the whole store into another database, and its films into another file store."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, nullcontext
from typing import Annotated

import sqlalchemy as sa
import typer
from pydantic import ValidationError
from rich.markup import escape

from app.backup.row_stores import open_rows
from app.backup.store_move import mark_moved, move_files, move_rows
from app.cli.output import err, out
from app.cli.whole_backups import require_alone
from app.db import revision
from app.db.marks import MOVED_PREFIX, moved_to
from app.db.operator_tables import marks
from app.db.session import Database
from app.errors import InvalidRequest, SettingsInvalid
from app.media.store import MediaStore
from app.settings import Settings, load_settings, mask_address
from app.worker import lock_store


def move_store(
    *,
    to: Annotated[
        str, typer.Option(metavar="URL", help="An empty database: postgresql://… or sqlite+aiosqlite:///….")
    ] = "",
    storage: Annotated[
        str, typer.Option(metavar="URL", help="Where the files go as well: s3://bucket/prefix.")
    ] = "",
    storage_endpoint: Annotated[
        str, typer.Option(metavar="URL", help="The S3 server of --storage; without it FILMGATE_S3_ENDPOINT.")
    ] = "",
    reopen: Annotated[
        bool, typer.Option("--reopen", help="Instead: let this store be used again after it was moved.")
    ] = False,
) -> None:
    """Copy everything into another database, compare it row by row, and close the old one. May be repeated after a kill."""
    settings = load_settings()
    if reopen:
        asyncio.run(reopen_store(settings))
        return
    if not to:
        raise InvalidRequest("--to is required: the address of an empty database")
    target = _target_settings(settings, to, storage, endpoint=storage_endpoint)
    if target.resolved_database_url == settings.resolved_database_url:
        raise InvalidRequest("--to: this is the store that is in use")
    asyncio.run(move_into(settings, target))


def _target_settings(settings: Settings, to: str, storage: str, *, endpoint: str) -> Settings:
    """The settings as they are to be after the move. Raises ``InvalidRequest``."""
    changes = {"database_url": to}
    changes |= {"storage_url": storage} if storage else {}
    changes |= {"s3_endpoint": endpoint} if endpoint else {}
    try:
        return Settings.model_validate(settings.model_dump() | changes)
    except ValidationError as error:
        problem = error.errors()[0]
        option = {"database_url": "--to", "storage_url": "--storage"}.get(str(problem["loc"][0]), "--to")
        raise InvalidRequest(f"{option}: {problem['msg'].removeprefix('Value error, ')}") from error


async def move_into(settings: Settings, target: Settings) -> None:
    """Move the store of ``settings`` to that of ``target``. Raises ``SettingsInvalid`` or ``ServiceUnavailable`` while a
    gateway runs on it, ``InvalidRequest`` when the other one is not empty."""
    async with _alone(settings):
        where = mask_address(target.resolved_database_url)
        is_marked = await _prepare(settings, target, where)
        if target.storage_url != settings.storage_url:
            files, copied = await move_files(_open_files(settings), _open_files(target))
            out.print(f"Files: {files}, of which {copied} were copied now; all are equal.")
        async with (
            open_rows(settings.resolved_database_url, writing=True) as rows,
            open_rows(target.resolved_database_url, writing=True) as theirs,
        ):
            await rows.lock_tables()
            await require_alone(rows, settings.resolved_database_url)
            moved = await move_rows(rows, theirs)
            if not is_marked:
                await mark_moved(rows, where)
    word = "were copied now and are equal" if moved.copied else "were there already and are equal"
    out.print(f"Rows: {moved.rows} in {moved.tables} tables {word}.")
    await _print_money(target)
    out.print(escape(f"Now set FILMGATE_DATABASE_URL to {where}"), soft_wrap=True)
    if target.storage_url != settings.storage_url:
        out.print(escape(f"and FILMGATE_STORAGE_URL to {target.storage_url}"), soft_wrap=True)
    err.print("The old store is unchanged, and no gateway starts on it any more. Keep the same root key.")


@asynccontextmanager
async def _alone(settings: Settings) -> AsyncIterator[None]:
    """Raises ``SettingsInvalid`` while a worker serves this SQLite store."""
    url = settings.resolved_database_url
    lock = nullcontext() if url.startswith("postgresql") else closing(lock_store(url, settings.data_dir))
    with lock:
        yield


async def _prepare(settings: Settings, target: Settings, where: str) -> bool:
    """Bring both databases to this version's tables; whether the old one was moved there before.

    Raises ``SettingsInvalid``.
    """
    old, new = Database(settings.resolved_database_url), Database(target.resolved_database_url)
    try:
        if await revision.current_revision(old) is None:
            raise SettingsInvalid(
                "There is no store to move: the database does not answer, or has no tables."
            )
        if await revision.current_revision(old) != revision.NEWEST:
            await revision.upgrade_if_needed(old)
        await revision.upgrade_if_needed(new)
        async with old.read() as connection:
            before = await moved_to(connection)
        if before not in (None, where):
            raise SettingsInvalid(
                f"This store was moved to {before} already. `filmgate move --reopen` undoes that."
            )
        return before is not None
    except (revision.MigrationFailed, revision.StoreRefused) as error:
        raise SettingsInvalid(str(error)[:500]) from error
    finally:
        await old.close()
        await new.close()


async def _print_money(target: Settings) -> None:
    query = "SELECT count(*), coalesce(sum(spent), 0), coalesce(sum(reserved), 0) FROM spending WHERE period = 'total'"
    database = Database(target.resolved_database_url)
    try:
        async with database.read() as connection:
            keys, spent, reserved = (await connection.execute(sa.text(query))).one()
    finally:
        await database.close()
    out.print(f"Money: {keys} keys have spent ${spent / 10**9:.2f}, and ${reserved / 10**9:.2f} is reserved.")


async def reopen_store(settings: Settings) -> None:
    """Let a store that was moved be used again."""
    database = Database(settings.resolved_database_url)
    gone = sa.delete(marks).where(marks.c.name.startswith(MOVED_PREFIX, autoescape=True))
    try:
        async with database.write() as connection:
            count = (await connection.execute(gone)).rowcount
    finally:
        await database.close()
    out.print("This store may be used again." if count else "This store was not moved.")


def _open_files(settings: Settings) -> MediaStore:
    return MediaStore.open(
        settings.storage_url, folder=settings.data_dir / "files", endpoint=settings.s3_endpoint
    )
