"""What a gateway without work loads: each module costs every start time and memory, and none of these is needed yet."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from app.providers.registry import PROVIDERS
from tests.cli.running import ROOT, environment

MOST_OWN = 345
"""Modules of ours. Whoever needs more at the start may raise it; who only imports what comes later should not."""
NEVER = {
    "PIL": "pictures are looked at in children",
    "alembic": "migrations run in a process of their own",
    "app.admin.app": "the panel's API comes with its first request",
    "app.backup.whole_restore": "of the command line",
    "app.cli.doctor": "of another command",
    "app.client": "our client is for programs and the command line",
    "app.ops.resealing": "of the command line",
    "app.relay.gate_calls": "gates are asked only where the operator has set them up",
    "app.tasks.gates.asking": "the same",
    "app.client_api": "the clients' API comes right after the first answer",
    "av": "films are looked at in children",
    "fastapi": "of the clients' API",
    "mcp": "the tools for agents come with their first message",
    "numpy": "the studio draws in children",
    "openai": "of the command line",
    "opentelemetry.sdk": "only with a collector",
    "redis": "only where it is set",
    "websockets": "with the first WebSocket",
}
ONLY_WITH_POSTGRES = (
    "app.db.postgres",
    "asyncpg",
    "obstore",  # there the processes compare their stores at the start; else it comes with the first file
    "pgqueuer",
    "sqlalchemy.dialects.postgresql",
    "sqlalchemy.ext.asyncio",
    "sqlalchemy.orm",
)
SERVE = """
import json, os, signal, sys, threading, time, urllib.request

def look(port):
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=60).read()
            break
        except OSError:
            time.sleep(0.05)
    print(json.dumps(sorted(sys.modules)), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)

import socket
with socket.socket() as once:
    once.bind(("127.0.0.1", 0))
    port = once.getsockname()[1]
import app.gateway_app
app.gateway_app.PAUSE_SECONDS = 3600  # what comes after the first answer would be seen by chance
threading.Thread(target=look, args=(port,), daemon=True).start()
sys.argv = ["filmgate", "serve", "--quiet", "--port", str(port)]
from app.cli import main
main()
"""


def loaded_modules(folder: Path, database_url: str) -> set[str]:
    settings = environment(
        FILMGATE_DATA_DIR=str(folder), FILMGATE_DATABASE_URL=database_url, FILMGATE_STUDIO="off"
    )
    done = subprocess.run(
        [sys.executable, "-c", SERVE],
        cwd=ROOT,
        env=settings,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    [found] = [line for line in done.stdout.splitlines() if line.startswith("[")]
    return set(json.loads(found))


def test_what_must_not_be_loaded_is_there() -> None:
    """Else the next test would find nothing under a name that has changed."""
    names = [*NEVER, *ONLY_WITH_POSTGRES, *(f"app.providers.{name}.provider" for name in PROVIDERS)]
    assert [name for name in names if importlib.util.find_spec(name) is None] == []


@pytest.mark.slow
def test_a_start_loads_only_what_it_needs(tmp_path: Path, database_url: str) -> None:
    loaded = loaded_modules(tmp_path / "data", database_url)
    assert {name: why for name, why in NEVER.items() if name in loaded} == {}
    assert [name for name in PROVIDERS if f"app.providers.{name}.provider" in loaded] == []
    unwanted = () if database_url.startswith("postgresql") else ONLY_WITH_POSTGRES
    assert [name for name in unwanted if name in loaded] == []
    own = [name for name in loaded if name == "app" or name.startswith("app.")]
    assert "app.main" in own and len(own) <= MOST_OWN
