"""Projects over the panel's API: limits that clients meet, signed payments, and who spends."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from standardwebhooks import Webhook

from tests.admin.conftest import Browser, account
from tests.serving import GatewayProcess
from tests.upstream import FakeUpstream


@pytest.fixture(scope="module")
def project(owner: Browser, farm: Any, upstream: FakeUpstream) -> Any:
    """Prepaid, with two keys and priced models."""
    owner.post("/accounts", status=201, json=account("talk", upstream, models={"bot": "bot"}, kinds=["text"]))
    for model in ("film", "bot"):
        owner.must("PUT", f"/prices/{model}", json={"document": {"per_call": "0.25"}})
    made = owner.post("/projects", status=201, json={"name": "prepaid", "budget_total": "0"})
    keys = [
        owner.post("/keys", status=201, json={"name": name, "project": "prepaid"})["secret"]
        for name in ("ann", "ben")
    ]
    secret = owner.post(f"/projects/{made['id']}/secret")["secret"]
    return made | {"keys": keys, "secret": secret}


def pay(
    nobody: Browser, project: Any, body: dict[str, Any], *, secret: str = "", at: float = 0.0, sent: str = ""
) -> httpx2.Response:
    """As a payment system does, which has no session."""
    text = json.dumps(body)
    moment = datetime.fromtimestamp(at or time.time(), UTC)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(secret or project["secret"]).sign("msg_1", moment, text),
        "content-type": "application/json",
    }
    address = f"/projects/{project['id']}/credit"
    return nobody.http.post(address, content=sent or text, headers=headers)


def film(gateway: GatewayProcess, secret: str, **headers: str) -> httpx2.Response:
    body = {"model": "film", "prompt": "a boat", "user": "u-film"}
    with gateway.client(key=secret) as client:
        return client.post("/v1/videos", json=body, headers=headers)


def chat(gateway: GatewayProcess, secret: str, user: str, **headers: str) -> httpx2.Response:
    body = {"model": "bot", "messages": [{"role": "user", "content": "hi"}], "safety_identifier": user}
    with gateway.client(key=secret) as client:
        return client.post("/v1/chat/completions", json=body, headers=headers)


def test_nothing_is_made_before_a_payment_and_no_more_than_it(
    owner: Browser, nobody: Browser, gateway: GatewayProcess, project: Any
) -> None:
    ann, ben = project["keys"]
    for refused in (film(gateway, ann), chat(gateway, ben, "u")):
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "insufficient_quota")
        assert "the project's total budget" in refused.json()["error"]["message"]
    paid = pay(nobody, project, {"amount": "0.75", "reference": "order-1", "note": "a card"})
    assert paid.status_code == 200 and not paid.json()["repeated"], paid.text
    made = film(gateway, ann, **{"x-filmgate-tags": "blue,red"})
    assert made.status_code == 200, made.text
    assert chat(gateway, ben, "u-chat", **{"x-filmgate-tags": "blue"}).status_code == 200
    assert film(gateway, ben).status_code == 200
    assert film(gateway, ann).status_code == chat(gateway, ben, "u").status_code == 429
    shown = owner.get(f"/projects/{project['id']}")
    assert (shown["budget"]["total"], shown["credited"], shown["keys"]) == ("0.75", "0.75", 2)
    assert shown["signs"] and "whsec" not in json.dumps(shown)


def test_a_payment_counts_once_and_only_as_it_was_signed(
    owner: Browser, nobody: Browser, project: Any
) -> None:
    body = {"amount": "0.000000001", "reference": "order-2"}
    first, again = pay(nobody, project, body), pay(nobody, project, body, at=time.time() - 60)
    assert [first.json()["repeated"], again.json()["repeated"]] == [False, True]
    assert first.json()["by"] == f"signed:{project['id']}"
    other = pay(nobody, project, body | {"amount": "2"})
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_conflict")
    fresh = {"amount": "3", "reference": "order-3"}
    stranger = owner.post("/projects", status=201, json={"name": "unsigned"})
    refused = [
        pay(nobody, project, fresh, at=time.time() - 400),
        pay(nobody, project, fresh, at=time.time() + 400),
        pay(nobody, project, fresh, sent=json.dumps(fresh | {"amount": "300"})),
        pay(nobody, project, fresh, secret="whsec_" + "A" * 43 + "="),
        pay(nobody, project | {"id": stranger["id"]}, fresh),
        pay(nobody, project | {"id": "prj_unknown"}, fresh),
        nobody.http.post(f"/projects/{project['id']}/credit", json=fresh),
    ]
    assert [answer.status_code for answer in refused] == [401] * len(refused)
    assert len({answer.text for answer in refused[:-1]}) == 1
    for wrong, param in (({"amount": "x", "reference": "r"}, "amount"), ({"amount": "1"}, "reference")):
        answer = pay(nobody, project, wrong)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    found = owner.get(f"/projects/{project['id']}/credits")["data"]
    assert [each["reference"] for each in found] == ["order-2", "order-1"]
    assert owner.get("/audit?action=project.credited")["data"][0]["actor"] == f"signed:{project['id']}"


def test_spending_is_told_by_user_and_by_tag(owner: Browser, viewer: Browser, project: Any) -> None:
    for row in owner.get("/tasks")["data"]:
        owner.ended(row["id"])

    def lines(by: str) -> dict[Any, Any]:
        found = owner.get(f"/spend?by={by}&project={project['id']}")["data"]
        return {
            row["name"]: (row["requests"], row["films"], row["cost"]) for row in found if row["cost"] != "0"
        }

    assert lines("user") == {"u-film": (2, 2, "0.5"), "u-chat": (1, 0, "0.25")}
    assert lines("tag") == {
        "blue": (2, 1, "0.5"),
        "red": (1, 1, "0.25"),
        None: (3, 1, "0.25"),
    }  # with two that were refused
    assert viewer.refused("GET", "/spend")[0] == 403
    assert owner.refused("GET", "/spend?by=colour") == (400, "by")
    assert owner.refused("GET", "/spend?from=2026-11-02&to=2026-11-01") == (400, "from")


def test_wrong_tags_are_refused_by_name(gateway: GatewayProcess, project: Any) -> None:
    for answer in (
        film(gateway, project["keys"][0], **{"x-filmgate-tags": "a b"}),
        chat(gateway, project["keys"][0], "u", **{"x-filmgate-tags": "a b"}),
    ):
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "x-filmgate-tags")


def test_budgets_are_for_finance_and_limits_for_operators(
    owner: Browser, viewer: Browser, project: Any
) -> None:
    assert viewer.refused("PATCH", f"/projects/{project['id']}", json={"budget_daily": "5"})[0] == 403
    changed = owner.must("PATCH", f"/projects/{project['id']}", json={"tasks_limit": 3, "budget_daily": "5"})
    assert (changed["tasks_limit"], changed["budget"]["daily"]) == (3, "5")
    assert [row["name"] for row in owner.get("/projects")["data"]] == ["prepaid", "unsigned"]
    assert owner.refused("DELETE", f"/projects/{project['id']}") == (400, "project")
