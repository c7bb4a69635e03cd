"""The documentation of the commands: each command is listed, and the examples run."""

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from app.cli import COMMANDS, command_line
from app.configuration.toml_file import FIELDS
from tests.cli.running import ROOT, inside
from tests.conftest import leave_out
from tests.serving import KEY, GatewayProcess, until
from tests.upstream import FakeUpstream

DOCS = ROOT / "docs"
TOKEN = "an-admin-token-of-a-test"
UNKNOWN_TASKS = 3
EXAMPLES = re.compile(r"```console\n(.*?)```", re.DOTALL)


def test_every_command_is_named() -> None:
    text = (DOCS / "command-line.md").read_text()
    group = typer.main.get_command(command_line(*COMMANDS))
    for name in COMMANDS:
        told = "".join(re.findall(rf"^\| `{name}\b.*$", text, re.MULTILINE))
        assert told, name
        for command in getattr(group.commands[name], "commands", ()):  # type: ignore[attr-defined]
            assert re.search(rf"`({name} )?{command}\b", told), f"{name} {command}"


def test_every_field_of_the_configuration_file_is_named() -> None:
    text = (DOCS / "config.md").read_text()
    for table, fields in FIELDS.items():
        [told] = re.findall(rf"^## `\[\[{table}\]\]`$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
        if table == "prices":
            told += (DOCS / "money.md").read_text().replace("--per-", "per_").replace("-", "_")
        missing = [name for name in fields if not re.search(rf"\b{name}(_env)?\b", told)]
        assert missing == [], table


def commands(page: str) -> Iterator[list[str]]:
    """Of the page's examples, word by word."""
    for block in EXAMPLES.findall((DOCS / page).read_text()):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("$ "):
                yield shlex.split(line[2:])


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    folder = tmp_path_factory.mktemp("documents")
    made = GatewayProcess(folder, FILMGATE_ADMIN_TOKEN=TOKEN, FILMGATE_STUDIO="off")
    with FakeUpstream() as upstream:
        upstream.fault("create", do="reset", accepts=True, times=UNKNOWN_TASKS)
        made.add_upstream(upstream.url)
        with made:
            yield made


def unknown_tasks(gateway: GatewayProcess) -> list[str]:
    """Tasks of unknown outcome, whose cost is still reserved."""
    inside("prices", "set", "sora-2", "--per-call", "1", data=gateway.folder)
    with gateway.client() as client:
        wishes = [{"model": "sora-2", "prompt": f"x {number}"} for number in range(UNKNOWN_TASKS)]
        made = [str(client.post("/v1/videos", json=wish).json()["id"]) for wish in wishes]
        until(lambda: {client.get(f"/v1/videos/{one}").json()["status"] for one in made} == {"failed"})
    return made


KEY_ID = r"(?<![A-Z])ID(?![A-Z])"


def test_the_examples_about_money_run(
    gateway: GatewayProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where statements are written
    if not shutil.which("curl"):
        leave_out("curl is not installed")
    known = {
        "http://127.0.0.1:8000": gateway.url,
        "$FILMGATE_ADMIN_TOKEN": TOKEN,
        "$FILMGATE_API_KEY": KEY,
    }
    seen, unknown = 0, unknown_tasks(gateway)
    for words in commands("money.md"):
        if any("TASK" in word for word in words):
            known["TASK"] = unknown.pop()
        for name, value in known.items():
            words = [word.replace(name, value) for word in words]
        if any(re.search(KEY_ID, word) for word in words):
            words = [re.sub(KEY_ID, key_id(gateway), word) for word in words]
        if words[0] == "curl":
            done = subprocess.run([*words, "--fail-with-body"], capture_output=True, text=True, timeout=60)
            assert (done.returncode, done.stderr) == (0, ""), (words, done.stdout)
        else:
            ran = inside(*words[1:], data=gateway.folder)
            assert ran.exit_code == 0, (words, ran.exception)
        seen += 1
    assert seen >= 15


def key_id(gateway: GatewayProcess) -> str:
    [line] = [
        line for line in inside("keys", "list", data=gateway.folder).stdout.splitlines() if " shop " in line
    ]
    return line.split()[0]


def test_the_example_of_usage_has_the_fields_of_an_answer(gateway: GatewayProcess) -> None:
    [text] = re.findall(r"```json\n(.*?)```", (DOCS / "money.md").read_text(), re.DOTALL)
    shown = json.loads(text)
    with gateway.client() as client:
        told = client.get("/v1/usage").json()
    assert (list(shown), list(shown["total"])) == (list(told), list(told["total"]))
