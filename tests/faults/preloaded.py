"""Small C libraries that are loaded before a gateway's own, to change or observe what the system does for it."""

import shutil
import subprocess
from pathlib import Path

from tests.conftest import leave_out


def compile_library(name: str, folder: Path) -> Path:
    """The library of ``<name>.c`` beside this file; the test is left out where there is no compiler."""
    compiler = shutil.which("cc")
    if not compiler:
        leave_out("no C compiler (apt packages gcc, libc6-dev)")
    assert compiler
    library, source = folder / f"{name}.so", Path(__file__).with_name(f"{name}.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl"], check=True)
    return library
