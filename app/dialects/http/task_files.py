"""What our store keeps of a finished task: as bytes for clients, and as the input of another task."""

import time

from fastapi import Request
from fastapi.responses import Response

from app.dialects.http.gateway import Gateway
from app.errors import InvalidRequest, ResourceExpired
from app.generation import MediaInput
from app.media.serve import file_response
from app.tasks.task import StoredFile, Task


def files_are_kept(task: Task) -> bool:
    """Whether the files of a finished task are still promised to be there."""
    return task.result is not None and not task.purged and (task.expires_at or 0) > time.time()


def own_video_input(source: Task, *, param: str) -> MediaInput:
    """A task's video as what another is made from. Raises ``InvalidRequest`` when there is none, or when it
    was asked for as private: then it may not be remixed."""
    if source.request.private:
        raise InvalidRequest("The source video is private, so nothing can be made from it.", param=param)
    if source.kind != "video":
        raise InvalidRequest("The source is no video.", param=param)
    if source.result is None or not files_are_kept(source):
        raise InvalidRequest("The source video must be completed and not expired.", param=param)
    file = source.result.files[0]
    return MediaInput(role="source_video", content_type=file.content_type, key=file.key, sha256=source.id)


async def serve_file(request: Request, services: Gateway, task: Task, *, file: StoredFile) -> Response:
    """Raises ``Expired`` when the file was kept as long as was promised."""
    if not files_are_kept(task):
        raise ResourceExpired("This video has expired and its files were removed.")
    stored = await services.store.head(file.key)
    return file_response(
        services.store,
        stored,
        request_headers=request.headers,
        method=request.method,
        content_type=file.content_type,
        file_name=f"{task.id}-{file.name}",
    )
