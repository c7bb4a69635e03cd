"""Backups and notices in the panel."""

import json
from collections.abc import Iterator

import pytest

from tests.admin.conftest import PASSWORD, TOKEN, Browser
from tests.webhooks.receiver import Receiver, Reply

JSON = {"content-type": "application/json"}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


def test_a_backup_is_downloaded_checked_and_restored(owner: Browser) -> None:
    account = {"name": "b1", "provider": "openai_compatible", "base_url": "https://example.com/v1"}
    made = owner.post("/accounts", status=201, json=account | {"secret": "backup-secret-canary"})
    plain = owner.ask("POST", "/backup", json={})
    assert plain.status_code == 200
    assert "attachment" in plain.headers["content-disposition"]
    assert "backup-secret-canary" not in plain.text
    refused = owner.ask("POST", "/backup", json={"secrets": True, "password": "wrong"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "password")
    sealed = owner.ask("POST", "/backup", json={"secrets": True, "password": PASSWORD})
    assert sealed.status_code == 200
    assert "backup-secret-canary" not in sealed.text
    assert owner.ask("DELETE", f"/accounts/{made['id']}").status_code == 204
    looked = owner.post("/restore", json={"backup": sealed.json()})
    assert looked["dry_run"] is True
    assert {"thing": "accounts", "name": "b1", "result": "new", "message": ""} in looked["rows"]
    assert "b1" not in [row["name"] for row in owner.get("/accounts")["data"]]
    done = owner.post("/restore?dry_run=false", json={"backup": sealed.json()})
    assert {row["result"] for row in done["rows"] if row["name"] == "b1"} == {"added"}
    assert "b1" in [row["name"] for row in owner.get("/accounts")["data"]]
    [noted, *_] = owner.get("/audit?action=backup.restored")["data"]
    assert noted["after"]["changes"] == ["accounts/b1 added"]


def test_the_token_can_make_a_backup_and_a_viewer_cannot(owner: Browser, viewer: Browser) -> None:
    headers = {"authorization": f"Bearer {TOKEN}"}
    answer = owner.http.post("/backup", json={"secrets": True}, headers=headers)
    assert answer.json()["secrets"]["sealed_with"] == "root_key"
    assert viewer.ask("POST", "/backup", json={}).status_code == 403
    assert viewer.ask("POST", "/restore", json={"backup": {}}).status_code == 403


def test_an_invalid_backup_is_a_client_error(owner: Browser) -> None:
    for wrong, param in (({}, "format"), ({"format": "filmgate-backup", "version": 99}, "version")):
        answer = owner.ask("POST", "/restore", json={"backup": wrong})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    odd = {"format": "filmgate-backup", "version": 1, "root_key": "", "secrets": {"sealed_with": "none"}}
    for more in ('"accounts": [{"name": "\\ud800"}]', '"\\ud800": []', '"made_by": "\\ud800", "version": 2'):
        text = json.dumps(odd)[:-1] + f", {more}}}"
        answer = owner.ask("POST", "/restore", content=f'{{"backup": {text}}}', headers=JSON)
        assert answer.status_code in (200, 400), answer.text
        assert answer.status_code == 200 or answer.json()["error"]["param"] != "backup"
    nul = owner.ask("POST", "/restore", headers=JSON, content='{"backup": {"format": "a\\u0000"}}')
    assert nul.status_code == 400


def test_notices_can_be_tested(owner: Browser, receiver: Receiver) -> None:
    receiver.replies = [Reply(204), Reply(500)]
    value = {"receivers": [{"name": "pager", "url": receiver.url, "token": "pager-token-canary"}]}
    written = owner.ask("PUT", "/settings/notices", json={"value": value})
    assert written.status_code == 200
    assert "pager-token-canary" not in written.text
    first, second = owner.post("/settings/notices/test"), owner.post("/settings/notices/test")
    assert (first["ok"], first["steps"][0]["step"]) == (True, "pager")
    assert (second["ok"], second["steps"][0]["message"]) == (False, "It answered with HTTP 500.")
    assert json.loads(receiver.seen[0].body)["topic"] == "test"
    assert receiver.seen[0].headers["authorization"] == "Bearer pager-token-canary"


def test_the_upload_of_backups_can_be_tested(owner: Browser) -> None:
    answer = owner.post("/settings/backup/test")
    assert (answer["ok"], answer["steps"][0]["message"]) == (
        False,
        "url: enter the address that backups are sent to",
    )
