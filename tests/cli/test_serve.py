"""`serve` and `worker` start, print their address, and stop cleanly on a signal."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.cli.running import COMMAND, environment


@contextmanager
def started(*arguments: str, cwd: Path, **given: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=environment(**given),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def heard(process: subprocess.Popen[str]) -> str:
    """What it prints up to the line with its address."""
    assert process.stdout
    said = ""
    for line in process.stdout:
        said += line
        if line.startswith("Listening on "):
            return said
    raise AssertionError(said)


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_serve_says_where_it_is_and_ends_cleanly(told: signal.Signals, tmp_path: Path) -> None:
    with started("serve", "--port", "0", cwd=tmp_path) as process:
        said = heard(process)
        address = said.split()[-1]
        assert "sk-fg-" in said
        assert f"{address}/docs" in said
        assert "embedded studio" in said
        answer = httpx2.get(f"{address}/healthz")
        assert answer.status_code == 200
        assert "server" not in answer.headers
        process.send_signal(told)
        assert process.wait(30) == 0
        assert process.stderr
        assert "Traceback" not in process.stderr.read()


def test_quiet_says_the_address_alone_once_a_key_exists(tmp_path: Path) -> None:
    key = "sk-fg-a-key-for-automation"
    known = {"FILMGATE_API_KEY": key, "FILMGATE_ADMIN_PASSWORD": "chosen long before, and kept"}
    with started("serve", "--port", "0", "-q", "--no-worker", cwd=tmp_path, **known) as process:
        said = heard(process)
        assert said.splitlines() == [said.strip()]
        answer = httpx2.get(f"{said.split()[-1]}/v1/models", headers={"authorization": f"Bearer {key}"})
        assert answer.status_code == 200


def test_second_worker_on_one_sqlite_store_is_refused_in_one_line(tmp_path: Path) -> None:
    with started("serve", "--port", "0", cwd=tmp_path) as first:
        heard(first)
        with started("worker", cwd=tmp_path) as second:
            _, said = second.communicate(timeout=60)
        assert second.returncode == 2
        assert said.startswith("error: Another worker already serves this SQLite store.")
        assert len(said.splitlines()) == 1


def test_worker_alone_ends_when_told_to(tmp_path: Path) -> None:
    with started("worker", cwd=tmp_path) as process:
        assert process.stderr
        assert json.loads(process.stderr.readline())["event"] == "worker.started"
        process.terminate()
        assert process.wait(30) == 0
