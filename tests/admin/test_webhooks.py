"""Webhooks of all owners in the panel: endpoints, samples, deliveries, and sending them again."""

from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.admin.conftest import Browser, make
from tests.serving import GatewayProcess, until
from tests.webhooks.receiver import Receiver, Reply


@pytest.fixture(scope="module")
def endpoint(owner: Browser, receiver: Receiver, gateway: GatewayProcess, farm: Any) -> Any:
    """An endpoint of a new key, with both secrets."""
    key = owner.post("/keys", status=201, json={"name": "listener"})
    body = {"owner": key["owner"], "name": "ours", "url": f"{receiver.url}?token=hidden-in-the-panel"}
    return owner.post("/webhooks/endpoints", status=201, json=body) | {"key": key["secret"]}


def test_an_endpoint_is_shown_without_its_secret(owner: Browser, endpoint: Any) -> None:
    [shown] = owner.get(f"/webhooks/endpoints?owner={endpoint['owner']}")["data"]
    assert "secret" not in shown and endpoint["secret"] not in str(shown)
    assert shown["url"].endswith("?token=•••") and endpoint["secret"].endswith(shown["secret_hint"][-4:])
    for body in (
        {"url": "ftp://x"},
        {"url": "http://10.1.1.1/"},
        {"name": ""},
        {"event_types": ["video.lost"]},
    ):
        fields = {"owner": endpoint["owner"], "name": "x", "url": endpoint["url"]} | body
        assert owner.refused("POST", "/webhooks/endpoints", json=fields)[0] == 400, body
    assert (
        owner.refused("POST", "/webhooks/endpoints", json={"name": "x", "url": "https://e.example/"})[0]
        == 400
    )


def test_a_sample_arrives_and_is_signed(owner: Browser, endpoint: Any, receiver: Receiver) -> None:
    seen = len(receiver.seen)
    sent = owner.post(f"/webhooks/endpoints/{endpoint['id']}/test", json={"event_type": "video.failed"})
    assert (sent["status"], sent["error"]) == (200, None)
    message = receiver.seen[seen]
    Webhook(endpoint["secret"]).verify(message.body, message.headers)
    assert message.event["type"] == "video.failed"


def test_a_delivery_is_shown_with_its_attempts_and_sent_again(
    owner: Browser, endpoint: Any, receiver: Receiver, gateway: GatewayProcess
) -> None:
    task = make(gateway, endpoint["key"], prompt="tell me")
    query = f"/webhooks/deliveries?endpoint={endpoint['id']}&state=delivered"
    [found] = until(lambda: owner.get(query)["data"])
    assert (found["task_id"], found["event"], found["attempts"]) == (task, "video.completed", 1)
    detail = owner.get(f"/webhooks/deliveries/{found['id']}")
    assert task in detail["body"] and [each["status"] for each in detail["attempt_log"]] == [200]
    assert [row["id"] for row in owner.get(f"/tasks/{task}")["webhooks"]] == [found["id"]]
    assert owner.get(f"/webhooks/deliveries?task={task}&owner={endpoint['owner']}")["data"] == [found]
    assert owner.get(f"/webhooks/deliveries?endpoint={endpoint['id']}&state=failed")["data"] == []
    seen = len(receiver.seen)
    owner.post(f"/webhooks/deliveries/{found['id']}/resend")
    again = until(lambda: receiver.seen[seen:])[0]
    assert again.id == found["id"] and again.body.decode() == detail["body"]
    until(lambda: len(owner.get(f"/webhooks/deliveries/{found['id']}")["attempt_log"]) == 2)
    assert owner.refused("POST", "/webhooks/deliveries/nobody/resend")[0] == 404


def test_an_endpoint_is_changed_disabled_and_removed(
    owner: Browser, endpoint: Any, receiver: Receiver
) -> None:
    path = f"/webhooks/endpoints/{endpoint['id']}"
    assert owner.must("PATCH", path, json={"name": "new name"})["name"] == "new name"
    turned = owner.post(f"{path}/rotate", json={"keep_old": True})
    assert turned["secret"] != endpoint["secret"]
    seen = len(receiver.seen)
    owner.post(f"{path}/test")
    message = receiver.seen[seen]
    for secret in (turned["secret"], endpoint["secret"]):  # the old one signs along
        Webhook(secret).verify(message.body, message.headers)
    off = owner.post(f"{path}/disable")
    assert (off["enabled"], off["disabled_reason"]) == (False, "by the operator")
    assert owner.must("PATCH", path, json={"name": "back"})["enabled"]
    owner.must("DELETE", path, status=204)
    for method, where in (
        ("PATCH", path),
        ("DELETE", path),
        ("POST", f"{path}/test"),
        ("POST", f"{path}/disable"),
    ):
        assert owner.refused(method, where, json={})[0] == 404


def test_an_endpoint_that_fails_comes_first_until_a_test_arrives(
    owner: Browser, receiver: Receiver, gateway: GatewayProcess, farm: Any
) -> None:
    key = owner.post("/keys", status=201, json={"name": "shop front"})
    with Receiver(Reply(status=502)) as broken:
        body = {"owner": key["owner"], "name": "broken", "url": broken.url}
        made = owner.post("/webhooks/endpoints", status=201, json=body)
        owner.post("/webhooks/endpoints", status=201, json=body | {"name": "newer", "url": receiver.url})
        make(gateway, key["secret"], prompt="tell them")

        def first() -> Any:
            [row, *_] = owner.get("/webhooks/endpoints")["data"]
            return row if row["failing"] else None

        row = until(first)
        assert (row["id"], row["owner_name"], row["failing"]["status"]) == (made["id"], "shop front", 502)
        assert row["failing"]["calls"] >= 1
        [delivery] = owner.get(f"/webhooks/deliveries?endpoint={made['id']}")["data"]
        assert delivery["owner_name"] == "shop front"
        page = owner.get("/webhooks/endpoints?limit=1")
        rest = owner.get(f"/webhooks/endpoints?limit=200&after={page['next']}")["data"]
        assert page["total"] == 1 + len(rest) and made["id"] not in {each["id"] for each in rest}
    moved = owner.must("PATCH", f"/webhooks/endpoints/{made['id']}", json={"url": receiver.url})
    assert moved["failing"] is None


def test_a_change_is_told_by_the_name_of_what_it_changed(owner: Browser, receiver: Receiver) -> None:
    key = owner.post("/keys", status=201, json={"name": "named here"})
    body = {"owner": key["owner"], "name": "gone soon", "url": receiver.url}
    endpoint = owner.post("/webhooks/endpoints", status=201, json=body)
    owner.must("DELETE", f"/webhooks/endpoints/{endpoint['id']}", status=204)
    [made] = owner.get(f"/audit?target=keys/{key['id']}")["data"]
    assert (made["target_name"], made["target_exists"], made["actor_name"]) == ("named here", True, None)
    removed = owner.get(f"/audit?target=webhook_endpoints/{endpoint['id']}")["data"]
    assert {(row["target_name"], row["target_exists"]) for row in removed} == {("gone soon", False)}
    head = owner.ask("GET", "/audit.csv").text.splitlines()[0]
    assert head.endswith("before,after,actor_name,target_name,target_exists")
