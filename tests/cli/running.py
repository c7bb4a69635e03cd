"""Runs `filmgate` as a separate process, with only the variables that the test sets."""

import os
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner, Result

from app.cli import command_line
from tests.forked import run_forked

ROOT = Path(__file__).parent.parent.parent
COMMAND = [sys.executable, "-m", "app.cli"]


def environment(**given: str) -> dict[str, str]:
    hidden = ("FILMGATE_", "OPENAI_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    return kept | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"} | given


def filmgate(
    *arguments: str | Path, cwd: Path, stdin: str = "", **given: str
) -> subprocess.CompletedProcess[str]:
    """``given`` are environment variables; the data folder is ``cwd``/data by default."""
    return run_forked([*map(str, arguments)], cwd=cwd, environment=environment(**given), stdin=stdin)


def inside(*arguments: str | Path, data: Path, stdin: str = "", **given: str) -> Result:
    """The same within this process, which is faster. An error is in ``exception`` of the result."""
    variables = {"FILMGATE_DATA_DIR": str(data), "NO_COLOR": "1"} | given
    words = list(map(str, arguments))
    return CliRunner().invoke(command_line(words[0]), words, env=variables, input=stdin)
