"""What deleting a task means for its files: really gone, what came in and what was made."""

import re

from app.media.store import MediaStore

TASK_ID = re.compile(r"[0-9a-f]{32}")


def task_folders(task_id: str) -> tuple[str, str]:
    """Where the results and the inputs of a task lie. Raises ``ValueError`` for what is no task id."""
    if not TASK_ID.fullmatch(task_id):
        raise ValueError(f"not a task id: {task_id!r}")
    return f"tasks/{task_id}", f"inputs/{task_id}"


async def delete_task_files(store: MediaStore, task_id: str) -> None:
    """Delete all files of one task; may be repeated. Raises ``Unavailable``."""
    for folder in task_folders(task_id):
        await store.delete(folder)
