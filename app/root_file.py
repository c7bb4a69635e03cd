"""The file of the root key: made once, and replaced so that a crash at any moment loses neither key."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.errors import SettingsInvalid, Unavailable

NAME = "root.key"
OLD_NAME = "root.key.old"
BYTES = 32


def read_or_make(folder: Path) -> bytes:
    """Raises ``SettingsInvalid`` when it is damaged."""
    path = folder / NAME
    if not path.exists():
        _make(path)
    return _read(path)


def read_old(folder: Path) -> list[bytes]:
    """The one before the last change, while it is kept."""
    path = folder / OLD_NAME
    return [_read(path)] if path.exists() else []


def replace(folder: Path) -> bool:
    """A new root key, the present one kept as ``root.key.old``. False when that was done before.

    The old name is on the disk before the new key takes the place: killed between, the next call goes on.
    """
    path, old = folder / NAME, folder / OLD_NAME
    if old.exists() and _read(old) != _read(path):
        return False
    for left in folder.glob(f"{NAME}.{'[0-9a-f]' * 16}"):  # drafts of calls that were killed
        left.unlink()
    path.chmod(0o600)
    if not old.exists():
        os.link(path, old)
        _flush(folder)
    _draft(path).replace(path)
    _flush(folder)
    return True


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """For one change at a time. Raises ``Unavailable`` while another is under way."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        _lock(handle, folder)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Unavailable(f"The root key in {folder} is being changed already. Wait for that.") from None


def _read(path: Path) -> bytes:
    root = path.read_bytes()
    if len(root) != BYTES:
        raise SettingsInvalid(f"{path} is damaged: restore it from a backup")
    return root


def _make(path: Path) -> None:
    """Whole or not at all, and only one when two processes start together."""
    draft = _draft(path)
    try:
        os.link(draft, path)
        _flush(path.parent)
    except FileExistsError:
        return  # another process was faster
    finally:
        draft.unlink()


def _draft(path: Path) -> Path:
    """A new key beside its place, on the disk."""
    draft = path.with_name(f"{NAME}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secrets.token_bytes(BYTES))
        file.flush()
        os.fsync(file.fileno())
    return draft


def _flush(folder: Path) -> None:
    """A name is safe from a power cut only when its folder is on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
