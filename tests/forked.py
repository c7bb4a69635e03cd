"""Commands as processes of their own that need not import the program again: forked from a server that has done so.

A start takes a fifth of the time of ``python -m app.cli``. The process has its own id, files and environment,
and can be stopped, frozen and killed like any other.
"""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).parent.parent
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["app.cli.serving", "app.cli.worker"])


class ForkedCommand:
    """``python -m module arguments`` with the interface of ``subprocess.Popen`` that tests of the gateway use."""

    def __init__(
        self, module: str, arguments: list[str], *, environment: dict[str, str], errors: Path
    ) -> None:
        reader, writer = FORKS.Pipe(duplex=False)
        self._process = FORKS.Process(
            target=_run, args=(module, arguments, environment, errors, writer), daemon=True
        )
        self._process.start()
        writer.close()
        assert self._process.pid is not None
        self.pid = self._process.pid
        self.stdout: TextIO = os.fdopen(os.dup(reader.fileno()))
        reader.close()

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, negative after a signal. Raises ``subprocess.TimeoutExpired``."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
        return self._process.exitcode


def run_forked(
    arguments: list[str], *, cwd: Path, environment: dict[str, str], stdin: str = "", timeout: float = 240
) -> subprocess.CompletedProcess[str]:
    """``filmgate arguments``, as ``subprocess.run`` would with the output captured."""
    with tempfile.TemporaryDirectory() as folder:
        given, said, errors = (Path(folder) / name for name in ("given", "said", "errors"))
        given.write_text(stdin)
        process = FORKS.Process(
            target=_run_whole, args=(arguments, cwd, environment, given, said, errors), daemon=True
        )
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(arguments, timeout)
        return subprocess.CompletedProcess(arguments, process.exitcode, said.read_text(), errors.read_text())


def _run_whole(
    arguments: list[str], cwd: Path, environment: dict[str, str], given: Path, said: Path, errors: Path
) -> None:
    """In the child."""
    os.dup2(os.open(given, os.O_RDONLY), 0)
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT), 1)
    os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT), 2)
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
    os.chdir(cwd)
    _start("app.cli", arguments, environment)


def _run(
    module: str, arguments: list[str], environment: dict[str, str], errors: Path, output: Connection
) -> None:
    """In the child: the standard files, environment and arguments of a command, then the command itself."""
    os.dup2(output.fileno(), 1)
    output.close()
    with errors.open("ab") as log:
        os.dup2(log.fileno(), 2)
    sys.stdout = os.fdopen(1, "w")
    sys.stderr = os.fdopen(2, "w", buffering=1)
    os.chdir(ROOT)
    _start(module, arguments, environment)


def _start(module: str, arguments: list[str], environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        sys.stdout.flush()
