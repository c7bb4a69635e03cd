"""Installs each client in its newest version into a folder of its own, and runs it against a gateway with simulators:
``python -m tests.clients [part of a name …]``. The exit code is 1 if one failed; what can't be installed is only said."""

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.clients.listed import CLIENTS, ListedClient
from tests.e2e.conftest import Setting, running_setting
from tests.serving import KEY, ROOT

PROGRAMS = Path(__file__).parent / "programs"
INSTALL_SECONDS, RUN_SECONDS = 1200, 900
ADMIN_TOKEN = "a-token-for-real-clients-0123456789"
PYTHON_VERSION = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"


class NotInstalled(Exception):
    """The message says why."""


@dataclass(frozen=True)
class Outcome:
    version: str
    result: str
    detail: str = ""


def main(wanted: list[str]) -> int:
    chosen = [client for client in CLIENTS if not wanted or any(word in client.name for word in wanted)]
    with tempfile.TemporaryDirectory(prefix="filmgate-clients-") as folder:
        rows = [
            (client, try_client(client, Path(folder) / str(number))) for number, client in enumerate(chosen)
        ]
    table = Table("client", "language", "version", "result", "")
    for client, outcome in rows:
        table.add_row(client.name, client.language, outcome.version, outcome.result, outcome.detail)
    Console(width=max(120, Console().width)).print(table)
    return int(any(outcome.result == "failed" for _, outcome in rows))


def try_client(client: ListedClient, folder: Path) -> Outcome:
    print(f"{client.name} …", file=sys.stderr, flush=True)
    folder.mkdir()
    try:
        version = INSTALLERS[client.language](client, folder)
    except NotInstalled as error:
        return Outcome("", "not installed", str(error))
    if client.suite:
        done = run_suite(client, folder)
        detail = last_line(done.stdout)
    else:
        with running_setting(folder / "data", FILMGATE_ADMIN_TOKEN=ADMIN_TOKEN) as setting:
            done = run_program(client, folder, setting)
        detail = last_line(done.stdout if done.returncode == 0 else done.stderr or done.stdout)
    if done.returncode:
        print(done.stdout[-4000:], done.stderr[-4000:], file=sys.stderr)
    return Outcome(version, "failed" if done.returncode else "ok", detail)


def run_suite(client: ListedClient, folder: Path) -> subprocess.CompletedProcess[str]:
    """Our own tests, which import the newer packages before those of the environment."""
    environment = {"python": {"PYTHONPATH": str(folder)}, "node": {"FILMGATE_TEST_NODE_FOLDER": str(folder)}}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *client.suite]
    return run(command, ROOT, environment.get(client.language, {}), seconds=RUN_SECONDS)


def run_program(client: ListedClient, folder: Path, setting: Setting) -> subprocess.CompletedProcess[str]:
    program = shutil.copy(PROGRAMS / client.program, folder)
    environment = {
        "GATEWAY": setting.gateway.url,
        "GATEWAY_KEY": KEY,
        "ADMIN_TOKEN": ADMIN_TOKEN,
        "WORDS": setting.words.url,
        "PATH": f"{folder / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "NO_PROXY": "127.0.0.1",
    }
    interpreter = "node" if client.language == "node" else str(folder / "venv" / "bin" / "python")
    return run([interpreter, str(program)], folder, environment, seconds=RUN_SECONDS)


def install_with_pip(client: ListedClient, folder: Path) -> str:
    """For a program: an environment of its own. For our tests: a folder that goes before the environment."""
    target = ["--target", str(folder)]
    python = sys.executable
    if not client.suite:
        venv.create(folder / "venv", with_pip=True)
        target, python = [], str(folder / "venv" / "bin" / "python")
    packages = [str(ROOT / name) if name.startswith("./") else name for name in client.packages]
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade", *target]
    install(command + packages, folder)
    name = "filmgate-client" if client.packages[0].startswith("./") else client.packages[0].partition("[")[0]
    environment = {"PYTHONPATH": str(folder)} if client.suite else {}
    return run([python, "-c", PYTHON_VERSION, name], folder, environment, seconds=60).stdout.strip()


def install_with_npm(client: ListedClient, folder: Path) -> str:
    if shutil.which("npm") is None:
        raise NotInstalled("there is no npm")
    for script in ROOT.glob("tests/*/node/*.mjs") if client.suite else []:
        shutil.copy(script, folder)
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    packages = []
    for name in client.packages:
        if name.startswith("./"):
            packed = run(["npm", "pack", "--silent", str(ROOT / name)], folder, {}, seconds=60)
            packages.append(f"./{packed.stdout.strip()}")
        else:
            packages.append(f"{name}@latest")
    install(["npm", "install", "--no-audit", "--no-fund", "--silent", *packages], folder)
    name = "filmgate-client" if client.packages[0].startswith("./") else client.packages[0]
    source = (
        f"console.log(JSON.parse(require('fs').readFileSync('node_modules/{name}/package.json')).version)"
    )
    return run(["node", "--input-type=commonjs", "-e", source], folder, {}, seconds=60).stdout.strip()


def install_nothing(_client: ListedClient, _folder: Path) -> str:
    return ""


INSTALLERS: dict[str, Callable[[ListedClient, Path], str]] = {
    "python": install_with_pip,
    "node": install_with_npm,
    "": install_nothing,
}


def install(command: list[str], folder: Path) -> None:
    done = run(command, folder, {}, seconds=INSTALL_SECONDS)
    if done.returncode:
        raise NotInstalled(last_line(done.stderr) or f"exit code {done.returncode}")


def run(
    command: list[str], folder: Path, environment: dict[str, str], *, seconds: float
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, cwd=folder, env=os.environ | environment, capture_output=True, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"did not end within {seconds:.0f} seconds")


def last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
