"""An invalid setting is reported in one line that names the variable, with exit code 2."""

import socket
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.secret_rules import GUESSABLE
from app.settings import Settings
from tests.cli.running import filmgate

UNREADABLE = [
    ("port", "eighty"),
    ("port", "70000"),
    ("database_url", "mysql://host/name"),
    ("database_url", "postgresql://host:port/name"),
    ("database_url", "sqlite+aiosqlite://name"),
    ("storage_url", "/tmp/files"),
    ("storage_url", "s3://"),
    ("s3_endpoint", "minio"),
    ("public_url", "filmgate"),
    ("outbound_allow", "10.0.0.0/99"),
    ("secret_key", "short"),
    ("studio", "maybe"),
    ("studio_workers", "0"),
    ("worker", "perhaps"),
    ("log_level", "loud"),
    ("task_deadline_seconds", "inf"),
    ("drain_seconds", "-1"),
    ("keep_alive_seconds", "0"),
    ("keep_alive_seconds", "-5"),
    ("keep_alive_seconds", "1h"),
    ("keep_alive_seconds", "1e9"),
]
UNUSABLE = [
    ("FILMGATE_PORT", "eighty"),
    ("FILMGATE_HOST", "nowhere.invalid"),
    ("FILMGATE_DATA_DIR", "occupied/data"),
    ("FILMGATE_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none"),
    ("FILMGATE_DATABASE_URL", "sqlite+aiosqlite:////nowhere/at/all.db"),
    ("FILMGATE_API_KEY", "admin"),
]


@pytest.mark.parametrize(("name", "value"), UNREADABLE)
def test_unreadable_setting_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings.model_validate({name: value})
    assert refused.value.errors()[0]["loc"] == (name,)


@pytest.mark.parametrize("value", sorted(GUESSABLE))
def test_known_bad_secrets_are_refused(value: str) -> None:
    for name in ("secret_key", "api_key"):
        with pytest.raises(ValidationError, match="too easy to guess"):
            Settings.model_validate({name: value})


@pytest.mark.parametrize(("name", "value"), UNUSABLE)
def test_unusable_setting_is_one_line(name: str, value: str, tmp_path: Path) -> None:
    (tmp_path / "occupied").touch()
    done = filmgate("serve", cwd=tmp_path, **{"FILMGATE_PORT": "0", name: value})
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 2
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith(f"error: {name}")
    assert "Listening" not in done.stdout


def test_a_secret_that_is_refused_is_not_repeated(tmp_path: Path) -> None:
    done = filmgate("serve", cwd=tmp_path, FILMGATE_SECRET_KEY="hunter2-hunter2")
    assert done.returncode == 2
    assert "hunter2" not in done.stderr


def test_busy_port_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = filmgate("serve", "--port", str(port), cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert f"127.0.0.1:{port} can't be used" in done.stderr
    assert not (tmp_path / "data").exists()  # nothing is opened before the port is ours
