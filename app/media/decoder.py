"""The child process that decodes files: it receives a path and answers with the properties of the file."""

import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app.children.serving import SendNews, limit_memory, serve_orders
from app.errors import ResultUndecodable, ResultUnreadable
from app.media.analysis import (
    draw_image_previews,
    draw_video_previews,
    measure_clip,
    probe_image,
    probe_video,
)
from app.media.cutting import TooShort, cut_clip
from app.media.inspection import MediaInfo
from app.media.joining import join_clips, save_last_picture
from app.media.labels.marking import label_clip
from app.media.labels.pictures import find_marks, label_picture
from app.media.playable import write_compatible, write_stream
from app.media.trimming import trim_clip

OUT_OF_MEMORY = 3
WORK: dict[str, Callable[..., MediaInfo | None]] = {
    "measure": measure_clip,
    "probe_video": probe_video,
    "probe_image": probe_image,
    "draw_video": draw_video_previews,
    "draw_image": draw_image_previews,
    "compatible": write_compatible,
    "stream": write_stream,
    "cut": cut_clip,
    "trim": trim_clip,
    "join": join_clips,
    "last_picture": save_last_picture,
    "label_clip": label_clip,
    "label_picture": label_picture,
    "marks": find_marks,
}


def run_order(order: dict[str, Any], send_news: SendNews) -> dict[str, Any]:
    """The answer: ``probe``, ``unreadable``, ``undecodable`` or ``unwritable`` with a reason, or ``short`` with the length in
    seconds."""
    try:
        paths = [Path(path) for path in order["paths"]]
        info = WORK[order["work"]](*paths, **order["options"])
        return {"probe": asdict(info) if info else None}
    except TooShort as error:
        return {"short": error.seconds}
    except ResultUndecodable as error:
        return {"undecodable": error.message}
    except ResultUnreadable as error:
        return {"unreadable": error.message}
    except OSError as error:  # those of reading a result are among the unreadable
        return {"unwritable": str(error)}
    except MemoryError:
        # The state after that is uncertain, so the next file gets a new process.
        os._exit(OUT_OF_MEMORY)


if __name__ == "__main__":
    limit_memory(int(sys.argv[1]))
    os.nice(int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    serve_orders(run_order)
