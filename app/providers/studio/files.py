"""The input files of a rendering job and the removal of old jobs."""

import contextlib
import shutil
import time
from pathlib import Path

from app.errors import UpstreamRejected
from app.generation import GenerationRequest

KEEP_SECONDS = 3600.0
"""How long the files of an operation are kept after their last change."""


def input_names(request: GenerationRequest) -> tuple[str, ...]:
    return tuple(f"input-{number}" for number in range(len(request.media)))


def store_inputs(folder: Path, request: GenerationRequest) -> None:
    """Write the media to ``folder``. Raises ``UpstreamRejected`` for one whose bytes are not at hand."""
    folder.mkdir(parents=True, exist_ok=True)
    for item, name in zip(request.media, input_names(request), strict=True):
        path = folder / name
        if item.content is not None:
            path.write_bytes(item.content)
        elif not path.exists():
            raise UpstreamRejected(f"The studio needs the content of the {item.role}.", param=item.role)


def remove_old(workdir: Path, busy: frozenset[Path]) -> None:
    limit = time.time() - KEEP_SECONDS
    for folder in workdir.iterdir() if workdir.is_dir() else ():
        with contextlib.suppress(FileNotFoundError):
            if folder not in busy and folder.is_dir() and folder.stat().st_mtime < limit:
                shutil.rmtree(folder, ignore_errors=True)
