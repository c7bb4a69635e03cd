"""Starts the processes under test on a core of their own and reads what they cost."""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class Process:
    """A child pinned to ``core``; a context manager."""

    def __init__(self, *arguments: str, core: int, environment: Mapping[str, str] | None = None) -> None:
        self.core = core
        self.began = time.perf_counter()
        self.name = arguments[0]
        self.child = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdout=subprocess.PIPE,
            text=True,
        )
        os.sched_setaffinity(self.child.pid, {core})

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self.child.terminate()
        try:
            self.child.wait(30)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        assert self.child.stdout
        self.child.stdout.close()

    def line(self) -> str:
        assert self.child.stdout
        return self.child.stdout.readline().strip()

    def wait_for(self, port: int, path: str, *, timeout: float = 30.0) -> float:
        """Seconds from the start to the first answer on ``path``."""
        while time.perf_counter() - self.began < timeout:
            if self.child.poll() is not None:
                raise RuntimeError(f"{self.name} ended with {self.child.returncode}")
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
            try:
                connection.request("GET", path)
                connection.getresponse().read()
                return time.perf_counter() - self.began
            except OSError:
                time.sleep(0.005)
            finally:
                connection.close()
        raise RuntimeError(f"{self.name} does not answer")

    def cpu(self) -> float:
        """Seconds of CPU, all threads, so far."""
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def rss(self) -> float:
        """Megabytes."""
        return int(Path(f"/proc/{self.child.pid}/statm").read_text().split()[1]) * PAGE / 1e6


def free_port() -> int:
    with socket.socket() as once:
        once.bind(("127.0.0.1", 0))
        port: int = once.getsockname()[1]
        return port
