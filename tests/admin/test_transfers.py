"""Accounts imported from lists, with a dry run first; and exported, with secrets only after a confirmation."""

import csv
import io
import json
from typing import Any

import pytest

from app.accounts.formats import read_rows
from tests.admin.conftest import PASSWORD, TOKEN, UPSTREAM_SECRET, Browser
from tests.upstream import FakeUpstream

TALKERS = {"kinds": ["text"]}


def listed(upstream: FakeUpstream) -> str:
    rows = [
        f"bulk-{number},openai_compatible,{UPSTREAM_SECRET}-b{number},{upstream.url}/v1"
        for number in range(20)
    ]
    rows[7] = f"bulk-7,betamax,{UPSTREAM_SECRET}-b7,{upstream.url}/v1"
    rows[13] = f",openai_compatible,{UPSTREAM_SECRET}-b13,ftp://nowhere"
    return "\n".join(["name,provider,secret,base_url", *rows])


def names(owner: Browser) -> set[str]:
    return {row["name"] for row in owner.get("/accounts?q=bulk-")["data"]}


def test_twenty_accounts_with_two_bad_rows(owner: Browser, upstream: FakeUpstream) -> None:
    text = listed(upstream)
    planned = owner.post("/accounts/import", json={"text": text, "defaults": TALKERS})
    assert planned["dry_run"] and (planned["new"], planned["exists"], planned["errors"]) == (18, 0, 2)
    assert [row["row"] for row in planned["rows"] if row["result"] == "error"] == [8, 14]
    bad = planned["rows"][7]
    assert (bad["name"], bad["param"]) == ("bulk-7", "provider") and "betamax" in bad["message"]
    assert names(owner) == set()  # nothing happened yet
    done = owner.post("/accounts/import", json={"text": text, "dry_run": False, "defaults": TALKERS})
    assert (done["new"], done["errors"]) == (18, 2)
    assert [row["result"] for row in done["rows"]].count("added") == 18
    assert len(names(owner)) == 18


def test_nothing_is_overwritten_by_default(owner: Browser, upstream: FakeUpstream) -> None:
    text = "name,provider,base_url,weight\nbulk-0,openai_compatible," + f"{upstream.url}/v1,7"
    again = owner.post("/accounts/import", json={"text": text, "dry_run": False, "defaults": TALKERS})
    assert (again["exists"], again["rows"][0]["result"]) == (1, "exists")
    [row] = owner.get("/accounts?q=bulk-0")["data"]
    assert row["weight"] == 1
    updated = owner.post("/accounts/import", json={"text": text, "dry_run": False, "on_conflict": "update"})
    assert updated["rows"][0]["result"] == "updated"
    [row] = owner.get("/accounts?q=bulk-0")["data"]
    assert (row["weight"], row["secret_hint"]) == (7, "…d-b0")  # its secret was not in the list and stays
    same_secret = (
        f"name,provider,secret,base_url\nbulk-new,openai_compatible,{UPSTREAM_SECRET}-b1,{upstream.url}/v1"
    )
    assert (
        owner.post("/accounts/import", json={"text": same_secret})["rows"][0]["outcome"] == "duplicate_secret"
    )


def test_other_forms_of_list(owner: Browser, upstream: FakeUpstream) -> None:
    defaults = {"provider": "openai_compatible", "base_url": f"{upstream.url}/v1"}
    lines = owner.post(
        "/accounts/import",
        json={"text": f"{UPSTREAM_SECRET}-l1\n\n{UPSTREAM_SECRET}-l2\n", "defaults": defaults},
    )
    assert (lines["new"], lines["errors"]) == (2, 0)
    document = json.dumps([{"name": "from json", "secret": f"{UPSTREAM_SECRET}-j"} | defaults])
    assert owner.post("/accounts/import", json={"text": document, "format": "json"})["new"] == 1
    assert owner.refused("POST", "/accounts/import", json={"text": "[{", "format": "json"})[0] == 400
    assert owner.refused("POST", "/accounts/import", json={"text": document, "format": "yaml"})[0] == 400


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("sk-one-000000001111\nsecond,sk-two-000000002222", [("openai_compatible-1", "1111"), ("second", "2222")]),
        ("third----sk-three-000000003333", [("third", "3333")]),
        ("# a note\nfourth\tsk-four-000000004444", [("fourth", "4444")]),
        ("fifth,https://five.example/v1,sk-five-000000005555", [("fifth", "5555")]),
        ("名称,密钥\n第六,sk-six-000000006666", [("第六", "6666")]),
        ("name\tapi_key\tmodel\nseventh\tsk-seven-000000007777\tsora-2", [("seventh", "7777")]),
        ('{"name": "eighth", "secret": "sk-eight-000000008888"}\n{"secret": "sk-nine-000000009999"}',
         [("eighth", "8888"), ("openai_compatible-1", "9999")]),
        ("a----b----sk-many-000000000000", [("", "")]),
    ],
)  # fmt: skip
def test_a_preview_shows_the_end_of_each_secret(
    owner: Browser, text: str, found: list[tuple[str, str]]
) -> None:
    defaults = {"provider": "openai_compatible", "base_url": "https://farm.example/v1"}
    rows = owner.post("/accounts/import", json={"text": text, "defaults": defaults})["rows"]
    assert [(row["name"], row["secret_hint"].lstrip("…")) for row in rows] == found
    assert {row["provider"] for row in rows if row["result"] == "new"} <= {"openai_compatible"}
    assert [row["result"] for row in rows] == ["new" if end else "error" for _, end in found]


def test_a_service_account_is_a_secret_and_no_account() -> None:
    document = json.dumps({"type": "service_account", "private_key": "a, b", "client_email": "me@cloud"})
    [row] = read_rows(document, defaults={"provider": "vertex_veo"})
    assert row.draft is not None
    assert row.draft.secret == document


def test_an_export_holds_what_the_filters_show(owner: Browser) -> None:
    rows = owner.ask("GET", "/accounts/export?q=bulk-1").json()
    assert len(rows) > 1
    assert all(row["name"].startswith("bulk-1") for row in rows)
    body = {"secrets": True, "password": PASSWORD}
    with_secrets = owner.ask("POST", "/accounts/export?q=bulk-1", json=body).json()
    assert [row["name"] for row in with_secrets] == [row["name"] for row in rows]


def test_an_export_without_secrets(viewer: Browser, owner: Browser) -> None:
    answer = viewer.ask("GET", "/accounts/export")
    rows = answer.json()
    assert {row["name"] for row in rows} >= {"bulk-0", "bulk-1"}
    assert "studio" not in {row["name"] for row in rows}  # it is built in
    assert not any(row.get("secret") for row in rows)
    assert "attachment" in answer.headers["content-disposition"]
    text = owner.ask("POST", "/accounts/export", json={"format": "csv"}).text
    assert not any(row.get("secret") for row in csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


def test_secrets_are_exported_only_with_the_password(
    owner: Browser, viewer: Browser, nobody: Browser
) -> None:
    def exported(who: Browser, **body: Any) -> Any:
        return who.ask("POST", "/accounts/export", json={"secrets": True} | body)

    for body in ({}, {"password": "not this one"}):
        refused = exported(owner, **body)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "password")
    assert exported(viewer, password=PASSWORD).status_code == 403
    secrets = {row["name"]: row["secret"] for row in exported(owner, password=PASSWORD).json()}
    assert secrets["bulk-1"] == f"{UPSTREAM_SECRET}-b1"
    by_token = nobody.http.post(
        "/accounts/export", json={"secrets": True}, headers={"authorization": f"Bearer {TOKEN}"}
    )
    assert by_token.status_code == 200
    [told] = owner.get("/audit?action=accounts.exported&actor=token&limit=1")["data"]
    assert told["after"] == {"format": "json", "with_secrets": True}


@pytest.mark.parametrize("form", ["json", "csv"])
def test_what_was_exported_can_be_imported(owner: Browser, form: str) -> None:
    owner.must("PATCH", "/accounts/bulk-1", json={"options": {"image_seconds": 300}})
    text = owner.ask(
        "POST", "/accounts/export", json={"format": form, "secrets": True, "password": PASSWORD}
    ).text
    for row in owner.get("/accounts?q=bulk-")["data"]:
        owner.must("DELETE", f"/accounts/{row['id']}", status=204)
    assert names(owner) == set()
    done = owner.post("/accounts/import", json={"text": text, "format": form, "dry_run": False})
    assert [row for row in done["rows"] if row["result"] == "error"] == []
    assert len(names(owner)) == 18
    assert owner.get("/accounts/bulk-1")["options"] == {"image_seconds": 300}
    [row] = owner.get("/accounts?q=bulk-0")["data"]
    assert (row["weight"], row["secret_hint"]) == (7, "…d-b0")
