"""The child process that decodes files: it receives a path and answers with the content of the file."""

import contextlib
import os
import resource
import sys
from pathlib import Path
from typing import Any

from app.children.serving import SendNews, serve_orders
from app.errors import ResultUnreadable
from app.media.analysis import analyze_image, analyze_video
from app.media.cutting import TooShort, cut_clip
from app.media.inspection import MediaInspection

OUT_OF_MEMORY = 3
ANALYZERS = {"video": analyze_video, "image": analyze_image}


def run_order(order: dict[str, Any], send_news: SendNews) -> dict[str, Any]:
    """The answer: an inspection, ``unreadable`` with a reason, or ``short`` with the length in seconds."""
    try:
        return _inspect_file(order).as_json()
    except TooShort as error:
        return {"short": error.seconds}
    except ResultUnreadable as error:
        return {"unreadable": error.message}
    except MemoryError:
        # The state after that is uncertain, so the next file gets a new process.
        os._exit(OUT_OF_MEMORY)


def _inspect_file(order: dict[str, Any]) -> MediaInspection:
    path = Path(order["path"])
    if order["kind"] == "cut":
        return cut_clip(path, Path(order["target"]), start=order["start"], end=order["end"])
    return ANALYZERS[order["kind"]](path)


def limit_memory(size: int) -> None:
    """Limit the address space to ``size`` bytes where the system supports it, and write no core dumps."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (size, size))


if __name__ == "__main__":
    limit_memory(int(sys.argv[1]))
    serve_orders(run_order)
