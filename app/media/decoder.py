"""One decoding process: a path comes in, what the file holds goes out."""

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
    """The answer is an inspection, or says why the file is ``unreadable`` or how ``short`` it is."""
    try:
        return _inspect_file(order).as_json()
    except TooShort as error:
        return {"short": error.seconds}
    except ResultUnreadable as error:
        return {"unreadable": error.message}
    except MemoryError:
        # Who knows what is left of it: the next file gets a fresh process.
        os._exit(OUT_OF_MEMORY)


def _inspect_file(order: dict[str, Any]) -> MediaInspection:
    path = Path(order["path"])
    if order["kind"] == "cut":
        return cut_clip(path, Path(order["target"]), start=order["start"], end=order["end"])
    return ANALYZERS[order["kind"]](path)


def limit_memory(size: int) -> None:
    """To ``size`` bytes of address space, on systems that can; and no crash leaves as much on the disk."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (size, size))


if __name__ == "__main__":
    limit_memory(int(sys.argv[1]))
    serve_orders(run_order)
