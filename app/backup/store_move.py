"""`filmgate move`: all rows, and on request all files, from this gateway's store into another one, verified.

Crash points. Files are copied first; each is compared by its hash, and one that is there is not copied again. The rows are
one transaction of the target, compared before its commit, and only after that commit the old store gets the mark that keeps
a gateway from starting on it. So a move that was killed is repeated with the same command: before the commit the target is
empty, after it the rows are found to be equal and only the mark is written. Nothing is ever deleted from the old store.
"""

from contextlib import aclosing
from dataclasses import dataclass

from app.backup.row_stores import RowStore
from app.backup.whole_restore import file_hash
from app.db.marks import FOREVER, MOVED_PREFIX
from app.errors import InvalidRequest
from app.media.store import MediaStore, StoreEntry

TRIES = 3


@dataclass(frozen=True, slots=True)
class MovedRows:
    """``copied``: whether they were not there before; ``sums``: the digest of each table, equal in both stores."""

    copied: bool
    rows: int
    tables: int


async def move_files(source: MediaStore, target: MediaStore) -> tuple[int, int]:
    """How many files there are, and how many were copied. Raises ``InvalidRequest`` for one that does not arrive whole."""
    files = copied = 0
    async for entry in source.list_files():
        if entry.key.startswith("probe/"):
            continue
        files += 1
        copied += await _copy_file(source, target, entry)
    return files, copied


async def _copy_file(source: MediaStore, target: MediaStore, entry: StoreEntry) -> bool:
    wanted = await file_hash(source, entry.key, size=entry.size)
    for attempt in range(TRIES):
        if wanted == await file_hash(target, entry.key, size=entry.size):
            return attempt > 0
        async with aclosing(source.stream(entry.key)) as pieces:
            await target.put(entry.key, pieces)
    raise InvalidRequest(f"{entry.key} does not arrive whole in the new file store.")


async def move_rows(source: RowStore, target: RowStore) -> MovedRows:
    """Copy and compare all rows; the target's transaction is committed.

    Raises ``InvalidRequest`` when the target has other rows, or can't hold one of these.
    """
    columns = await source.read_columns()
    theirs = await target.read_columns()
    if {table: set(names) for table, names in columns.items()} != {
        table: set(names) for table, names in theirs.items()
    }:
        raise InvalidRequest("The two databases have different tables: give --to an empty database.")
    wanted = await source.digests(columns)
    moved = MovedRows(True, sum(int(text.partition("-")[0]) for text in wanted.values()), len(wanted))
    filled = await target.filled_tables()
    if filled:
        if await target.digests(columns) == wanted:
            return MovedRows(False, moved.rows, moved.tables)
        raise InvalidRequest(
            f"The database of --to is not empty: it has other rows in {', '.join(filled[:3])}. Give it an empty one."
        )
    for table, names in columns.items():
        async for rows in source.read_rows(table, names):
            await target.insert_rows(table, names, rows)
    found = await target.digests(columns)
    wrong = [table for table in columns if found[table] != wanted[table]]
    if wrong:
        raise InvalidRequest(f"The rows of {wrong[0]} did not arrive as they were. Nothing was kept there.")
    await target.commit()
    return moved


async def mark_moved(source: RowStore, where: str) -> None:
    """Keep gateways from starting on the old store."""
    await source.insert_rows("marks", ("name", "until"), [[f"{MOVED_PREFIX}{where}"[:300], FOREVER]])
    await source.commit()
