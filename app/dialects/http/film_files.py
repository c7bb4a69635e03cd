"""Answers with the files of a task: what a vendor made, its pictures, and the forms that every player plays."""

from fastapi import Request, Response

from app.dialects.http.gateway import Gateway
from app.errors import NotFound, ResourceExpired
from app.media.inspection import PLAYLIST, SEGMENTS, STORYBOARD
from app.media.serve import file_response
from app.media.storyboard import playlist_text, storyboard_text
from app.tasks.task import DerivedFile, StoredFile, Task, files_are_kept


async def serve_file(
    request: Request, services: Gateway, task: Task, *, file: StoredFile | DerivedFile
) -> Response:
    """The bytes of a task's file; what is made of it is made now if it is the first time. Raises ``ResourceExpired`` after
    the task's expiry, ``NotFound`` with the reason when it can't be made."""
    if not files_are_kept(task):
        raise ResourceExpired("This video has expired and its files were removed.")
    if file.name in (PLAYLIST, STORYBOARD):
        return Response(await _text(request, services, task, name=file.name), media_type=file.content_type)
    if isinstance(file, DerivedFile):
        stored = await services.derived_files.find(task, file)
    else:
        stored = await services.store.head(file.key)
    return file_response(
        services.store,
        stored,
        request_headers=request.headers,
        method=request.method,
        content_type=file.content_type,
        file_name=f"{task.id}-{file.name}",
    )


def receipt_file(task: Task, content: bytes) -> Response:
    """A signed receipt, to be saved."""
    name = f'attachment; filename="{task.id}.receipt.json"'
    return Response(content, media_type="application/json", headers={"content-disposition": name})


async def _text(request: Request, services: Gateway, task: Task, *, name: str) -> str:
    """A playlist or storyboard. The files that it names are links which need no key, as players send none."""
    assert task.result is not None
    if name == STORYBOARD:
        film, sheet = task.result.files[0], task.result.spritesheet
        if sheet is None or not film.seconds or not film.width or not film.height:
            raise NotFound("This video has no pictures.")
        link = services.file_link(request, task, sheet)
        return storyboard_text(seconds=film.seconds, width=film.width, height=film.height, sheet_link=link)
    playlist, segments = (task.result.find_file(each) for each in (PLAYLIST, SEGMENTS))
    assert isinstance(playlist, DerivedFile)
    assert isinstance(segments, DerivedFile)
    stored = await services.derived_files.find(task, playlist)
    text = (await services.store.get(stored.key)).decode()
    return playlist_text(text, name=SEGMENTS, link=services.file_link(request, task, segments))
