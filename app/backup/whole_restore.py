"""`filmgate restore` of a whole backup: first every byte is checked, then files, root key and rows are put into an empty place.

Crash points. Files come first: those that are there already are compared and not written again, and without their rows
nothing points to them. The root key comes next, and the rows last, in one transaction: before its commit the database is
still empty. So the same command continues after a kill wherever it came, and after the commit it finds that all is there.
"""

import asyncio
import base64
import gzip
import hashlib
import json
import tarfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app import root_file
from app.backup.row_stores import Row, RowStore
from app.backup.sealing import SecretBox, box_of
from app.backup.whole_archive import (
    FILES,
    HEADING,
    MANIFEST,
    ROOT_PLACE,
    ROWS,
    SIGNATURE,
    heading_of,
)
from app.errors import FilmgateError, InvalidRequest
from app.media.store import MediaStore, StoreEntry, checked_key
from app.vault import Vault

PIECE_BYTES = 1 << 20
TAR_MAGIC = b"ustar"
MAGIC_AT = 257
CUT_SHORT = "{} is no whole backup: it ends before its list of contents, so it was cut short or damaged. Copy it again."
CHANGED = "{}: {} is not what was saved, so the file was changed or damaged. Copy it again."

NOT_EMPTY = (
    "The database is not empty: there are rows in {}. Give it an empty one (FILMGATE_DATABASE_URL or FILMGATE_DATA_DIR), or "
    "add --replace to delete what is there."
)


@dataclass(frozen=True, slots=True)
class CheckedBackup:
    """A backup of which every byte was compared with its signed list of contents. ``roots``: the current key first."""

    path: Path
    revision: str
    made_at: str
    columns: dict[str, tuple[str, ...]]
    tables: dict[str, str]
    sizes: dict[str, int]
    """Of the files, by key."""
    roots: tuple[bytes, ...]
    gone: int

    @property
    def rows(self) -> int:
        return sum(int(text.partition("-")[0]) for text in self.tables.values())


def is_whole_backup(path: Path) -> bool:
    """Whether the file begins as one does, intact or not."""
    try:
        with path.open("rb") as file:
            return file.read(MAGIC_AT + len(TAR_MAGIC))[MAGIC_AT:] == TAR_MAGIC
    except OSError:
        return False


async def check_everything(path: Path, *, passphrase: str) -> CheckedBackup:
    """Read all of it. Raises ``InvalidRequest`` with one sentence for a wrong passphrase and for any damage."""
    heading = heading_of(_read_heading(path))
    box = await box_of(heading["secrets"], Vault(b""), passphrase)
    found = await asyncio.to_thread(_read_members, path)
    if not found.manifest:
        raise InvalidRequest(CUT_SHORT.format(path.name))
    content = _signed_content(path, found.manifest, box)
    _compare(path, found=found.hashes, listed=content["members"])
    roots = json.loads(box.open(heading["roots"], place=ROOT_PLACE))
    return CheckedBackup(
        path=path,
        revision=heading["revision"],
        made_at=heading["made_at"],
        columns={table: tuple(names) for table, names in heading["columns"].items()},
        tables=content["tables"],
        sizes=found.sizes,
        roots=tuple(base64.b64decode(root) for root in roots),
        gone=content["gone"],
    )


@dataclass
class FoundMembers:
    """What an archive holds; ``sizes`` of the files, by key."""

    hashes: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    manifest: bytes = b""


def _read_heading(path: Path) -> bytes:
    with _open_archive(path) as archive:
        first = archive.next()
        if first is None or first.name != HEADING:
            raise InvalidRequest(f"{path.name} is no backup of Filmgate: it begins with another file.")
        return _whole(archive, first)


def _read_members(path: Path) -> FoundMembers:
    found = FoundMembers()
    with _open_archive(path) as archive:
        for member in archive:
            if found.manifest or member.name in found.hashes:
                raise InvalidRequest(CHANGED.format(path.name, member.name[:100]))
            if member.name == MANIFEST:
                found.manifest = _whole(archive, member)
                continue
            found.hashes[member.name] = _hash_of(archive, member)
            if member.name.startswith(FILES):
                found.sizes[checked_key(member.name.removeprefix(FILES))] = member.size
    return found


def _signed_content(path: Path, manifest: bytes, box: SecretBox) -> dict[str, Any]:
    try:
        document = json.loads(manifest)
        text, signature = str(document["content"]), str(document["signature"])
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidRequest(CHANGED.format(path.name, MANIFEST)) from error
    if signature not in box.vault.keyed_hashes(SIGNATURE, text):
        raise InvalidRequest(CHANGED.format(path.name, MANIFEST))
    content: dict[str, Any] = json.loads(text)
    return content


def _compare(path: Path, *, found: dict[str, str], listed: dict[str, str]) -> None:
    for name, digest in listed.items():
        if found.get(name) != digest:
            raise InvalidRequest(CHANGED.format(path.name, name[:200]))
    if len(found) > len(listed):
        raise InvalidRequest(CHANGED.format(path.name, next(iter(found.keys() - listed.keys()))[:200]))


async def check_files(backup: CheckedBackup, store: MediaStore) -> None:
    """Raises ``InvalidRequest`` when the store holds files that are not of this backup."""
    async for entry in store.list_files():
        if backup.sizes.get(entry.key) != entry.size:
            raise InvalidRequest(
                f"The file store is not empty: it holds {entry.key}, which is not in this backup. Give it an empty one "
                "(FILMGATE_DATA_DIR or FILMGATE_STORAGE_URL), or add --replace."
            )


async def restore_files(backup: CheckedBackup, store: MediaStore) -> int:
    """Put the files; how many were written. Those that are there already, to the last byte, are not."""
    written = 0
    with _open_archive(backup.path) as archive:
        for member in archive:
            if member.name.startswith(FILES):
                written += await _restore_file(archive, member, store)
    return written


async def _restore_file(archive: tarfile.TarFile, member: tarfile.TarInfo, store: MediaStore) -> bool:
    key = member.name.removeprefix(FILES)
    known = await file_hash(store, key, size=member.size)
    if known is not None and known == _hash_of(archive, member):
        return False

    async def read_pieces() -> AsyncIterator[bytes]:
        for piece in _pieces(archive, member):
            yield piece

    await store.put(key, read_pieces())
    return True


async def file_hash(store: MediaStore, key: str, *, size: int) -> str | None:
    """The SHA-256 of a stored file; None where there is none of this size."""
    try:
        entry: StoreEntry = await store.head(key)
    except FilmgateError:
        return None
    if entry.size != size:
        return None
    found = hashlib.sha256()
    async for piece in store.stream(key):
        found.update(piece)
    return found.hexdigest()


def restore_roots(backup: CheckedBackup, folder: Path, *, replace: bool) -> None:
    """Write the root key of the backup. Raises ``InvalidRequest`` when there is another one."""
    root_file.install(folder, list(backup.roots[:2]), replace=replace)


async def restore_rows(backup: CheckedBackup, rows: RowStore, *, replace: bool) -> bool:
    """Insert and verify the rows; False when all were there already. The caller's transaction is committed.

    Raises ``InvalidRequest`` when there are others.
    """
    columns = await rows.read_columns()
    missing = [
        f"{table}.{name}"
        for table, names in backup.columns.items()
        for name in names
        if name not in columns.get(table, ())
    ]
    if missing:
        raise InvalidRequest(f"The database has no {', '.join(missing[:3])}: give it an empty database.")
    filled = await rows.filled_tables()
    if filled:
        if await rows.digests(backup.columns) == backup.tables:
            return False
        if not replace:
            raise InvalidRequest(NOT_EMPTY.format(", ".join(filled[:3])))
        for table in filled:
            await rows.delete_rows(table)
    with _open_archive(backup.path) as archive:
        for member in archive:
            if member.name.startswith(ROWS):
                table = member.name.removeprefix(ROWS).partition("/")[0]
                await rows.insert_rows(table, backup.columns[table], _rows_of(_whole(archive, member)))
    wrong = [
        table for table, text in (await rows.digests(backup.columns)).items() if text != backup.tables[table]
    ]
    if wrong:
        raise InvalidRequest(f"{wrong[0]} is not what was saved. Nothing was kept; restore it again.")
    await rows.commit()
    return True


def _rows_of(content: bytes) -> list[Row]:
    return [json.loads(line) for line in gzip.decompress(content).decode().split("\n")]


@contextmanager
def _open_archive(path: Path) -> Iterator[tarfile.TarFile]:
    """Raises ``InvalidRequest`` for a file that is cut short or damaged, also while it is read."""
    try:
        with tarfile.open(path, mode="r:") as archive:
            yield archive
    except (tarfile.TarError, EOFError, gzip.BadGzipFile) as error:
        raise InvalidRequest(CUT_SHORT.format(path.name)) from error
    except OSError as error:
        raise InvalidRequest(f"{path} can't be read: {error.strerror}") from error


def _whole(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    return b"".join(_pieces(archive, member))


def _hash_of(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    found = hashlib.sha256()
    for piece in _pieces(archive, member):
        found.update(piece)
    return found.hexdigest()


def _pieces(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[bytes]:
    file = archive.extractfile(member)
    if file is None:  # a folder or a link: we write none
        raise tarfile.ReadError(member.name)
    while piece := file.read(PIECE_BYTES):
        yield piece
