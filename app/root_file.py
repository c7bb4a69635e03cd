"""The file of the root key. It is created once; a crash while it is replaced loses neither key."""

import fcntl
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from app.durable_files import sync_path
from app.errors import InvalidRequest, ServiceUnavailable, SettingsInvalid

FILE_NAME = "root.key"
OLD_FILE_NAME = "root.key.old"
KEY_BYTES = 32


def read_or_create(folder: Path) -> bytes:
    """The key of 32 bytes. Raises ``SettingsInvalid`` when the file is damaged."""
    path = folder / FILE_NAME
    if not path.exists():
        _create_key(path)
    return _read_key(path)


def read_old(folder: Path) -> list[bytes]:
    """The key before the last change, while its file exists."""
    path = folder / OLD_FILE_NAME
    return [_read_key(path)] if path.exists() else []


def replace_root_key(folder: Path) -> bool:
    """Create a new root key and keep the present one as ``root.key.old``. False when that was done before.

    The old key is on disk before the new one replaces it, so a call after a crash can continue.
    """
    path, old = folder / FILE_NAME, folder / OLD_FILE_NAME
    if old.exists() and _read_key(old) != _read_key(path):
        return False
    for left in folder.glob(f"{FILE_NAME}.{'[0-9a-f]' * 16}"):  # drafts of calls that were killed
        left.unlink()
    path.chmod(0o600)
    if not old.exists():
        os.link(path, old)
        sync_path(folder)
    _write_draft(path).replace(path)
    sync_path(folder)
    return True


def install(folder: Path, roots: Sequence[bytes], *, replace: bool) -> None:
    """Write the current root key, and the old one if there is a second, as a restore brings them. May be repeated.

    Raises ``InvalidRequest`` when the folder has another key, unless it may ``replace`` it: then that one is kept beside it.
    """
    for name, root in zip((FILE_NAME, OLD_FILE_NAME), roots, strict=False):
        path = folder / name
        if path.exists() and path.read_bytes() == root:
            continue
        if path.exists():
            if not replace:
                raise InvalidRequest(
                    f"{path} is another root key than that of the backup: choose an empty FILMGATE_DATA_DIR, or add --replace."
                )
            path.replace(path.with_name(f"{name}.before-restore"))
        _write_draft(path, root).replace(path)
        sync_path(folder)


@contextmanager
def exclusive_access(folder: Path) -> Iterator[None]:
    """Hold the lock for a change of the key. Raises ``ServiceUnavailable`` while another process holds it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        _lock_folder(handle, folder)
        yield
    finally:
        os.close(handle)


def _lock_folder(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ServiceUnavailable(
            f"The root key in {folder} is being changed already. Wait for that."
        ) from None


def _read_key(path: Path) -> bytes:
    root = path.read_bytes()
    if len(root) != KEY_BYTES:
        raise SettingsInvalid(f"{path} is damaged: restore it from a backup")
    return root


def _create_key(path: Path) -> None:
    """Create the file atomically. When two processes start together, one of them creates it."""
    draft = _write_draft(path)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # another process was faster
    finally:
        draft.unlink()
    sync_path(path.parent)


def _write_draft(path: Path, root: bytes = b"") -> Path:
    """Write a key, without ``root`` a new one, to a file beside ``path`` and sync it to the disk."""
    draft = path.with_name(f"{FILE_NAME}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(root or secrets.token_bytes(KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    return draft
