"""`/admin/api/tasks.zip`: the films of several tasks as one archive, which is sent while it is written."""

import zipfile
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import PurePath
from typing import NamedTuple

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from app.admin.access import AdminRequest, AdminRoute
from app.admin.lists import download_headers
from app.admin.rights import Right
from app.admin.tasks import TaskIds, find_task, read_ids
from app.errors import NotFound
from app.media.store import MediaStore
from app.tasks.task import Task, files_are_kept

router = APIRouter(route_class=AdminRoute, prefix="/tasks")


class ArchiveMember(NamedTuple):
    """A file of a result: its name in the archive, when it was made (UTC seconds), and where it is kept."""

    name: str
    made_at: float
    key: str
    size: int


class PassingBytes:
    """What ``zipfile`` writes to: it can't go back, and holds only what was not taken yet."""

    def __init__(self) -> None:
        self._written = bytearray()

    def write(self, content: bytes) -> int:
        self._written += content
        return len(content)

    def flush(self) -> None:
        """Nothing is kept back."""

    def take(self) -> bytes:
        taken = bytes(self._written)
        self._written.clear()
        return taken


@router.get(".zip", summary="Download the films of several tasks", response_class=StreamingResponse)
async def download_films(request: AdminRequest, *, ids: TaskIds = None) -> Response:
    """Tasks without files are left out. Raises ``NotFound`` when none has any."""
    tasks = [await find_task(request, task_id) for task_id in read_ids(ids or "")]
    seen = [task for task in tasks if request.actor.may(Right.CONTENT) or not task.request.private]
    store = request.panel.gateway.store
    members = [member for task in seen for member in await _members_of(store, task)]
    if not members:
        raise NotFound("None of these tasks has a file that is still kept.")
    headers = download_headers("films.zip")
    return StreamingResponse(archive_pieces(store, members), media_type="application/zip", headers=headers)


async def _members_of(store: MediaStore, task: Task) -> list[ArchiveMember]:
    """Named by time, model and id, so that they are sorted as they were made."""
    if task.result is None or task.deleted or not files_are_kept(task):
        return []
    made = datetime.fromtimestamp(task.created_at, UTC).strftime("%Y%m%d-%H%M%S")
    model = "".join(sign if sign.isalnum() or sign in "-." else "-" for sign in task.model)[:60]
    members: list[ArchiveMember] = []
    for number, file in enumerate(task.result.files):
        more = f"-{number + 1}" if len(task.result.files) > 1 else ""
        name = f"{made}_{model}_{task.id[-8:]}{more}{PurePath(file.name).suffix}"
        try:
            stored = await store.head(file.key)
        except NotFound:  # removed at this moment
            continue
        members.append(ArchiveMember(name, task.created_at, file.key, stored.size))
    return members


async def archive_pieces(store: MediaStore, members: list[ArchiveMember]) -> AsyncIterator[bytes]:
    """Films are compressed already, so they are stored as they are."""
    target = PassingBytes()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]
        for member in members:
            async for _ in _write_member(archive, store, member):
                yield target.take()
    yield target.take()


async def _write_member(
    archive: zipfile.ZipFile, store: MediaStore, member: ArchiveMember
) -> AsyncIterator[None]:
    """Yields after each piece."""
    entry = zipfile.ZipInfo(member.name, datetime.fromtimestamp(member.made_at, UTC).timetuple()[:6])
    entry.file_size = member.size
    async with aclosing(store.stream(member.key)) as pieces:
        with archive.open(entry, "w") as file:
            async for piece in pieces:
                file.write(piece)
                yield
