"""Files that must survive a power cut: written bytes and new names are on the disk only after a sync of both."""

import os
from pathlib import Path


def sync_path(path: Path) -> None:
    """Sync a file, or the names in a folder. Raises ``OSError``."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_with_folders(path: Path, *, root: Path) -> None:
    """Sync a file and each folder from its own up to ``root``: any of them may be new."""
    sync_path(path)
    for folder in path.parents:
        sync_path(folder)
        if folder == root:
            return
