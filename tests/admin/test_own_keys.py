"""What the holder of a key may see and do with the key alone, and what the operator sees of it."""

from typing import Any

import pytest

from tests.admin.conftest import Browser, make
from tests.serving import GatewayProcess
from tests.upstream import FakeUpstream


@pytest.fixture
def spender(owner: Browser, farm: Any) -> Any:
    """A key with a budget that two films use up."""
    return owner.post(
        "/keys", status=201, json={"name": "spender", "budget": {"total": "1"}, "note": "note-canary"}
    )


def test_the_holder_sees_limits_budgets_and_no_note(gateway: GatewayProcess, spender: Any) -> None:
    with gateway.client(key=spender["secret"]) as client:
        shown = client.get("/v1/key").json()
        assert (shown["name"], shown["may_rotate"], shown["models"]) == ("spender", False, [])
        assert shown["budgets"] == [
            {"period": "total", "budget": "1.00", "reserved": "0.00", "spent": "0.00", "left": "1.00"}
        ]
        assert "note" not in shown and "note-canary" not in str(shown)
        assert client.post("/v1/key/rotate", json={}).status_code == 403
    with gateway.client(key="sk-fg-nobody") as client:
        for path in ("/v1/key", "/v1/usage/statement", "/v1/usage"):
            assert client.get(path).status_code == 401, path


def test_a_holder_who_may_replaces_the_secret_once(
    owner: Browser, gateway: GatewayProcess, spender: Any
) -> None:
    owner.must("PATCH", f"/keys/{spender['id']}", json={"may_rotate": True})
    with gateway.client(key=spender["secret"]) as client:
        assert client.post("/v1/key/rotate", json={"overlap_seconds": 10**9}).status_code == 400
        made = client.post("/v1/key/rotate", json={"overlap_seconds": 600})
        assert made.status_code == 200 and made.headers["cache-control"] == "no-store"
        new = made.json()["secret"]
        # Whoever still has the old one can't take the key over.
        assert client.get("/v1/key").json()["may_rotate"] is False
        assert client.post("/v1/key/rotate", json={}).status_code == 403
    with gateway.client(key=new) as client:
        shown = client.get("/v1/key").json()
        assert shown["may_rotate"] and shown["old_secret_until"] and "secret" not in shown
        last = client.post("/v1/key/rotate", json={}).json()["secret"]
        assert client.get("/v1/key").status_code == 401
    told = owner.get("/audit", params={"target": f"keys/{spender['id']}", "action": "key.rotated"})["data"]
    assert [row["actor"] for row in told] == [f"key:{spender['id']}"] * 2
    assert new not in str(told) and last not in str(told)


def test_a_key_whose_budget_is_used_up_is_not_active(
    owner: Browser, gateway: GatewayProcess, spender: Any
) -> None:
    shown = f"/keys/{spender['id']}"
    assert owner.get(shown)["state"] == "active"
    owner.must("PUT", "/prices/film", json={"document": {"per_call": "0.5"}})
    for prompt in ("one", "two"):
        assert owner.ended(make(gateway, spender["secret"], prompt=prompt))["cost"] == "0.5"
    owner.must("DELETE", "/prices/film", status=204)
    assert owner.get(shown)["state"] == "used_up"
    found = [key["id"] for key in owner.get("/keys?state=used_up")["data"]]
    assert spender["id"] in found
    assert spender["id"] not in [key["id"] for key in owner.get("/keys?state=active")["data"]]
    states = [key["state"] for key in owner.get("/keys?sort=state")["data"]]
    assert states == sorted(states)
    owner.must("PATCH", shown, json={"budget": {"total": "5"}})
    assert owner.get(shown)["state"] == "active"
    owner.must("PATCH", shown, json={"expires_at": 1.0})
    assert owner.get(shown)["state"] == "expired"


def test_holder_and_operator_get_the_same_statement(
    owner: Browser, gateway: GatewayProcess, key: Any, film: Any
) -> None:
    query = "format=csv&lang=zh&zone=Asia/Shanghai"
    theirs = owner.ask("GET", f"/keys/{key['id']}/statement?{query}")
    assert theirs.headers["content-type"] == "text/csv; charset=utf-8" and "film,1," in theirs.text
    with gateway.client(key=key["secret"]) as client:
        mine = client.get(f"/v1/usage/statement?{query}")
        assert (mine.status_code, mine.content) == (200, theirs.content)
        drawn = client.get("/v1/usage/statement?format=pdf", headers={"accept-language": "en"})
        assert drawn.content.startswith(b"%PDF") and drawn.headers["content-type"] == "application/pdf"
        assert f"statement-{key['id']}-" in drawn.headers["content-disposition"]
    for wrong, param in (
        ("format=doc", "format"),
        ("lang=fr", "lang"),
        ("zone=Mars", "zone"),
        ("month=1", "month"),
    ):
        assert owner.refused("GET", f"/keys/{key['id']}/statement?{wrong}") == (400, param)
    assert owner.refused("GET", "/keys/nobody/statement")[0] == 404


def test_usage_by_vendor_day_and_zone(owner: Browser, film: Any, upstream: FakeUpstream) -> None:
    found = owner.get("/usage?group=provider&zone=Asia/Kathmandu")
    vendors = {row["group"]: row for row in found["data"]}
    assert vendors["openai_compatible"]["films"] >= 1 and vendors["openai_compatible"]["film_seconds"] > 0
    assert (found["zone"], len(found["days"]), found["count"]) == ("Asia/Kathmandu", 30, len(found["data"]))
    # No list price is known of this vendor: neither a cost nor a margin is made up.
    assert (
        vendors["openai_compatible"]["vendor_cost"] is None and vendors["openai_compatible"]["margin"] is None
    )
    assert sum(sum(band["films"]) for band in found["bands"]) == found["total"]["films"]
    by_day = owner.get("/usage?group=day&zone=Asia/Kathmandu&provider=openai_compatible")
    assert [row["group"] for row in by_day["data"]] == sorted(row["group"] for row in by_day["data"])
    assert by_day["total"]["films"] == vendors["openai_compatible"]["films"]
    crossed = owner.get(f"/usage?group=account&key={film['key']['id']}&zone=Asia/Kathmandu")
    assert crossed["zone"] == "UTC" and crossed["total"]["films"] >= 1
    names = [row["name"] for row in owner.get("/usage?group=model&sort=name&limit=2")["data"]]
    assert names == sorted(names) and len(names) <= 2
    assert owner.refused("GET", "/usage?from=2026-02-02&to=2026-02-01") == (400, "from")
    assert owner.refused("GET", "/usage?zone=Mars") == (400, "zone")
