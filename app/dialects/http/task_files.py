"""The stored files of a finished task: whether they are kept, links to them, a video as the input of another task."""

import time

from app.errors import InvalidRequest
from app.generation import MediaInput
from app.media.links import LinkSigner, pick_link
from app.tasks.task import StoredFile, Task


def files_are_kept(task: Task) -> bool:
    """Whether the files of a finished task exist and have not expired."""
    return task.result is not None and not task.purged and (task.expires_at or 0) > time.time()


def own_video_input(source: Task, *, param: str) -> MediaInput:
    """A task's video as the input of another task. Raises ``InvalidRequest`` if there is none, or if the task is private:
    private videos may not be remixed."""
    if source.request.private:
        raise InvalidRequest("The source video is private, so nothing can be made from it.", param=param)
    if source.kind != "video":
        raise InvalidRequest("The source is no video.", param=param)
    if source.result is None or not files_are_kept(source):
        raise InvalidRequest("The source video must be completed and not expired.", param=param)
    file = source.result.files[0]
    return MediaInput(role="source_video", content_type=file.content_type, key=file.key, sha256=source.id)


def file_link(task: Task, file: StoredFile, *, base: str, signer: LinkSigner) -> str:
    """The link from a delivery step, else our signed link, which needs no key while the signature is valid and the file is
    kept. Links of a private task are not signed and need the key."""
    path, now = f"/files/{task.id}/{file.name}", time.time()
    if task.request.private:
        return f"{base}{path}"
    delivered = pick_link(task.result.delivered, file.name, now=now) if task.result else None
    return delivered or f"{base}{signer.sign(path, now=now)}"
