"""Accounts in the panel: added, changed, tested, disabled and enabled, one by one and in bulk."""

import json
from typing import Any

import pytest

from tests.admin.conftest import OPTION_SECRET, PROXY_PASSWORD, UPSTREAM_SECRET, Browser, account, make
from tests.serving import GatewayProcess, until
from tests.upstream import FakeUpstream


@pytest.fixture(scope="module")
def one(owner: Browser, upstream: FakeUpstream) -> Any:
    body = account(
        "one", upstream, models={"one": "one-up"}, tags=["pro"], plan="gold", note="a note", weight=2.5, tier=1,
        limits={"video": 3}, rpm=30, quota={"unit": "count", "limit": 100, "period": "day"},
        proxy=f"http://me:{PROXY_PASSWORD}@proxy.example:3128", options={"idempotency": True},
        expires_at="2031-01-01T00:00:00",
    )  # fmt: skip
    made = owner.post("/accounts", status=201, json=body)
    owner.must("PATCH", f"/accounts/{made['id']}", json={"proxy": None})  # so that it can be reached
    return made


def test_every_field_is_shown_but_no_secret(one: Any) -> None:
    for name, value in {
        "provider": "openai_compatible", "name": "one", "models": {"one": "one-up"}, "kinds": ["video"],
        "slots": 50, "limits": {"video": 3}, "rpm": 30, "weight": 2.5, "tier": 1, "tags": ["pro"], "plan": "gold",
        "note": "a note", "options": {"idempotency": True}, "expires_at": 1924992000.0, "enabled": True,
        "state": "ready", "source": "store", "read_only": False, "embedded": False, "in_flight": 0,
        "successes": 0, "success_rate": None, "outcomes": [], "cooldowns": [], "secret_hint": "…abcd",
    }.items():  # fmt: skip
        assert one[name] == value, name
    assert (one["quota"]["limit"], one["quota"]["left"], one["quota"]["period"]) == ("100", "100", "day")
    assert not {"secret", "proxy"} & one.keys()


def test_an_account_is_found_by_its_fields(owner: Browser, one: Any) -> None:
    def names(query: str) -> set[str]:
        return {row["name"] for row in owner.get(f"/accounts?{query}")["data"]}

    assert "one" in names("") and "studio" in names("")
    assert names("q=A NOTE") == {"one"} == names("tag=pro")
    assert "one" in names("state=ready&provider=openai_compatible")
    assert names("provider=studio") == {"studio"}
    assert names("q=nothing has this") == set()


def test_a_change_takes_only_what_is_sent(owner: Browser, one: Any) -> None:
    path = f"/accounts/{one['id']}"
    changed = owner.must("PATCH", path, json={"weight": 4, "tags": [], "quota": None})
    assert (changed["weight"], changed["tags"], changed["quota"]) == (4, [], None)
    assert (changed["plan"], changed["secret_hint"]) == ("gold", "…abcd")
    # What was shown as a mask may come back as one.
    owner.must("PATCH", path, json={"options": {"api_key": OPTION_SECRET, "idempotency": True}})
    shown = owner.get(path)["options"]
    assert shown == {"api_key": "•••", "idempotency": True}
    owner.must("PATCH", path, json={"options": shown | {"idempotency": False}})
    copies = owner.ask(
        "POST", "/accounts/export", json={"secrets": True, "password": "correct horse battery"}
    )
    options = next(row["options"] for row in copies.json() if row["name"] == "one")
    assert options == {"api_key": OPTION_SECRET, "idempotency": False}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"name": "studio"}, "name"),
        ({"name": ""}, "name"),
        ({"provider": "betamax"}, "provider"),
        ({"base_url": "ftp://host"}, "base_url"),
        ({"base_url": ""}, "base_url"),
        ({"slots": -1}, "slots"),
        ({"slots": "many"}, "slots"),
        ({"weight": 0}, "weight"),
        ({"kinds": ["opera"]}, None),
        ({"proxy": "socks9://x"}, "proxy"),
        ({"quota": {"limit": -1}}, None),
        ({"shoe": 44}, "shoe"),
        ({"note": "a\0b"}, None),
    ],
)
def test_invalid_accounts_are_rejected(
    owner: Browser, upstream: FakeUpstream, body: dict[str, Any], param: str | None
) -> None:
    status, named = owner.refused("POST", "/accounts", json=account("bad", upstream) | body)
    assert status == 400
    assert param is None or named == param


def test_a_test_reports_what_the_upstream_answers(owner: Browser, one: Any, upstream: FakeUpstream) -> None:
    path = f"/accounts/{one['id']}/test"
    found = owner.post(path)
    assert found["ok"] and found["verdict"] in ("accepted", "reachable") and found["milliseconds"] > 0
    upstream.fault("any", status=401, times=None, body={"error": {"message": f"bad key {UPSTREAM_SECRET}"}})
    try:
        refused = owner.post(path)  # and the fixture sees that the secret is not in it
        assert not refused["ok"] and refused["message"]
    finally:
        upstream.reset()
    assert owner.post("/accounts/studio/test")["ok"]


def test_disabled_and_enabled_again(owner: Browser, one: Any) -> None:
    path = f"/accounts/{one['id']}"
    out = owner.post(f"{path}/disable", json={"reason": "holidays"})
    assert (out["state"], out["reason"], out["enabled"]) == ("disabled", "holidays", False)
    assert owner.post(f"{path}/disable")["reason"] == "by the operator"
    assert owner.post(f"{path}/enable")["state"] == "ready"
    assert owner.post(f"{path}/drain")["state"] == "draining"
    assert owner.post(f"{path}/enable")["state"] == "ready"


def test_a_cooldown_has_a_reason_and_an_end_and_can_be_cleared(
    owner: Browser, one: Any, upstream: FakeUpstream, gateway: GatewayProcess, key: Any
) -> None:
    path = f"/accounts/{one['id']}"
    upstream.fault("create", status=429, headers={"Retry-After": "600"}, times=None, prompt="cool down")
    try:
        task = make(gateway, key["secret"], model="one", prompt="cool down")
        resting = until(lambda: found if (found := owner.get(path))["cooldowns"] else None)
    finally:
        upstream.reset()
    [rest] = resting["cooldowns"]
    assert rest["reason"] and rest["until"] - rest["since"] == pytest.approx(600, abs=70)
    assert rest["model"] in ("*", "one-up")
    cleared = owner.post(f"{path}/clear", json={"model": rest["model"]})
    assert cleared["cooldowns"] == []
    assert owner.ended(task)["state"] == "completed"  # what waited goes on at once
    assert owner.get(path)["outcomes"][-1] == {"ok": True, "word": "completed"}
    assert owner.post(f"{path}/clear")["cooldowns"] == []


def test_a_new_secret_and_a_copy(owner: Browser, one: Any, upstream: FakeUpstream) -> None:
    path = f"/accounts/{one['id']}"
    assert owner.post(f"{path}/rotate", json={"secret": f"{UPSTREAM_SECRET}-5678"})["secret_hint"] == "…5678"
    owner.post(f"{path}/test")
    assert upstream.counters().keys.get(f"{UPSTREAM_SECRET}-5678")
    copy = owner.post(f"{path}/duplicate", status=201, json={"name": "one more"})
    assert (copy["secret_hint"], copy["models"], copy["plan"]) == ("…5678", {"one": "one-up"}, "gold")
    other = owner.post(
        f"{path}/duplicate", status=201, json={"name": "other", "secret": f"{UPSTREAM_SECRET}-9"}
    )
    assert other["secret_hint"] == "…cd-9"
    assert owner.refused("POST", f"{path}/duplicate", json={"name": "other"}) == (400, "name")


def test_bulk_changes_are_independent(owner: Browser, one: Any) -> None:
    ids = [row["id"] for row in owner.get("/accounts?q=one more")["data"]] + [one["id"], "nobody", "studio"]

    def bulk(action: str) -> list[bool]:
        found = owner.post("/accounts/bulk", json={"ids": ids, "action": action})["data"]
        assert [row["id"] for row in found] == ids
        assert all(row["ok"] or row["message"] for row in found)
        return [row["ok"] for row in found]

    assert bulk("disable")[:3] == [True, True, False]
    assert {row["state"] for row in owner.get("/accounts?q=one")["data"]} >= {"disabled"}
    for action in ("enable", "drain", "enable", "clear", "test"):
        assert bulk(action)[:3] == [True, True, False]
    assert bulk("delete") == [True, True, False, False]  # what is built in stays
    assert owner.refused("GET", f"/accounts/{one['id']}")[0] == 404
    assert owner.refused("POST", "/accounts/bulk", json={"ids": ["x"] * 10_001, "action": "test"})[0] == 400
    assert owner.refused("POST", "/accounts/bulk", json={"ids": [], "action": "sing"})[0] == 400


def _rests(shown: dict[str, Any]) -> bool:
    """The task that it refused has left it, too."""
    return bool(shown["cooldowns"]) and not shown["in_flight"]


def test_a_deletion_is_undone_with_secret_cooldowns_and_quota(
    owner: Browser, upstream: FakeUpstream, gateway: GatewayProcess, key: Any
) -> None:
    quota = {"unit": "usd", "limit": "20", "left": "7.5", "period": "month"}
    body = account("undone", upstream, models={"undone": "undone-up"}, quota=quota, secret=UPSTREAM_SECRET)
    made = owner.post("/accounts", status=201, json=body)
    upstream.fault("create", status=429, headers={"Retry-After": "600"}, times=1, prompt="rest a while")
    try:
        task = make(gateway, key["secret"], model="undone", prompt="rest a while")
        before = until(lambda: found if _rests(found := owner.get("/accounts/undone")) else None)
    finally:
        upstream.reset()
    owner.post("/accounts/bulk", json={"ids": [made["id"]], "action": "delete"})
    owner.post("/accounts", status=201, json=account("undone", upstream, models={}))
    assert owner.refused("POST", "/accounts/restore", json={"ids": [made["id"]]}) == (400, "name")
    owner.must("DELETE", "/accounts/undone", status=204)
    gateway.kill()  # the deletion can be undone after it too
    owner.http.base_url = f"{gateway.start().url}/admin/api"
    restored = owner.post("/accounts/restore", json={"ids": [made["id"]]})["data"]
    assert restored == [{"id": made["id"], "name": "undone"}]
    assert owner.get(f"/accounts/{made['id']}") == before
    assert owner.refused("POST", "/accounts/restore", json={"ids": [made["id"]]})[0] == 404
    owner.post(f"/accounts/{made['id']}/clear")
    assert owner.ended(task)["state"] == "completed"  # with its secret


def test_many_accounts_are_edited_at_once(owner: Browser, upstream: FakeUpstream) -> None:
    shapes = [("edit-9", ["eu"], {"a": "a-up"}), ("edit-10", ["us"], {"b": "b-up"})]
    ids = [
        owner.post("/accounts", status=201, json=account(name, upstream, tags=tags, models=models))["id"]
        for name, tags, models in shapes
    ]
    edit = {
        "change": {"slots": 7, "tier": 3, "proxy": f"http://me:{PROXY_PASSWORD}@127.0.0.1:9"},
        "add_tags": ["pro"], "remove_tags": ["us"], "add_models": {"c": "c-up"}, "remove_models": ["b"],
    }  # fmt: skip
    body = {"ids": [*ids, "studio"], "action": "edit", "edit": edit}
    found = owner.post("/accounts/bulk", json=body)["data"]
    assert [row["ok"] for row in found] == [True, True, False]
    rows = owner.get("/accounts?q=edit-&sort=name")["data"]
    assert [(row["name"], row["tags"], row["models"]) for row in rows] == [
        ("edit-9", ["eu", "pro"], {"a": "a-up", "c": "c-up"}),
        ("edit-10", ["pro"], {"c": "c-up"}),
    ]
    assert {(row["slots"], row["tier"], row["weight"], row["proxy_hint"]) for row in rows} == {
        (7, 3, 1.0, "….1:9")
    }
    told = owner.newest_change()
    assert (told["action"], told["before"]["slots"], told["after"]["slots"]) == ("account.updated", 50, 7)
    for wrong in ({"change": {"name": "same"}}, {"change": {"weight": -1}}, {"shoe": 1}):
        answer = owner.ask("POST", "/accounts/bulk", json={"ids": ids, "action": "edit", "edit": wrong})
        assert answer.status_code == 400 or not any(row["ok"] for row in answer.json()["data"])


def test_a_page_of_accounts_is_sorted_and_counted(owner: Browser) -> None:
    everything = owner.get("/accounts")
    assert everything["total"] == len(everything["data"])
    assert everything["next"] is None
    found: list[str] = []
    after: str | None = "0"
    while after is not None:
        page = owner.get(f"/accounts?q=edit-&sort=name&descending=1&limit=1&after={after}")
        found, after = [*found, *(row["name"] for row in page["data"])], page["next"]
    assert found == ["edit-10", "edit-9"]
    assert page["total"] == 2
    assert {"name": "eu", "count": 1} in page["tags"]
    names = owner.get("/accounts/names?tag=pro&q=edit-")["data"]
    assert {row["name"] for row in names} == {"edit-9", "edit-10"}
    assert owner.refused("GET", "/accounts?sort=colour")[0] == 400


def test_many_are_tested_at_the_same_time_with_a_line_for_each(
    owner: Browser, upstream: FakeUpstream
) -> None:
    ids = [row["id"] for row in owner.get("/accounts/names?q=edit-")["data"]]
    owner.post("/accounts/bulk", json={"ids": ids, "action": "edit", "edit": {"change": {"proxy": None}}})
    answer = owner.ask("POST", "/accounts/test", json={"ids": [*ids, "nobody"]})
    lines = {row["id"]: row for row in map(json.loads, answer.text.splitlines())}
    assert {which: row["ok"] for which, row in lines.items()} == dict.fromkeys(ids, True) | {"nobody": False}
    assert lines["nobody"]["message"]


def test_an_account_with_running_tasks_is_not_removed(
    owner: Browser, upstream: FakeUpstream, gateway: GatewayProcess, key: Any
) -> None:
    made = owner.post(
        "/accounts", status=201, json=account("busy", upstream, models={"long": "long-up"}, slots=1)
    )
    upstream.script(job_seconds=600)
    try:
        task = make(gateway, key["secret"], model="long")
        path = f"/accounts/{made['id']}"
        until(lambda: owner.get(path)["state"] == "busy")
        assert owner.get(path)["in_flight"] == 1
        assert owner.refused("DELETE", path)[0] >= 400
        owner.must("DELETE", f"{path}?force=1", status=204)
        owner.post(f"/tasks/{task}/cancel")
        assert owner.ended(task)["state"] == "cancelled"
    finally:
        upstream.reset()


def test_an_account_is_tried_and_its_models_listed_before_it_is_saved(
    owner: Browser, upstream: FakeUpstream
) -> None:
    before = owner.get("/accounts")["total"]
    found = owner.post("/accounts/try", json=account("tried", upstream))
    assert found["check"]["ok"]
    assert found["listed"]
    assert {"fake-video", "fake-chat"} <= {model["name"] for model in found["models"]}
    assert {"sora-2", "sora-2-pro"} <= set(found["public"])
    known = owner.post(
        "/accounts/try",
        json={"provider": "runway", "name": "tried", "secret": "key", "base_url": upstream.url},
    )
    assert not known["listed"]
    priced = [model for model in known["models"] if model["per_second"]]
    assert priced
    assert all(model["per_second"]["*"] and model["kind"] for model in priced)
    assert (
        owner.refused("POST", "/accounts/try", json=account("tried", upstream, base_url="ftp://x"))[0] == 400
    )
    assert owner.get("/accounts")["total"] == before
