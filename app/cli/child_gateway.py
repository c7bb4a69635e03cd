"""A gateway as a child process, on a free port and with its own data: what `demo` and `prove` start, stop and kill."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.cli.gateway_client import GatewayFailed

ADDRESS_PREFIX = "Listening on "
STOP_SECONDS = 10


class ChildProcess:
    """``module`` of ours with ``arguments``; ``address`` is the URL that it says it listens on."""

    def __init__(self, folder: Path, module: str, *arguments: str, **environment: str) -> None:
        self._log = folder / f"{module}-{arguments[0]}.log"
        # -P: a package "app" in the folder where the command was typed is not ours.
        self._command = [sys.executable, "-P", "-m", module, *arguments]
        self._environment = _own_environment() | environment
        self._process: subprocess.Popen[str] | None = None
        self.address = ""

    def start(self) -> None:
        """Returns when it listens. Raises ``GatewayFailed`` with the last line of its log when it can't start."""
        with self._log.open("a") as log:
            self._process = process = subprocess.Popen(  # noqa: S603
                self._command, env=self._environment, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(ADDRESS_PREFIX):
                self.address = line.removeprefix(ADDRESS_PREFIX).strip()
                return
        self.kill()
        lines = self._log.read_text().strip().splitlines() or ["it printed nothing"]
        raise GatewayFailed(f"The gateway did not start: {lines[-1]}")

    @property
    def output(self) -> Iterator[str]:
        """What it prints after its address, line by line, until it ends."""
        assert self._process is not None and self._process.stdout is not None
        return iter(self._process.stdout)

    def wait(self) -> None:
        """Until it ends by itself."""
        assert self._process is not None
        self._process.wait()

    def kill(self) -> None:
        """SIGKILL: no chance to write anything more."""
        if self._process is not None:
            self._process.kill()
            self._end(self._process)

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._end(self._process)

    def _end(self, process: subprocess.Popen[str]) -> None:
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        self._process = None


def child_gateway(folder: Path, *, key: str, **environment: str) -> ChildProcess:
    """`serve` without the operator's own settings, so that it changes nothing of his and costs nothing."""
    settings = {
        "FILMGATE_DATA_DIR": str(folder / "data"),
        "FILMGATE_API_KEY": key,
        "FILMGATE_STUDIO": "on",
        "FILMGATE_DRAIN_SECONDS": "1",
    }
    folder.mkdir(exist_ok=True)
    arguments = ("serve", "--host", "127.0.0.1", "--port", "0", "--quiet")
    return ChildProcess(folder, "app.cli", *arguments, **settings | environment)


@contextmanager
def running(child: ChildProcess) -> Iterator[ChildProcess]:
    """Started when the block is entered, stopped when it is left."""
    try:
        child.start()
        yield child
    finally:
        child.stop()


def _own_environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FILMGATE_")}
    root = str(Path(__file__).parent.parent.parent)
    return kept | {"PYTHONPATH": os.pathsep.join(filter(None, [root, kept.get("PYTHONPATH", "")]))}
