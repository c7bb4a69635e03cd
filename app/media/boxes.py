"""Whether an MP4 or QuickTime file is all there: the outer boxes state how long they are."""

import os
from pathlib import Path
from typing import BinaryIO

VITAL = {b"moov", b"mdat", b"moof"}
HEADER_BYTES, LONG_HEADER_BYTES = 8, 16


def is_cut_short(path: Path) -> bool:
    """True when a box with pictures or the index to them runs past the end of the file.

    Odd bytes after the last such box are no fault: players overlook them, and so do we.
    """
    total = path.stat().st_size
    with path.open("rb") as file:
        position = 0
        while position + HEADER_BYTES <= total:
            size, kind = read_box(file, position)
            if kind in VITAL and position + size > total:
                return True
            if size < HEADER_BYTES:  # 0 means "up to the end", other small sizes are nonsense
                return False
            position += size
    return False


def read_box(file: BinaryIO, position: int) -> tuple[int, bytes]:
    file.seek(position, os.SEEK_SET)
    header = file.read(LONG_HEADER_BYTES)
    size, kind = int.from_bytes(header[:4], "big"), header[4:HEADER_BYTES]
    return (int.from_bytes(header[HEADER_BYTES:], "big") if size == 1 else size), kind
