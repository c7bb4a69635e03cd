"""`serve` and `worker` start, print their address, and stop cleanly on a signal."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI
from sse_starlette.sse import AppStatus
from structlog.testing import capture_logs

from app import __version__
from app.cli.serving import DrainingServer, server_config
from app.db.revision import NEWEST
from app.ops.connections import ConnectionTable
from app.ops.edge import DrainState
from app.settings import Settings
from tests.cli.running import COMMAND, environment

TEXT = {"FILMGATE_LOG_FORMAT": "console"}
"""As in a terminal: with words for people, which a log of JSON has not."""


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
    with started("serve", "--port", "0", cwd=tmp_path, **TEXT) as process:
        said = heard(process)
        address = said.split()[-1]
        assert "sk-fg-" in said
        assert f"{address}/docs" in said and f"{address}/admin/" in said
        assert "embedded studio" in said
        assert "#setup=" in said
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
    with started("serve", "--port", "0", cwd=tmp_path, **TEXT) as first:
        heard(first)
        with started("worker", cwd=tmp_path) as second:
            _, said = second.communicate(timeout=60)
        assert second.returncode == 2
        assert said.startswith("error: Another worker already serves this SQLite store.")
        assert len(said.splitlines()) == 1


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_the_log_tells_start_version_misspelt_settings_and_stop(command: str, tmp_path: Path) -> None:
    misspelt = {
        "FILMGATE_PUBLIC_ULR": "https://a.example",
        "FILMGATE_STORAGE": "s3://x",
        "FILMGATE_TEST_X": "1",
    }
    with started(command, "--port", "0", cwd=tmp_path, **misspelt) as process:
        assert process.stderr
        assert process.stdout
        lines = []
        for line in process.stderr:
            lines.append(json.loads(line))
            if "PUBLIC" not in line and lines[-1]["event"] == "settings.unknown":  # the last of a start
                process.terminate()
        assert process.wait(30) == 0
        # What collects a log of JSON mostly takes both streams: no words for people, and no secrets.
        assert process.stdout.read() == ""
    assert [word for word in ("sk-fg-", "#setup=") if word in json.dumps(lines)] == []
    events = {line["event"]: line for line in lines}
    assert events["database.migrated"]["after"] == NEWEST
    assert events[f"{command}.started"]["version"] == __version__
    assert events[f"{command}.started"]["address"].startswith("http://127.0.0.1:")
    advised = {line["event"]: line["advice"] for line in lines if "advice" in line}
    assert advised == (
        {}
        if command == "worker"
        else {
            "keys.missing": "There is no API key yet: filmgate keys create NAME",
            "owner.missing": "The panel has no owner yet: filmgate admin setup-link",
        }
    )
    assert [line["text"] for line in lines if line["event"] == "settings.unknown"] == [
        "FILMGATE_PUBLIC_ULR is no setting: did you mean FILMGATE_PUBLIC_URL?",
        "FILMGATE_STORAGE is no setting: did you mean FILMGATE_STORAGE_URL?",
    ]
    assert [line["event"] for line in lines][-2:] == [f"{command}.stopping", f"{command}.stopped"]


def test_worker_can_be_watched(tmp_path: Path) -> None:
    token = "a-token-for-the-metrics-0123"
    with started("worker", "--port", "0", cwd=tmp_path, FILMGATE_METRICS_TOKEN=token, **TEXT) as process:
        address = heard(process).split()[-1]
        assert httpx2.get(f"{address}/healthz").json() == {"status": "ok"}
        ready = httpx2.get(f"{address}/readyz").json()
        assert ready == {"status": "ready", "checks": {"database": "ok", "store": "ok"}}
        refused = httpx2.get(f"{address}/metrics")
        assert (refused.status_code, refused.json()["error"]["param"]) == (401, None)
        told = httpx2.get(f"{address}/metrics", headers={"authorization": f"Bearer {token}"})
        assert told.status_code == 200
        for line in ("filmgate_database_up 1.0", f'filmgate_build_info{{version="{__version__}"}} 1.0'):
            assert line in told.text
        for name in ("oldest_queued_seconds", "webhook_deliveries_pending", "data_disk_free_bytes"):
            assert f"\nfilmgate_{name} " in told.text
        process.terminate()
        assert process.wait(30) == 0


def test_connections_are_kept_longer_than_the_pools_of_clients_keep_them() -> None:
    async def look_after() -> None: ...

    settings = Settings(data_dir=Path("unused"))
    table = ConnectionTable()
    assert server_config(FastAPI(), settings, table, look_after=look_after).timeout_keep_alive == 75
    told = settings.model_copy(update={"keep_alive_seconds": 20})
    assert server_config(FastAPI(), told, table, look_after=look_after).timeout_keep_alive == 20


@pytest.mark.parametrize(
    ("arguments", "given", "named"),
    [
        (["--processes", "2"], {}, "FILMGATE_PROCESSES: 2 processes need PostgreSQL"),
        ([], {"FILMGATE_PROCESSES": "3"}, "FILMGATE_PROCESSES: 3 processes need PostgreSQL"),
        (["--processes", "0"], {}, "--processes"),
        (["--processes", "65"], {}, "--processes"),
        ([], {"FILMGATE_PROCESSES": "0"}, "FILMGATE_PROCESSES: "),
        ([], {"FILMGATE_PROCESSES": "two"}, "FILMGATE_PROCESSES: "),
    ],
)
def test_numbers_of_processes_that_cannot_be_are_refused(
    arguments: list[str], given: dict[str, str], named: str, tmp_path: Path
) -> None:
    with started("serve", "--port", "0", *arguments, cwd=tmp_path, **given) as process:
        _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert named in said


def test_a_stop_signal_writes_nothing_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may come in the middle of a write to the log: a second one inside it fails, and the stop would be lost."""
    # The signal sets it for this whole process, in which no stream would live any more.
    monkeypatch.setattr(AppStatus, "should_exit", False)
    server = DrainingServer(uvicorn.Config(FastAPI()), drain=DrainState(), on_listening=lambda: None)
    with capture_logs() as lines:
        server.handle_exit(signal.SIGTERM, None)
    assert (lines, server.should_exit) == ([], True)
