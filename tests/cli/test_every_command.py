"""Every command: `--json` or a reason without it, usage errors of one line, and completion."""

import json
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import typer

from app.cli import COMMANDS, command_line
from app.cli.json_output import WITHOUT_JSON
from app.components import Components
from app.db.tables import accounts, keys, spending, tasks
from tests.cli.running import filmgate, inside
from tests.serving import GatewayProcess

pytestmark = pytest.mark.slow


def leaves(command: Any, *words: str) -> Iterator[tuple[str, Any]]:
    """Every command by its words."""
    for name, each in getattr(command, "commands", {}).items():
        yield from leaves(each, *words, name)
    if not hasattr(command, "commands"):
        yield " ".join(words), command


ALL = dict(leaves(typer.main.get_command(command_line(*COMMANDS))))


def test_every_command_prints_json_or_says_why_not() -> None:
    assert len(ALL) > 40
    assert WITHOUT_JSON.keys() <= ALL.keys()
    for name, command in ALL.items():
        has = any("--json" in parameter.opts for parameter in command.params)
        assert has or name in WITHOUT_JSON, name


def printed(*words: str, data: Path) -> Any:
    done = inside(*words, "--json", data=data)
    assert done.exit_code in (0, 1), done.output
    return json.loads(done.stdout)


def test_lists_are_rows_by_their_headings(tmp_path: Path) -> None:
    data = tmp_path / "data"
    made = printed("keys", "create", "shop", "--budget", "5", data=data)
    assert made["lines"][0].startswith("sk-fg-")
    [row] = printed("keys", "list", data=data)["rows"]
    assert (row["name"], row["spent"], row["state"]) == ("shop", "$0.00", "active")
    details = {row["what"]: row["value"] for row in printed("keys", "show", row["id"], data=data)["rows"]}
    assert details["total budget"].startswith("$5.00")
    for words in (
        ("providers",),
        ("routes", "list"),
        ("prices", "list"),
        ("held", "list"),
        ("admin", "list"),
    ):
        assert set(printed(*words, data=data)) == {"rows", "lines"}, words
    checks = {row["check"] for row in printed("doctor", data=data)["rows"]}
    assert {"settings", "database", "accounts", "waiting"} <= checks


def change_store(data: Path, *statements: sa.Executable) -> None:
    """What takes days or money."""

    async def write(components: Components) -> None:
        async with components.database.write() as connection:
            for statement in statements:
                await connection.execute(statement)

    GatewayProcess(data.parent, FILMGATE_DATA_DIR=str(data)).prepare(write)


def test_the_list_of_keys_says_what_is_served_and_spent(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for name in ("fresh", "late", "off"):
        printed("keys", "create", name, data=data)
    printed("keys", "create", "spent", "--budget", "5", data=data)
    ids = {row["name"]: row["id"] for row in printed("keys", "list", data=data)["rows"]}
    printed("keys", "revoke", ids["off"], data=data)
    used = {"key_id": ids["spent"], "period": "total", "reserved": Decimal(0), "spent": Decimal("25.20")}
    change_store(
        data,
        sa.update(keys).where(keys.c.id == ids["late"]).values(expires_at=time.time() - 60),
        sa.insert(spending).values(**used),
    )
    rows = {row["name"]: (row["state"], row["spent"]) for row in printed("keys", "list", data=data)["rows"]}
    assert rows == {
        "fresh": ("active", "$0.00"),
        "late": ("expired", "$0.00"),
        "off": ("disabled", "$0.00"),
        "spent": ("over its total budget", "$25.20"),
    }


def found_by_doctor(data: Path, **given: str) -> tuple[int, dict[str, dict[str, str]]]:
    done = inside("doctor", "--json", data=data, FILMGATE_PORT="0", **given)
    rows = json.loads(done.stdout)["rows"]
    return done.exit_code, {row["check"]: row for row in rows if row["check"]}


def test_a_lost_root_key_is_a_failure(tmp_path: Path) -> None:
    data = tmp_path / "data"
    printed("keys", "create", "shop", data=data)
    code, found = found_by_doctor(data, FILMGATE_STUDIO="on")
    assert (code, found["accounts"]["state"]) == (0, "✓ ok")
    (data / "root.key").unlink()
    code, found = found_by_doctor(data, FILMGATE_STUDIO="on")
    assert (code, found["accounts"]["state"]) == (1, "✗ fail")
    assert "1 client keys" in found["accounts"]["found"]


def test_many_disabled_accounts_are_counted(tmp_path: Path) -> None:
    data = tmp_path / "data"
    lines = "\n".join(f"farm-{number},sk-farm-secret-{number:04}" for number in range(30))
    listed = tmp_path / "accounts.txt"
    listed.write_text(lines + "\n")
    given = ("--provider", "openai_compatible", "--base-url", "http://127.0.0.1:9/v1")
    assert inside("accounts", "import", listed, *given, data=data).exit_code == 0
    change_store(data, sa.update(accounts).values(enabled=False, disabled_reason="its key was refused"))
    _, found = found_by_doctor(data, FILMGATE_STUDIO="on")
    assert "30 disabled (" in found["accounts"]["found"]
    assert "and 27 more" in found["accounts"]["found"]
    assert len(found["accounts"]["found"]) < 200


def test_tasks_that_wait_for_a_studio_that_is_gone_are_told(tmp_path: Path) -> None:
    data = tmp_path / "data"
    made = GatewayProcess(tmp_path, FILMGATE_DATA_DIR=str(data), FILMGATE_STUDIO="on")
    with made as gateway, gateway.client() as client:
        body = {"model": "studio", "prompt": "A kite", "seconds": "1"}
        assert client.post("/v1/videos", json=body).status_code == 200
    change_store(data, sa.update(tasks).values(state="queued"))
    _, found = found_by_doctor(data, FILMGATE_STUDIO="on")
    assert found["waiting"]["state"] == "✓ ok"
    _, found = found_by_doctor(data, FILMGATE_STUDIO="off")
    assert found["waiting"]["state"] == "! warn"
    assert "studio (1)" in found["waiting"]["found"]


def test_no_line_of_the_log_stands_above_the_report(tmp_path: Path) -> None:
    away = {"FILMGATE_STORAGE_URL": "s3://films", "FILMGATE_S3_ENDPOINT": "http://127.0.0.1:9"}
    away |= {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none", "AWS_REGION": "eu"}
    done = filmgate("doctor", cwd=tmp_path, FILMGATE_PORT="0", **away)
    assert done.returncode == 1
    assert "store" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["accounts", "list", "--nope"], "No such option: --nope"),
        (["accunts"], "No such command 'accunts'"),
        (["keys", "create"], "Missing argument"),
    ],
)
def test_a_usage_error_is_one_line(tmp_path: Path, words: list[str], told: str) -> None:
    done = filmgate(*words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ") and told in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_shell_completes_commands(tmp_path: Path) -> None:
    script = filmgate("--show-completion", "bash", cwd=tmp_path).stdout
    assert "_FILMGATE_COMPLETE=complete_bash" in script
    asked = {"_FILMGATE_COMPLETE": "complete_bash", "COMP_WORDS": "filmgate acc", "COMP_CWORD": "1"}
    assert filmgate(cwd=tmp_path, **asked).stdout.split() == ["accounts"]
    asked |= {"COMP_WORDS": "filmgate keys for", "COMP_CWORD": "2"}
    assert filmgate(cwd=tmp_path, **asked).stdout.split() == ["forget"]
