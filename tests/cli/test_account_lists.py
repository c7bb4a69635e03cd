"""`filmgate accounts import, export, show, disable and test` on the store directly."""

import json
from pathlib import Path

import pytest

from app.errors import InvalidRequest
from tests.cli.running import inside
from tests.upstream import FakeUpstream, closed_port
from tests.upstream.vendors.kling import KlingServer

pytestmark = pytest.mark.slow

NEAR = {"FILMGATE_OUTBOUND_ALLOW": "127.0.0.1"}


def listed(folder: Path, *, bad: bool) -> str:
    rows = [f"n{number},https://host/v1,sk-{number}" for number in range(1, 5)]
    if bad:
        rows[1] = "n2,nowhere,sk-2"
    path = folder / "list.csv"
    path.write_text("name,base_url,secret\n" + "\n".join(rows) + "\n")
    return str(path)


def test_import_says_what_it_would_do_then_does_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    tried = inside("accounts", "import", listed(tmp_path, bad=True), "--dry-run", data=data)
    assert tried.exit_code == 1
    assert tried.stdout.count("would add") == 3
    assert "base_url" in tried.stdout
    none = inside("accounts", "import", listed(tmp_path, bad=True), data=data)
    assert none.exit_code == 1
    assert "Nothing was imported" in none.stderr
    assert "n1" not in inside("accounts", "list", data=data).stdout
    some = inside("accounts", "import", listed(tmp_path, bad=True), "--skip-bad", data=data)
    assert some.exit_code == 0
    assert some.stdout.count("added") == 3
    rest = inside("accounts", "import", listed(tmp_path, bad=False), "--skip-bad", data=data)
    assert "duplicate name" in rest.stdout
    assert "n2" in inside("accounts", "list", data=data).stdout


def test_export_keeps_secrets_unless_they_are_meant(tmp_path: Path) -> None:
    data = tmp_path / "data"
    inside("accounts", "import", listed(tmp_path, bad=False), data=data)
    plain = inside("accounts", "export", data=data)
    assert [row["name"] for row in json.loads(plain.stdout)] == ["n1", "n2", "n3", "n4"]
    assert "sk-" not in plain.stdout
    asked = inside("accounts", "export", "--with-secrets", data=data)
    assert isinstance(asked.exception, InvalidRequest)
    whole = inside("accounts", "export", "--form", "csv", "--with-secrets", "--yes", data=data)
    assert "sk-3" in whole.stdout


def test_show_tells_all_but_secrets_and_disable_gives_a_reason(tmp_path: Path) -> None:
    data = tmp_path / "data"
    added = inside(
        "accounts", "add", "farm", "--base-url", "https://host/v1", "--secret", "sk-canary", "--tag", "pro",
        "--quota", "200/day", "--limit", "image=3", "--weight", "2", "--expires", "2030-01-01", data=data,
    )  # fmt: skip
    assert added.exit_code == 0, added.exception
    inside("accounts", "disable", "farm", "--reason", "on holiday", data=data)
    told = inside("accounts", "show", "farm", data=data).stdout
    for word in ("disabled: on holiday", '["pro"]', "200 of 200 count left", '{"image": 3}', "2030-01-01"):
        assert word in told
    assert "canary" not in told
    inside("accounts", "enable", "farm", data=data)
    assert "ready" in inside("accounts", "show", "farm", data=data).stdout


@pytest.mark.parametrize(("secret", "verdict", "code"), [("good", "accepted", 0), ("bad", "refused", 1)])
def test_an_account_is_tested_at_its_upstream(tmp_path: Path, secret: str, verdict: str, code: int) -> None:
    with FakeUpstream() as upstream:
        upstream.script(keys=["good"])
        add = ("accounts", "add", "x", "--base-url", f"{upstream.url}/v1", "--secret", secret)
        inside(*add, data=tmp_path)
        told = inside("accounts", "test", "x", data=tmp_path, **NEAR)
    assert told.stdout.startswith(verdict)
    assert told.exit_code == code


def test_a_test_says_honestly_when_it_can_not_tell(tmp_path: Path) -> None:
    with FakeUpstream() as upstream:
        add = ("accounts", "add", "open", "--base-url", f"{upstream.url}/v1", "--secret", "any")
        inside(*add, data=tmp_path)
        told = inside("accounts", "test", "open", data=tmp_path, **NEAR)
    assert told.stdout.startswith("reachable: it lists its models to anybody")
    gone = f"http://127.0.0.1:{closed_port()}/v1"
    inside("accounts", "add", "gone", "--base-url", gone, "--secret", "any", data=tmp_path)
    silent = inside("accounts", "test", "gone", data=tmp_path, **NEAR)
    assert silent.stdout.startswith("silent")
    assert silent.exit_code == 1


def test_a_balance_is_the_best_proof(tmp_path: Path) -> None:
    studio = inside("accounts", "test", "studio", data=tmp_path, **NEAR)
    assert studio.stdout.startswith("accepted")
    with KlingServer() as vendor:
        add = ("accounts", "add", "k", "--provider", "kling", "--base-url", vendor.url, "--secret", "key")
        assert inside(*add, data=tmp_path).exit_code == 0
        told = inside("accounts", "test", "k", data=tmp_path, **NEAR)
        assert told.stdout.strip() == "accepted: it answered about its balance, 158.50 units left"
        vendor.keys = {"another"}
        refused = inside("accounts", "test", "k", data=tmp_path, **NEAR)
    assert refused.stdout.startswith("refused")
    assert refused.exit_code == 1
