"""`keys`, `accounts`, `doctor` and `openapi` work on the store directly."""

import json
import sqlite3
from pathlib import Path

import pytest

from app.errors import InvalidRequest
from tests.cli.running import filmgate, inside
from tests.upstream.vendors.bfl import BFLServer

pytestmark = pytest.mark.slow


def test_keys_are_made_listed_and_revoked(tmp_path: Path) -> None:
    made = filmgate("keys", "create", "a laptop", cwd=tmp_path)
    key = made.stdout.strip()
    assert made.returncode == 0
    assert key.startswith("sk-fg-")
    assert made.stdout.count("\n") == 1  # so that $(filmgate keys create …) is the key
    data = tmp_path / "data"
    listed = inside("keys", "list", data=data).stdout
    identity = listed.splitlines()[1].split()[0]
    assert "a laptop" in listed
    assert "active" in listed
    assert key not in listed
    assert inside("keys", "revoke", identity, data=data).exit_code == 0
    assert "disabled" in inside("keys", "list", data=data).stdout
    stranger = filmgate("keys", "revoke", "nobody", cwd=tmp_path)
    assert stranger.returncode == 1
    assert stranger.stderr.strip() == "error: There is no key nobody. `filmgate keys list` shows them."


def test_a_key_keeps_the_secret_that_clients_have_already(tmp_path: Path) -> None:
    data, first, second = tmp_path / "data", "moved-in-0123456789abcdef", "moved-in-fedcba9876543210"
    made = inside("keys", "create", "one", "--secret-env", "THEIRS", "--no-prompts", data=data, THEIRS=first)
    assert made.exit_code == 0 and first not in made.output
    identity = inside("keys", "list", data=data).stdout.splitlines()[1].split()[0]
    assert identity in made.stdout and "prompts" in inside("keys", "show", identity, data=data).stdout
    inside("keys", "update", identity, "--keep-prompts", data=data)
    assert "prompts" not in inside("keys", "show", identity, data=data).stdout
    assert inside("keys", "create", "two", "--secret-stdin", data=data, stdin=f"{second}\n").exit_code == 0
    for words, stdin, told in (
        (("--secret-stdin",), first, f"The key one ({identity}) has this secret already"),
        (("--secret-stdin",), "\n", "nothing on stdin"),
        (("--secret-stdin", "--secret-env", "THEIRS"), second, "give one of them"),
        (("--secret-env", "NOWHERE"), "", "NOWHERE"),
    ):
        refused = inside("keys", "create", "three", *words, data=data, stdin=stdin)
        assert isinstance(refused.exception, InvalidRequest) and told in str(refused.exception)
        assert first not in str(refused.exception)


def test_a_key_is_forgotten_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.cli.keys.CACHE_SECONDS", 0.0)
    data = tmp_path / "data"
    for name in ("shop", "twin", "twin"):
        assert inside("keys", "create", name, data=data).exit_code == 0
    asked = inside("keys", "forget", "shop", data=data)
    assert asked.exit_code == 1 and "--yes" in asked.output
    twins = inside("keys", "forget", "twin", "--yes", data=data)
    assert isinstance(twins.exception, InvalidRequest) and "2 keys of this name" in str(twins.exception)
    done = inside("keys", "forget", "shop", "--yes", data=data)
    assert done.exit_code == 0 and "Forgotten: 0 tasks" in done.output
    assert "shop" not in inside("keys", "list", data=data).stdout
    with sqlite3.connect(data / "filmgate.db") as store:
        assert store.execute("SELECT actor, action FROM audit").fetchall() == [
            ("command line", "key.forgotten")
        ]


def test_a_key_has_limits_that_can_be_changed_and_a_secret_that_can_be_rotated(tmp_path: Path) -> None:
    data = tmp_path / "data"
    limits = (
        "--model", "sora-2", "--model", "veo*", "--network", "10.0.0.0/8", "--rpm", "60", "--tasks", "3",
        "--budget", "100", "--budget-daily", "2.5", "--expires-in", "30", "--option", "videos_dialect=manual",
        "--note", "for the shop",
    )  # fmt: skip
    made = inside("keys", "create", "shop", *limits, data=data)
    assert made.exit_code == 0, made.output
    identity = inside("keys", "list", data=data).stdout.splitlines()[1].split()[0]
    shown = " ".join(inside("keys", "show", identity, data=data).stdout.split())
    for text in (
        "models sora-2, veo*", "networks 10.0.0.0/8", "rpm 60", "tasks 3", "for the shop",
        "videos_dialect manual", "daily budget $2.50, $2.50 left: $0.00 spent, $0.00 reserved",
    ):  # fmt: skip
        assert text in shown
    done = inside(
        "keys", "update", identity, "--rpm", "5", "--clear", "networks", "--clear", "budget", data=data
    )
    assert done.exit_code == 0, done.output
    shown = " ".join(inside("keys", "show", identity, data=data).stdout.split())
    assert "rpm 5" in shown
    assert "networks" not in shown
    assert "daily budget" in shown
    rotated = inside("keys", "rotate", identity, "--overlap", "24", data=data)
    assert rotated.stdout.startswith(f"sk-fg-{identity}")
    assert rotated.stdout.split()[0] not in made.stdout
    assert "old secret until" in inside("keys", "show", identity, data=data).stdout
    for wrong, word in (
        (("update", identity, "--rpm", "0"), "rpm"),
        (("update", identity, "--clear", "colour"), "--clear"),
        (("create", "x", "--network", "home"), "networks"),
        (("create", "x", "--option", "loose"), "--option"),
        (("create", "x", "--budget", "much"), "budget_total"),
    ):
        refused = inside("keys", *wrong, data=data)
        assert isinstance(refused.exception, InvalidRequest), wrong
        assert word in str(refused.exception)


def test_prices_are_listed_set_and_removed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert "sora_video2*  $0.15 per call  default" in inside("prices", "list", data=data).stdout
    rates = (
        "--per-second",
        "720p=0.10",
        "--per-second",
        "0.30",
        "--per-call",
        "1",
        "--per-unit",
        "credits=0.01",
    )
    written = inside("prices", "set", "veo*", *rates, data=data)
    assert written.stdout == (
        "veo* costs $1.00 per call + $0.10 per second of 720p + $0.30 per second + $0.01 per credits.\n"
    )
    assert inside("prices", "set", "bot", "--per-million-input", "3", data=data).exit_code == 0
    assert inside("prices", "set", "sora_video2*", data=data).stdout == "sora_video2* costs nothing.\n"
    assert "veo*" in inside("prices", "list", data=data).stdout
    assert inside("prices", "remove", "veo*", data=data).exit_code == 0
    assert "veo*" not in inside("prices", "list", data=data).stdout
    for wrong, word in (
        (("set", "a*b", "--per-call", "1"), "family"),
        (("set", "x", "--per-call", "much"), "per_call"),
        (("set", "x", "--per-second", "=1"), "720p=0.10"),
        (("remove", "nothing"), "no price"),
    ):
        assert word in str(inside("prices", *wrong, data=data).exception), wrong


def test_accounts_are_added_listed_and_removed(tmp_path: Path) -> None:
    add = ("accounts", "add", "farm", "--base-url", "http://10.0.0.5:8000/v1", "--slots", "4")
    done = filmgate(
        *add, "--model", "sora-2=wan-2.2", "--kind", "video", "--option", "idempotency=true",
        "--secret-env", "FARM_KEY", cwd=tmp_path, FARM_KEY="sk-upstream-canary",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    studio, row = [
        line.split() for line in filmgate("accounts", "list", cwd=tmp_path).stdout.splitlines()[1:]
    ]
    assert studio[0] == "studio"  # until an account has proven itself
    assert row == ["farm", "openai_compatible", "http://10.0.0.5:8000/v1", "sora-2=wan-2.2", "4", "ready"]
    stored = (tmp_path / "data" / "filmgate.db").read_bytes()
    assert b"canary" not in stored
    again = filmgate(*add, cwd=tmp_path, stdin="sk-piped\n")
    assert again.returncode == 2
    assert again.stderr.strip() == "error: An account named farm exists already."
    data = tmp_path / "data"
    assert inside("accounts", "enable", "farm", data=data).exit_code == 0
    assert inside("accounts", "clear", "farm", "--model", "wan-2.2", data=data).exit_code == 0
    assert inside("accounts", "remove", "farm", data=data).exit_code == 0
    assert inside("accounts", "list", data=data).stdout.splitlines()[1].startswith("studio")


def test_an_account_that_can_not_work_is_refused_before_it_is_kept(tmp_path: Path) -> None:
    for wrong, word in (
        (("--provider", "nothing"), "provider"),
        (("--base-url", "farm"), "base_url"),
        (("--base-url", "http://farm/v1", "--kind", "smell"), "--kind"),
        (("--base-url", "http://farm/v1", "--option", "loose"), "--option"),
        (("--base-url", "http://farm/v1", "--secret-env", "NOT_THERE"), "--secret-env"),
    ):
        done = inside("accounts", "add", "x", *wrong, data=tmp_path)
        assert isinstance(done.exception, InvalidRequest)
        assert word in done.exception.message
    assert "studio" in inside("accounts", "list", data=tmp_path).stdout


def test_doctor_is_content_with_a_fresh_folder_and_with_one_in_use(tmp_path: Path) -> None:
    fresh = filmgate("doctor", cwd=tmp_path, FILMGATE_PORT="0")
    assert fresh.returncode == 0, fresh.stdout
    assert "fail" not in fresh.stdout
    inside("keys", "create", "one", data=tmp_path / "data")
    used = filmgate("doctor", cwd=tmp_path, FILMGATE_PORT="0")
    assert used.returncode == 0, used.stdout
    for name in (
        "data",
        "disk",
        "secret key",
        "database",
        "clock",
        "accounts",
        "ledger",
        "store",
        "limits",
        "port",
    ):
        assert name in used.stdout
    assert "warn" not in used.stdout.replace("! warn  disk", "")


def test_doctor_says_what_is_wrong_and_what_to_do(tmp_path: Path) -> None:
    inside("accounts", "add", "farm", "--base-url", "http://farm/v1", data=tmp_path / "data")
    with sqlite3.connect(tmp_path / "data" / "filmgate.db") as rows:
        rows.execute("UPDATE accounts SET enabled = 0, disabled_reason = 'key refused'")
    rows.close()
    disabled = filmgate("doctor", cwd=tmp_path, FILMGATE_PORT="0", FILMGATE_STUDIO="off")
    assert disabled.returncode == 1
    assert "key refused" in disabled.stdout
    assert "filmgate accounts enable" in disabled.stdout
    away = filmgate(
        "doctor",
        cwd=tmp_path,
        FILMGATE_REDIS_URL="redis://:pw@127.0.0.1:1/0",
        FILMGATE_PORT="0",
        FILMGATE_DATABASE_URL="postgresql://a:pw@127.0.0.1:1/x",
    )
    assert away.returncode == 1
    assert "does not answer" in away.stdout
    assert "Redis does not answer" in away.stdout
    assert ":pw@" not in away.stdout


def test_openapi_is_printed(tmp_path: Path) -> None:
    document = json.loads(filmgate("openapi", cwd=tmp_path).stdout)
    assert document["info"]["title"] == "Filmgate"
    assert "/v1/videos" in document["paths"]
    assert not (tmp_path / "data").exists()


def test_help_names_every_command(tmp_path: Path) -> None:
    done = filmgate("--help", cwd=tmp_path)
    assert done.returncode == 0
    for name in (
        "demo",
        "serve",
        "worker",
        "generate",
        "tasks",
        "keys",
        "accounts",
        "prices",
        "doctor",
        "openapi",
    ):
        assert f" {name} " in done.stdout


def test_balances_are_read_where_the_vendor_tells(tmp_path: Path) -> None:
    data = tmp_path / "data"
    told = inside("accounts", "balance", data=data)
    assert told.exit_code == 0
    assert "not reported by the vendor" in told.stdout  # the studio costs nothing
    with BFLServer() as vendor:
        add = (
            "accounts",
            "add",
            "flux",
            "--provider",
            "bfl",
            "--base-url",
            f"{vendor.url}/v1",
            "--secret",
            "key",
        )
        assert inside(*add, data=data).exit_code == 0
        refused = inside("accounts", "balance", data=data)  # a private address that was not allowed
    assert "flux" in refused.stdout
    assert "credits" not in refused.stdout


def test_providers_are_listed(tmp_path: Path) -> None:
    told = inside("providers", data=tmp_path / "data")
    assert told.exit_code == 0
    assert {"kling", "comfyui", "studio"} <= set(told.stdout.split())
