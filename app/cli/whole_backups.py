"""`filmgate backup --everything`, and `filmgate restore` of such a file."""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO

from rich.markup import escape

from app.backup.row_stores import RowStore, open_rows
from app.backup.whole_archive import WholeBackup, write_everything
from app.backup.whole_restore import (
    NOT_EMPTY,
    CheckedBackup,
    check_everything,
    check_files,
    restore_files,
    restore_roots,
    restore_rows,
)
from app.cli.output import err, out
from app.cli.store_access import with_store
from app.components import Components
from app.db import revision
from app.db.session import Database
from app.durable_files import sync_path
from app.errors import InvalidRequest, ServiceUnavailable, SettingsInvalid
from app.media.store import MediaStore
from app.settings import Settings, load_settings, mask_address
from app.vault import root_of_secret
from app.worker import lock_store

STDOUT = "-"
CLOSING_SECONDS, LOOKS = 0.2, 50
"""A connection that was just closed may be listed for a moment more."""


def save_everything(to: str, *, passphrase: str) -> None:
    """Write all of the store, of which a gateway may run, to a file or to stdout."""
    if "://" in to:
        raise InvalidRequest("--to: --everything goes to a file or to stdout, not to an address")

    async def write(components: Components) -> WholeBackup:
        database = components.database
        found = await revision.current_revision(database) or ""
        with _open_target(to) as target:
            async with open_rows(database.url) as rows:
                return await write_everything(
                    rows,
                    components.store,
                    target,
                    vault=components.vault,
                    passphrase=passphrase,
                    revision=found,
                )

    done = with_store(write)
    gone = f" {done.gone} files were deleted meanwhile and are left out." if done.gone else ""
    err.print(
        f"Saved {done.rows} rows and {done.files} files ({done.bytes} bytes), and the root key sealed with the passphrase.{gone}"
    )


@contextmanager
def _open_target(to: str) -> Iterator[BinaryIO]:
    """The file appears under its name once it is whole and on the disk. Raises ``ServiceUnavailable``."""
    if to == STDOUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(to)
    part = path.with_name(f"{path.name}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        sync_path(path.absolute().parent)
    except OSError as error:
        raise ServiceUnavailable(f"{part} can't be written: {error.strerror or error}") from error


def restore_everything(place: Path, *, passphrase: str, yes: bool, replace: bool) -> None:
    """Check all of the backup; with ``yes`` put it into the empty store that the settings name."""
    asyncio.run(restore_into(load_settings(), place, passphrase, yes=yes, replace=replace))


async def restore_into(settings: Settings, place: Path, passphrase: str, *, yes: bool, replace: bool) -> None:
    """Raises ``InvalidRequest`` for a damaged backup and a place that is not empty, ``SettingsInvalid`` while a gateway
    runs there."""
    backup = await check_everything(place, passphrase=passphrase)
    described = f"{backup.rows} rows and {len(backup.sizes)} files of {backup.made_at}"
    out.print(escape(f"{place.name} is whole: {described}, revision {backup.revision}."), soft_wrap=True)
    if backup.revision > revision.NEWEST:
        raise InvalidRequest(
            f"It has revision {backup.revision} of a newer Filmgate, and this one knows {revision.NEWEST}: restore it with "
            "the version that made it, or a newer one."
        )
    _check_root_key(backup, settings)
    if not yes:
        err.print("Nothing was written. Add --yes to restore it.")
        return
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    url = settings.resolved_database_url
    lock = nullcontext() if url.startswith("postgresql") else closing(lock_store(url, settings.data_dir))
    with lock:
        await _restore_alone(backup, settings, replace=replace)


def _check_root_key(backup: CheckedBackup, settings: Settings) -> None:
    """Raises ``InvalidRequest`` for a ``FILMGATE_SECRET_KEY`` that is not the backup's."""
    if settings.secret_key and root_of_secret(settings.secret_key.get_secret_value()) != backup.roots[0]:
        raise InvalidRequest(
            "FILMGATE_SECRET_KEY is another root key than that of the backup: set the one it was made with, or none. "
            "Then the backup's own is written to root.key."
        )


async def _restore_alone(backup: CheckedBackup, settings: Settings, *, replace: bool) -> None:
    store = MediaStore.open(
        settings.storage_url, folder=settings.data_dir / "files", endpoint=settings.s3_endpoint
    )
    await _prepare_tables(backup, settings.resolved_database_url)
    async with open_rows(settings.resolved_database_url, writing=True) as rows:
        await require_alone(rows, settings.resolved_database_url)
        if not replace:
            await check_files(backup, store)
        await require_room(backup, rows, replace=replace)
        written = await restore_files(backup, store)
        if not settings.secret_key:
            restore_roots(backup, settings.data_dir, replace=replace)
        inserted = await restore_rows(backup, rows, replace=replace)
    database = Database(settings.resolved_database_url)
    try:
        await revision.upgrade_if_needed(database)
    except (revision.MigrationFailed, revision.StoreRefused) as error:
        raise SettingsInvalid(str(error)[:500]) from error
    finally:
        await database.close()
    rows_word = "restored now" if inserted else "there already"
    out.print(
        f"Rows: {backup.rows} {rows_word}. Files: {len(backup.sizes)}, of which {written} were written now."
    )
    if len(backup.roots) > (1 if settings.secret_key else 2):
        err.print("Its gateway had old root keys too: set FILMGATE_OLD_SECRET_KEYS as it was there.")


async def _prepare_tables(backup: CheckedBackup, url: str) -> None:
    """The tables of the backup's revision, where there are none. Raises ``SettingsInvalid`` or ``InvalidRequest``."""
    database = Database(url)
    try:
        found = await revision.current_revision(database)
        if found is None:
            await revision.run_migration(database, "up", backup.revision)
        elif found != backup.revision:
            raise InvalidRequest(
                f"The database has the tables of revision {found}, the backup those of {backup.revision}: give it an empty "
                "database."
            )
    except revision.MigrationFailed as error:
        raise SettingsInvalid(f"FILMGATE_DATABASE_URL: {str(error)[:300]}") from error
    finally:
        await database.close()


async def require_alone(rows: RowStore, url: str) -> None:
    """Raises ``ServiceUnavailable`` while others are connected to the database."""
    looks = 0
    while others := await rows.others():
        if (looks := looks + 1) == LOOKS:
            raise ServiceUnavailable(
                f"Others are connected to {mask_address(url)} ({others}): stop every serve and worker process of that store, "
                "and what else uses its database, then run this again."
            )
        await asyncio.sleep(CLOSING_SECONDS)


async def require_room(backup: CheckedBackup, rows: RowStore, *, replace: bool) -> None:
    """Look before the first file is written. Raises ``InvalidRequest`` for a database with other rows."""
    filled = [] if replace else await rows.filled_tables()
    if filled and await rows.digests(backup.columns) != backup.tables:
        raise InvalidRequest(NOT_EMPTY.format(", ".join(filled[:3])))
