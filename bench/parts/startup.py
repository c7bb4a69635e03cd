"""Start to first answer and idle memory, beside release 0.1.0 started in turn with this version."""

import os
import subprocess
import sys
import tarfile
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from bench.figures import Figure, Must
from bench.processes import COMPILED, ROOT, SERVER_CORE, Process, free_port
from bench.seeding import environment
from bench.stage import Stage

OLD = "0.1.0"
HEALTH, MODELS = "/healthz", "/v1/models"
"""What is asked until there is an answer. Without a key the second is answered with 401, by what clients are answered by."""
ACCOUNT = ("accounts", "add", "farm", "--model", "bench=bench")


@dataclass(frozen=True)
class Start:
    """Seconds until the first answer, those of CPU in them, and megabytes after some idle seconds."""

    seconds: float
    cpu: float
    idle: float


@dataclass(frozen=True)
class Version:
    """One version's code, and the folder of a gateway that it has made."""

    root: Path
    folder: Path

    def start(self, *, asked: str = HEALTH, idle_seconds: float = 0.0) -> Start:
        port = free_port()
        variables = environment(self.folder, port, worker=True)
        command = ("app.cli", "serve")
        log = self.folder / "gateway.log"
        with Process(
            *command, cores=[SERVER_CORE], environment=variables, root=self.root, errors=log
        ) as process:
            seconds = process.wait_for(port, asked)
            spent = process.cpu()
            time.sleep(idle_seconds)
            return Start(seconds, spent.own + spent.children, process.rss())

    def prepare(self, upstream: int) -> None:
        """An account as a user adds it, and a first start that migrates the store and compiles the code."""
        address = f"http://127.0.0.1:{upstream}/v1"
        command = [sys.executable, "-m", "app.cli", *ACCOUNT, "--base-url", address]
        variables = os.environ | COMPILED | environment(self.folder, 0, worker=True)
        subprocess.run(
            command,
            cwd=self.root,
            env=variables,
            input="\n",
            text=True,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        self.start()


def measure(stage: Stage) -> list[Figure]:
    with ExitStack() as stack:
        upstream = stack.enter_context(stage.open_upstream())
        here = Version(ROOT, _new_folder(stage))
        here.prepare(upstream)
        old = _old_version(stage)
        if old is not None:
            old.prepare(upstream)
        versions = [here] if old is None else [here, old]
        calm, runs = stage.plan.calm_seconds, range(stage.plan.runs)
        # Those of one run directly after each other, as they have the same weather.
        starts = [[each.start(idle_seconds=calm) for each in versions] for _ in runs]
        first_calls = [[each.start(asked=MODELS) for each in versions] for _ in runs]
    ours, olds = _by_version(starts)
    return [
        _row(
            "start to first answer",
            "s",
            Must(0.5, "ratio"),
            [s.seconds for s in ours],
            [s.seconds for s in olds],
        ),
        _row("start to first answer, CPU", "s", None, [s.cpu for s in ours], [s.cpu for s in olds]),
        _row(
            "start to first answer to a client",
            "s",
            None,
            *([s.seconds for s in of_one] for of_one in _by_version(first_calls)),
        ),
        _row("idle memory", "MB", Must(100), [s.idle for s in ours], [s.idle for s in olds]),
    ]


def _by_version(runs: list[list[Start]]) -> tuple[list[Start], list[Start]]:
    """This version's, and the release's: none where it was not started."""
    return [run[0] for run in runs], [run[1] for run in runs if len(run) > 1]


def _row(what: str, unit: str, must: Must | None, *values: list[float]) -> Figure:
    ours, olds = values
    name = f"{what} ({OLD} not compared)" if not olds else what
    return Figure(name, "sqlite", ours, unit, must, olds, OLD)


def _new_folder(stage: Stage) -> Path:
    return Path(tempfile.mkdtemp(dir=stage.folder))


def _old_version(stage: Stage) -> Version | None:
    """The code of the release, where git has it."""
    commit = find_release()
    if commit is None:
        return None
    root = _new_folder(stage)
    packed = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=BytesIO(packed)) as archive:
        archive.extractall(root, filter="data")
    return Version(root, _new_folder(stage))


def find_release() -> str | None:
    """The commit of the release: its tag, or else the last one before the changelog begins the next version."""
    tag = _git("rev-parse", "--verify", "--quiet", f"v{OLD}^{{commit}}")
    if tag:
        return tag
    later = _git("log", "--reverse", "--format=%H", "-S## 0.2.0", "--", "CHANGELOG.md").split()
    return _git("rev-parse", "--verify", "--quiet", f"{later[0]}^") or None if later else None


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
