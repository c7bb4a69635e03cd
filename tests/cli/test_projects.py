"""`filmgate projects`: limits, payments and who spends, and a JSON backup of them."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import inside

pytestmark = pytest.mark.slow


def printed(*words: str, data: Path) -> Any:
    done = inside(*words, "--json", data=data)
    assert done.exit_code == 0, (done.output, done.exception)
    return json.loads(done.stdout)


def test_a_project_is_made_paid_into_and_brought_elsewhere(tmp_path: Path) -> None:
    data, other = tmp_path / "data", tmp_path / "other"
    printed("projects", "create", "films", "--budget", "0", "--rpm", "60", data=data)
    printed("keys", "create", "ann", "--project", "films", data=data)
    pay = ("projects", "credit", "films", "12.5", "--reference", "r-1")
    assert printed(*pay, data=data)["lines"] == ["Paid in $12.50."]
    assert printed(*pay, data=data)["lines"][0].startswith("Nothing changed")
    assert isinstance(inside(*pay[:3], "13", *pay[4:], data=data).exception, Exception)
    [row] = printed("projects", "list", data=data)["rows"]
    assert (row["name"], row["keys"], row["limits"]) == ("films", "1", "rpm 60, budget $0.00")
    [paid] = printed("projects", "credits", "films", data=data)["rows"]
    assert (paid["amount"], paid["reference"]) == ("$12.50", "r-1")
    secret = printed("projects", "secret", "films", data=data)["lines"][0]
    assert secret.startswith("whsec_")
    printed("projects", "update", "films", "--clear", "rpm", "--disable", data=data)
    shown = {row["what"]: row["value"] for row in printed("projects", "show", "films", data=data)["rows"]}
    assert (shown["state"], shown["signed payments"]) == ("disabled", "yes")
    assert shown["total budget"].startswith("$12.50, $12.50 left")
    assert printed("projects", "spend", "--by", "tag", data=data)["rows"] == []
    assert "2 keys" not in str(inside("projects", "delete", "films", data=data).exception)

    saved = tmp_path / "backup.json"
    assert inside("backup", "--to", saved, data=data).exit_code == 0
    [kept] = json.loads(saved.read_text())["projects"]
    assert kept["paid_in"] and "sealed" not in kept
    assert inside("restore", saved, "--yes", data=other).exit_code == 0
    [row] = printed("projects", "list", data=other)["rows"]
    assert (row["credited"], row["state"]) == ("$0.00", "disabled")
