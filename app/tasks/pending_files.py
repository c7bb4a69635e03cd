"""Files that are stored before the row that names them: the inputs of a task, the clip of a character.

Crash points. A mark is committed before the first byte is stored. The transaction that inserts the row takes the mark
away, so whoever dies before that leaves a mark, and the sweep deletes its files once ``ROW_SECONDS`` have passed. A row
that comes later than that is refused, so no row names files that the sweep deletes. Files go before their mark: a sweep
that dies in between is repeated.
"""

import sqlalchemy as sa

from app import clock
from app.db.connection import AsyncConnection
from app.db.marks import FILES_PREFIX
from app.db.operator_tables import marks
from app.db.session import Database, dialect_insert
from app.errors import ServiceUnavailable
from app.generation import GenerationRequest, MediaInput
from app.media.store import MediaStore

ROW_SECONDS = 300.0
"""The row must follow its files within this time."""
MARGIN_SECONDS = 60.0
"""By so much the clocks of two machines may differ."""


ENDINGS = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "image/gif": "gif",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "video/quicktime": "mov",
}


async def keep_inputs(
    database: Database, store: MediaStore, request: GenerationRequest, *, task_id: str
) -> tuple[GenerationRequest, str | None]:
    """Store the bytes that a request came with. Returns the request with their keys, and the folder to confirm with
    the task's row (None: there were none)."""
    if all(item.content is None for item in request.media):
        return request, None
    kept: list[MediaInput] = []
    folder = f"inputs/{task_id}"
    await announce_files(database, folder)
    for number, item in enumerate(request.media):
        if item.content is not None:
            key = f"{folder}/{number}.{ENDINGS.get(item.content_type, 'bin')}"
            await store.put(key, item.content)
            item = item.model_copy(update={"key": key, "content": None})
        kept.append(item)
    return request.model_copy(update={"media": tuple(kept)}), folder


async def announce_files(database: Database, folder: str) -> None:
    """Call before the first file is put into ``folder`` of the store. Raises ``ServiceUnavailable`` while what an
    earlier attempt has left there is about to be deleted."""
    now = clock.now()
    async with database.write() as connection:
        new = dialect_insert(connection, marks).values(name=FILES_PREFIX + folder, until=now + ROW_SECONDS)
        announced = new.on_conflict_do_update(
            index_elements=[marks.c.name], set_={"until": new.excluded.until}, where=marks.c.until > now
        )
        if (await connection.execute(announced.returning(marks.c.name))).first() is None:
            raise ServiceUnavailable("Files of an earlier attempt are being deleted.", retry_after=60)


async def confirm_files(connection: AsyncConnection, folder: str) -> None:
    """Call in the transaction that inserts the row. Raises ``ServiceUnavailable`` when it comes too late."""
    mine = marks.c.name == FILES_PREFIX + folder, marks.c.until > clock.now()
    taken = await connection.execute(sa.delete(marks).where(*mine).returning(marks.c.name))
    if taken.first() is None:
        raise ServiceUnavailable("Storing its files took too long. Please send it again.")


async def sweep_files(database: Database, store: MediaStore, *, now: float) -> int:
    """Delete files whose row never came; how many folders. ``now``: a time that is sure."""
    old = marks.c.name.startswith(FILES_PREFIX, autoescape=True), marks.c.until < now - MARGIN_SECONDS
    async with database.read_few() as connection:
        names = list((await connection.execute(sa.select(marks.c.name).where(*old).limit(100))).scalars())
    for name in names:
        await store.delete(name.removeprefix(FILES_PREFIX))
        async with database.write() as connection:
            await connection.execute(sa.delete(marks).where(marks.c.name == name, *old))
    return len(names)
