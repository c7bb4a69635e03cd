"""Packages of Node.js, installed from their lock file once; kept until the lock file changes."""

import fcntl
import shutil
import subprocess
from pathlib import Path


def has_node() -> bool:
    """Whether Node.js and npm are installed."""
    return bool(shutil.which("node") and shutil.which("npm"))


def install_packages(folder: Path) -> None:
    """``node_modules`` of ``folder``. Several workers of one run may ask for it at the same time."""
    lock_file = folder / "package-lock.json"
    mark = folder / "node_modules" / ".installed-from"
    with lock_file.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = lock.read()
        if mark.exists() and mark.read_text() == wanted:
            return
        done = subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund"], cwd=folder, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        mark.write_text(wanted)
