"""The counts of processes of one `serve` that have ended: added up in two files, so that restarts leave none behind."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prometheus_client.mmap_dict import MmapedDict

Counts: Any = MmapedDict
"""Untyped. A file of keys and numbers."""
SUMMED_KINDS = ("counter", "histogram")
"""Of files, which are called ``<kind>_<process id>.db``. Gauges of a process mean nothing without it."""
ENDED = "ended"
LOCK = "reading.lock"


@contextmanager
def held_folder(folder: Path, how: int) -> Iterator[None]:
    """``how``: ``LOCK_SH`` to read all files as of one moment, ``LOCK_EX`` to change which there are."""
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, how)
        yield
    finally:
        os.close(lock)


def keep_counts(folder: Path, pid: int) -> None:
    """Add what a process that has ended has counted to what those before it had, and delete its files."""
    with held_folder(folder, fcntl.LOCK_EX):
        for kind in SUMMED_KINDS:
            own = folder / f"{kind}_{pid}.db"
            if own.exists() and own.stat().st_size:
                _add_file(folder / f"{kind}_{ENDED}.db", own)
        for own in folder.glob(f"*_{pid}.db"):
            own.unlink()


def _add_file(total: Path, own: Path) -> None:
    sums = Counts(str(total))
    try:
        for key, value, at, _ in Counts.read_all_values_from_file(str(own)):
            before, _ = sums.read_value(key)
            sums.write_value(key, before + value, at)
    finally:
        sums.close()
