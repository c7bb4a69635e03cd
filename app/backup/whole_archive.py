"""`filmgate backup --everything`: rows of one moment, the files they name and the sealed root key, as one tar file.

Its members: ``heading.json``, ``rows/<table>/<number>.jsonl.gz``, ``files/<key>``, and at the end ``manifest.json`` with the
SHA-256 of each and a signature that only the passphrase can make. All is streamed: neither rows nor films are held in
memory. The gateway may run: rows are of one moment, and a file that is deleted after it is left out and counted.
"""

import base64
import gzip
import hashlib
import json
import tarfile
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from typing import Any, BinaryIO

from app import __version__
from app.backup.row_stores import BATCH_ROWS, RowStore, TableDigest, row_text
from app.backup.sealing import SecretBox, new_box
from app.errors import InvalidRequest, NotFound
from app.media.store import TASK_ID, MediaStore, StoreEntry
from app.vault import Vault

FORMAT = "filmgate-everything"
VERSION = 1
HEADING, MANIFEST = "heading.json", "manifest.json"
ROWS, FILES = "rows/", "files/"
SIGNATURE = "whole-backup"
ROOT_PLACE = "root-keys"
TASK_FOLDERS = ("tasks", "inputs")
EXPECTED = {"made_at", "revision", "columns", "secrets", "roots"}
BLOCK = tarfile.BLOCKSIZE
MEMBER_ROWS = 20 * BATCH_ROWS
"""Rows in one member."""


@dataclass
class WholeBackup:
    """What has been written so far; ``tables``: the digest of each table's rows."""

    tables: dict[str, str] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    rows: int = 0
    files: int = 0
    bytes: int = 0
    gone: int = 0
    """Files that were deleted while the backup ran."""


class ArchiveWriter:
    """Writes members of a tar file whose content comes in pieces, and keeps their hashes."""

    def __init__(self, target: BinaryIO, done: WholeBackup) -> None:
        self._target = target
        self.done = done

    def add(self, name: str, content: bytes) -> None:
        self._begin(name, len(content))
        self._target.write(content)
        self._end(name, len(content), hashlib.sha256(content).hexdigest())

    async def add_stream(self, name: str, size: int, pieces: AsyncIterator[bytes]) -> None:
        """Raises ``NotFound`` for a file that is gone before its first byte, and ``InvalidRequest`` for one that changes."""
        found, written, is_begun = hashlib.sha256(), 0, False
        async for piece in pieces:
            if not is_begun:
                self._begin(name, size)
                is_begun = True
            self._target.write(piece)
            found.update(piece)
            written += len(piece)
        if not is_begun:
            self._begin(name, size)
        if written != size:
            raise InvalidRequest(f"{name} changed while it was read. Make the backup again.")
        self._end(name, size, found.hexdigest())

    def finish(self) -> None:
        self._target.write(b"\0" * (2 * BLOCK))

    def _begin(self, name: str, size: int) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = size, 0o600
        self._target.write(member.tobuf(tarfile.PAX_FORMAT))

    def _end(self, name: str, size: int, digest: str) -> None:
        self._target.write(b"\0" * (-size % BLOCK))
        self.done.hashes[name] = digest


async def write_everything(
    rows: RowStore, store: MediaStore, target: BinaryIO, *, vault: Vault, passphrase: str, revision: str
) -> WholeBackup:
    """Write the whole store to ``target``. ``rows``: a transaction that has just begun to read.

    Raises ``InvalidRequest`` for a passphrase that is too short, ``ServiceUnavailable`` when a store does not answer.
    """
    if not passphrase:
        raise InvalidRequest(
            "--everything holds the root key: name the variable with the passphrase that seals it (--passphrase-env)."
        )
    box, done = await new_box(vault, passphrase), WholeBackup()
    archive, columns = ArchiveWriter(target, done), await rows.read_columns()
    heading = {
        "format": FORMAT,
        "version": VERSION,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "made_by": __version__,
        "revision": revision,
        "columns": columns,
        "secrets": box.secrets_heading(),
        "roots": box.seal(
            json.dumps([base64.b64encode(root).decode() for root in vault.roots]), place=ROOT_PLACE
        ),
    }
    archive.add(HEADING, json.dumps(heading).encode())
    tasks: set[str] = set()
    for table, names in columns.items():
        done.tables[table] = (await _add_table(archive, rows, table, names=names, tasks=tasks)).text
    done.rows = sum(int(text.partition("-")[0]) for text in done.tables.values())
    await rows.close()  # no vacuum and no checkpoint waits for films
    async for entry in store.list_files():
        if _belongs(entry.key, tasks):
            await _add_file(archive, store, entry)
    archive.add(MANIFEST, manifest_text(done, box).encode())
    archive.finish()
    return done


async def _add_table(
    archive: ArchiveWriter, rows: RowStore, table: str, *, names: tuple[str, ...], tasks: set[str]
) -> TableDigest:
    """``tasks`` is filled with the ids of tasks."""
    place = names.index("id") if table == "tasks" else None
    digest, number, waiting = TableDigest(), 0, list[str]()
    async for batch in rows.read_rows(table, names):
        digest.add(batch)
        waiting += map(row_text, batch)
        if place is not None:
            tasks.update(str(row[place]) for row in batch)
        if len(waiting) >= MEMBER_ROWS:
            archive.add(_member_name(table, number), _packed(waiting))
            number, waiting = number + 1, []
    if waiting:
        archive.add(_member_name(table, number), _packed(waiting))
    return digest


async def _add_file(archive: ArchiveWriter, store: MediaStore, entry: StoreEntry) -> None:
    async with aclosing(store.stream(entry.key)) as pieces:
        try:
            await archive.add_stream(FILES + entry.key, entry.size, pieces)
        except NotFound:
            archive.done.gone += 1
            return
    archive.done.files += 1
    archive.done.bytes += entry.size


def manifest_text(done: WholeBackup, box: SecretBox) -> str:
    content = json.dumps({"tables": done.tables, "members": done.hashes, "gone": done.gone})
    return json.dumps({"content": content, "signature": box.vault.keyed_hash(SIGNATURE, content)})


def _member_name(table: str, number: int) -> str:
    return f"{ROWS}{table}/{number:06d}.jsonl.gz"


def _packed(lines: list[str]) -> bytes:
    packed = BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=6, mtime=0) as file:
        file.write("\n".join(lines).encode())
    return packed.getvalue()


def _belongs(key: str, tasks: set[str]) -> bool:
    """Whether a file is of a task that is in the backup, or of no task."""
    folder, _, rest = key.partition("/")
    if folder == "probe":
        return False
    task_id = rest.partition("/")[0]
    return folder not in TASK_FOLDERS or not TASK_ID.fullmatch(task_id) or task_id in tasks


def heading_of(content: bytes) -> dict[str, Any]:
    """Raises ``InvalidRequest`` for what is no backup, or one of another version."""
    try:
        heading = json.loads(content)
    except ValueError as error:
        raise InvalidRequest("The backup is damaged: its heading can't be read.") from error
    if not isinstance(heading, dict) or heading.get("format") != FORMAT or not heading.keys() >= EXPECTED:
        raise InvalidRequest(f'This is no backup of everything: its "format" must be {FORMAT}.')
    if heading.get("version") != VERSION:
        raise InvalidRequest(
            f"This backup was made by Filmgate {heading.get('made_by')!a:.40}, and {__version__} can't read it. "
            "Restore it with that version or a newer one."
        )
    return heading
