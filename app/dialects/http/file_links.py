"""Where a task's files can be had."""

import time

from app.media.links import LinkSigner, pick_link
from app.tasks.task import StoredFile, Task


def file_link(task: Task, file: StoredFile, *, base: str, signer: LinkSigner) -> str:
    """The link that delivery gave, else ours: it needs no key, for as long as the file is kept and the
    signature lasts; of a private task, the key."""
    path, now = f"/files/{task.id}/{file.name}", time.time()
    if task.request.private:
        return f"{base}{path}"
    delivered = pick_link(task.result.delivered, file.name, now=now) if task.result else None
    return delivered or f"{base}{signer.sign(path, now=now)}"
