"""Client keys in the panel: the secret is shown once, limits, rotation with an overlap, endpoints."""

from typing import Any

import pytest

from tests.admin.conftest import Browser, make
from tests.serving import GatewayProcess, until
from tests.webhooks.receiver import Receiver


def works(gateway: GatewayProcess, secret: str) -> bool:
    with gateway.client(key=secret) as client:
        return client.get("/v1/models").status_code == 200


def test_the_secret_is_shown_once(owner: Browser, gateway: GatewayProcess) -> None:
    body = {
        "name": "limited", "project": "film", "models": ["film", "veo*"], "networks": ["10.0.0.0/8", "127.0.0.1/32"],
        "rpm": 600, "tasks_limit": 5, "budget": {"total": "100", "daily": "2.5"}, "note": "for the shop",
        "options": {"videos_dialect": "manual"}, "expires_at": 1924992000.0,
    }  # fmt: skip
    made = owner.post("/keys", status=201, json=body)
    secret = made.pop("secret")
    assert secret.startswith("sk-fg-") and works(gateway, secret)
    shown = owner.get(f"/keys/{made['id']}")
    assert shown == made and secret not in str(owner.get("/keys"))
    assert {name: shown[name] for name in body if name != "budget"} == {
        name: value for name, value in body.items() if name != "budget"
    }
    assert shown["budget"] == {"total": "100", "daily": "2.5", "monthly": None}
    assert (shown["state"], shown["owner"], shown["in_flight"]) == ("active", "project:film", 0)
    assert shown["spent"]["total"] == "0" and len(shown["sparkline"]) == 24
    assert secret.startswith(shown["hint"].removesuffix("…"))


def test_a_key_keeps_the_secret_that_clients_have_already(owner: Browser, gateway: GatewayProcess) -> None:
    theirs = "sk-moved-in-3f2a1b8a7b6c5d4e"
    made = owner.post("/keys", status=201, json={"name": "moved", "secret": theirs, "keep_prompts": False})
    assert made["secret"] == theirs and works(gateway, theirs)
    assert (made["hint"], made["keep_prompts"]) == ("…", False)
    again = owner.must("POST", "/keys", status=400, json={"name": "twin", "secret": theirs})
    assert again["error"]["param"] == "secret" and made["id"] in str(again) and theirs not in str(again)
    assert theirs not in str(owner.get("/audit")) and theirs not in str(owner.get("/keys"))
    assert owner.must("PATCH", f"/keys/{made['id']}", json={"keep_prompts": None})["keep_prompts"] is True
    owner.must("PATCH", f"/keys/{made['id']}", status=400, json={"secret": theirs})


def test_a_client_is_forgotten(owner: Browser, gateway: GatewayProcess, farm: Any) -> None:
    made = owner.post("/keys", status=201, json={"name": "forgettable", "note": "note-canary"})
    task = make(gateway, made["secret"])
    owner.ended(task)
    done = owner.post(f"/keys/{made['id']}/forget")
    assert done == {"tasks": 1, "webhook_endpoints": 0, "characters": 0, "shared": False}
    owner.must("GET", f"/keys/{made['id']}", status=404)
    owner.must("GET", f"/tasks/{task}", status=404)
    told = owner.get("/audit", params={"target": f"keys/{made['id']}"})["data"]
    assert [row["action"] for row in told] == ["key.forgotten", "key.made"]
    assert "note-canary" not in str(told) and "forgettable" not in str(told)


def test_a_change_takes_only_what_is_sent(owner: Browser, gateway: GatewayProcess) -> None:
    made = owner.post(
        "/keys", status=201, json={"name": "changing", "rpm": 5, "budget": {"daily": "1", "total": "9"}}
    )
    path = f"/keys/{made['id']}"
    changed = owner.must("PATCH", path, json={"note": "new", "budget": {"daily": "2"}})
    assert (changed["note"], changed["rpm"]) == ("new", 5)
    assert changed["budget"] == {"total": "9", "daily": "2", "monthly": None}
    assert owner.must("PATCH", path, json={"budget": None, "rpm": None})["budget"] == dict.fromkeys(
        ("total", "daily", "monthly")
    )
    assert owner.must("PATCH", path, json={"enabled": False})["state"] == "disabled"
    until(lambda: not works(gateway, made["secret"]))
    assert owner.must("PATCH", path, json={"enabled": True})["state"] == "active"
    until(lambda: works(gateway, made["secret"]))
    assert owner.must("PATCH", path, json={"expires_at": 1.0})["state"] == "expired"
    until(lambda: not works(gateway, made["secret"]))


def test_after_a_rotation_the_old_secret_works_for_a_while(owner: Browser, gateway: GatewayProcess) -> None:
    made = owner.post("/keys", status=201, json={"name": "turning"})
    path = f"/keys/{made['id']}/rotate"
    turned = owner.post(path, json={"overlap_seconds": 3600})
    assert turned["id"] == made["id"] and turned["secret"] != made["secret"] and turned["old_until"]
    until(lambda: works(gateway, turned["secret"]))
    assert works(gateway, made["secret"])
    again = owner.post(path, json={"overlap_seconds": 0})
    until(lambda: works(gateway, again["secret"]) and not works(gateway, turned["secret"]))
    assert not works(gateway, made["secret"])
    assert owner.refused("POST", path, json={"overlap_seconds": -1})[0] == 400


def test_a_revoked_key_stays_in_the_reports(owner: Browser, gateway: GatewayProcess) -> None:
    made = owner.post("/keys", status=201, json={"name": "going"})
    owner.must("DELETE", f"/keys/{made['id']}", status=204)
    until(lambda: not works(gateway, made["secret"]))
    assert owner.get(f"/keys/{made['id']}")["state"] == "disabled"
    assert [row["id"] for row in owner.get("/keys?q=GOING&state=disabled")["data"]] == [made["id"]]
    assert owner.get("/keys?q=going&state=active")["data"] == []
    assert owner.refused("DELETE", "/keys/nobody")[0] == 404


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"name": ""}, "name"),
        ({"rpm": 0}, "rpm"),
        ({"rpm": "many"}, "rpm"),
        ({"tasks_limit": -1}, "tasks_limit"),
        ({"networks": ["home"]}, "networks"),
        ({"budget": {"daily": "-1"}}, "budget.daily"),
        ({"budget": {"hourly": "1"}}, "budget.hourly"),
        ({"expires_at": "soon"}, "expires_at"),
        ({"hash": "x"}, "hash"),
    ],
)
def test_invalid_keys_are_rejected(owner: Browser, body: dict[str, Any], param: str) -> None:
    assert owner.refused("POST", "/keys", json={"name": "x"} | body) == (400, param)


def test_what_a_key_spends_is_shown(owner: Browser, gateway: GatewayProcess, farm: Any) -> None:
    owner.must("PUT", "/prices/film", json={"document": {"per_call": "0.5"}})
    made = owner.post("/keys", status=201, json={"name": "spender", "budget": {"total": "0.75"}})
    try:
        owner.ended(make(gateway, made["secret"]))
        shown = owner.get(f"/keys/{made['id']}")
        assert shown["spent"] == {"total": "0.5", "daily": "0.5", "monthly": "0.5", "reserved": "0"}
        assert sum(shown["sparkline"]) == 1
        with gateway.client(key=made["secret"]) as client:
            answer = client.post("/v1/videos", json={"model": "film", "prompt": "one too many"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "insufficient_quota")
    finally:
        owner.must("DELETE", "/prices/film", status=204)


def test_endpoints_of_a_key(owner: Browser, key: Any, receiver: Receiver) -> None:
    path = f"/keys/{key['id']}/endpoints"
    made = owner.post(path, status=201, json={"name": "mine", "url": receiver.url})
    assert made["owner"] == key["owner"] and made["secret"].startswith("whsec_")
    [shown] = [row for row in owner.get(path)["data"] if row["id"] == made["id"]]
    assert "secret" not in shown and made["secret"] not in str(shown)
    owner.must("DELETE", f"/webhooks/endpoints/{made['id']}", status=204)
