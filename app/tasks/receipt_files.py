"""Receipts that hold the bought picture itself: their bytes lie in the media store, and the rows name the file.

Crash points. The file is written, and synced, before the row. A process that dies in between leaves a paid picture whose
row says ``submitting``: ``find_receipt`` finds the file at its fixed place before anybody asks the vendor, so nothing is
lost. When the store can't take the file, the row takes the bytes: a receipt is never dropped. The file goes with the other
files of the task when these expire, and so do bytes that are still in rows.
"""

import json

import sqlalchemy as sa
import structlog

from app.db.connection import AsyncConnection
from app.db.tables import receipts, tasks
from app.errors import NotFound, ServiceUnavailable
from app.media.store import MediaStore, task_folders
from app.providers.base import Operation

log = structlog.get_logger()
ROW_BYTES = 32 * 1024
"""A larger receipt is stored as a file."""
FILE_FIELD = "filmgate_file"
"""In ``Operation.data``: the key of the file that holds the whole operation."""
EMPTIED = json.dumps({"id": "emptied"})


async def set_aside(store: MediaStore, task_id: str, operation: Operation, *, attempt: int = 1) -> Operation:
    """What the rows hold of an operation: itself, or for a large one its id and the key of its file."""
    document = operation.model_dump_json().encode()
    if len(document) <= ROW_BYTES:
        return operation
    try:
        await store.put(_key_of(task_id, attempt), document, content_type="application/json")
    except ServiceUnavailable as error:
        log.warning("receipt.kept_in_row", task=task_id, bytes=len(document), error=error.message)
        return operation
    return Operation(id=operation.id, data={FILE_FIELD: _key_of(task_id, attempt)})


async def read_aside(store: MediaStore, operation: Operation) -> Operation:
    """The whole operation that a row names. Raises ``NotFound`` and ``ServiceUnavailable``."""
    key = operation.data.get(FILE_FIELD)
    return operation if key is None else Operation.model_validate_json(await store.get(key))


async def find_receipt(store: MediaStore, task_id: str, *, attempt: int = 1) -> Operation | None:
    """An operation whose file was written, and whose row perhaps was not. Raises ``ServiceUnavailable``."""
    try:
        return Operation.model_validate_json(await store.get(_key_of(task_id, attempt)))
    except NotFound:
        return None


async def empty_receipts(connection: AsyncConnection, task_id: str) -> None:
    """Take bytes of results out of a task's rows, once its files are deleted."""
    large = sa.func.length(tasks.c.operation) > ROW_BYTES
    await connection.execute(sa.update(tasks).where(tasks.c.id == task_id, large).values(operation=None))
    large = sa.func.length(receipts.c.operation) > ROW_BYTES
    await connection.execute(
        sa.update(receipts).where(receipts.c.task_id == task_id, large).values(operation=EMPTIED)
    )


def _key_of(task_id: str, attempt: int) -> str:
    number = f"-{attempt}" if attempt > 1 else ""
    return f"{task_folders(task_id)[0]}/receipt{number}.json"
