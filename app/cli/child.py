"""A gateway as a child process, for the demo: on a free port, with data of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.cli.gateway_client import GatewayFailed

ADDRESS_PREFIX = "Listening on "
STOP_SECONDS = 10


class DemoGateway:
    """It serves at ``address`` until the block is left."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self._process = process
        self.address = address

    @classmethod
    @contextmanager
    def start_in(cls, folder: Path, *, key: str) -> Iterator["DemoGateway"]:
        """Raises ``GatewayFailed`` with the child's own words when it does not come up."""
        noise = folder / "gateway.log"
        command = [sys.executable, "-m", "app.cli", "serve", "--host", "127.0.0.1", "--port", "0", "--quiet"]
        with (
            noise.open("w") as log,
            subprocess.Popen(  # noqa: S603
                command, env=_demo_environment(folder, key), stdout=subprocess.PIPE, stderr=log, text=True
            ) as process,
        ):
            try:
                yield cls(process, _read_address(process, noise))
            finally:
                _stop_process(process)

    def wait_until_stopped(self) -> None:
        """Until it ends, which it does when it is told to."""
        self._process.wait()


def _demo_environment(folder: Path, key: str) -> dict[str, str]:
    """Nothing of an operator's own settings: a demo must touch nothing and cost nothing."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FILMGATE_")}
    root = str(Path(__file__).parent.parent.parent)
    return kept | {
        "PYTHONPATH": os.pathsep.join(filter(None, [root, kept.get("PYTHONPATH", "")])),
        "FILMGATE_DATA_DIR": str(folder / "data"),
        "FILMGATE_API_KEY": key,
        "FILMGATE_STUDIO": "on",
        "FILMGATE_DRAIN_SECONDS": "1",
    }


def _read_address(process: subprocess.Popen[str], noise: Path) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(ADDRESS_PREFIX):
            return line.removeprefix(ADDRESS_PREFIX).strip()
    said = noise.read_text().strip().splitlines() or ["it said nothing"]
    raise GatewayFailed(f"The gateway did not start: {said[-1]}")


def _stop_process(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
