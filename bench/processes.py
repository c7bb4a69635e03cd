"""Starts the processes under test on chosen cores and reads what they cost, from the kernel's own count."""

import http.client
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
LOAD_CORE, SERVER_CORE = 0, 1

COMPILED = {"PYTHONDONTWRITEBYTECODE": ""}
"""A start is measured with compiled files, as users have them."""


@dataclass(frozen=True)
class Spent:
    """Seconds of CPU: the process itself, and all that it started."""

    own: float
    children: float

    def __sub__(self, before: "Spent") -> "Spent":
        return Spent(self.own - before.own, self.children - before.children)


class Process:
    """A child pinned to ``cores``; a context manager."""

    def __init__(
        self,
        *arguments: str,
        cores: Iterable[int],
        environment: Mapping[str, str] | None = None,
        root: Path = ROOT,
        errors: Path | None = None,
    ) -> None:
        self.began = time.perf_counter()
        self.name = arguments[0]
        self._cores = set(cores)
        self._errors = errors.open("a") if errors else None
        self.child = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=root,
            env={**os.environ, **COMPILED, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, self._cores),
        )

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(30)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        assert self.child.stdout
        self.child.stdout.close()
        if self._errors:
            self._errors.close()

    def line(self) -> str:
        assert self.child.stdout
        return self.child.stdout.readline().strip()

    def wait_for(self, port: int, path: str, *, timeout: float = 60.0) -> float:
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

    def cpu(self) -> Spent:
        """Seconds of CPU so far; children that have ended are among the children."""
        own, waited = _stat_seconds(self.child.pid)
        return Spent(own, waited + sum(sum(_stat_seconds(pid)) for pid in self._descendants()))

    def rss(self) -> float:
        """Megabytes of the process and all that it started."""
        return sum(_megabytes(pid) for pid in [self.child.pid, *self._descendants()])

    def _descendants(self) -> list[int]:
        found: list[int] = []
        parents = [self.child.pid]
        while parents:
            listed = _read(f"/proc/{(parent := parents.pop())}/task/{parent}/children").split()
            found += (children := [int(pid) for pid in listed])
            parents += children
        return found


def _stat_seconds(pid: int) -> tuple[float, float]:
    """Of the process, and of its ended children."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if not fields:
        return 0.0, 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS, (int(fields[13]) + int(fields[14])) / TICKS


def _megabytes(pid: int) -> float:
    fields = _read(f"/proc/{pid}/statm").split()
    return int(fields[1]) * PAGE / 1e6 if fields else 0.0


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""  # it has just ended


def free_port() -> int:
    with socket.socket() as once:
        once.bind(("127.0.0.1", 0))
        port: int = once.getsockname()[1]
        return port


def raise_file_limit() -> None:
    """To what the system allows: thousands of connections are opened."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
