"""Settings in the panel: the environment, health, documents with their secrets, and the stream of events."""

import json
from typing import Any

import httpx2
import pytest

from app.settings import Settings
from tests.admin.conftest import UPSTREAM_SECRET, Browser, make
from tests.serving import GatewayProcess

MASK = "********"


def resolver(**given: Any) -> dict[str, Any]:
    return {
        "name": "ours",
        "url": "http://127.0.0.1:1/resolve",
        "secret": UPSTREAM_SECRET,
        "enabled": False,
    } | given


def test_the_environment_and_the_health(owner: Browser) -> None:
    found = owner.get("/settings")
    shown = {row["name"]: row for row in found["environment"]}
    assert shown.keys() == {f"FILMGATE_{name.upper()}" for name in Settings.model_fields}
    assert shown["FILMGATE_ADMIN_TOKEN"] == {
        "name": "FILMGATE_ADMIN_TOKEN",
        "value": "•••",
        "set": True,
        "secret": True,
    }
    assert shown["FILMGATE_STUDIO"]["value"] == "on" and not shown["FILMGATE_PUBLIC_URL"]["set"]
    health = found["health"]
    assert health["checks"] == {"database": "ok", "store": "ok"}
    assert (health["database"], health["storage"], health["worker"]) == ("sqlite", "folder", True)
    assert "delivery" in found["documents"]


def test_a_document_masks_its_secrets(owner: Browser) -> None:
    path = "/settings/delivery"
    written = owner.must("PUT", path, json={"value": {"resolvers": [resolver()]}})
    assert written["value"]["resolvers"][0]["secret"] == MASK and not written["default"]
    assert owner.get(path)["value"] == written["value"] and written["schema"]["properties"]
    # The mask that comes back, or nothing at all, leaves the secret as it is; an empty text removes it.
    for secret, left in ((MASK, MASK), (None, MASK), ("", "")):
        again = owner.must("PUT", path, json={"value": {"resolvers": [resolver(secret=secret, tries=3)]}})
        assert again["value"]["resolvers"][0]["secret"] == left
        assert again["value"]["resolvers"][0]["tries"] == 3
    changed = owner.newest_change()
    assert (changed["action"], changed["target"]) == ("settings.written", "settings/delivery")


@pytest.mark.parametrize(
    ("value", "param"),
    [
        ({"colour": 1}, "colour"),
        ({"resolvers": [{"name": "x", "url": "ftp://x"}]}, "resolvers.0.url"),
        ({"resolvers": [{"name": "x", "url": "http://x/", "tries": 99}]}, "resolvers.0.tries"),
    ],
)
def test_invalid_documents_are_rejected(owner: Browser, value: dict[str, Any], param: str) -> None:
    before = owner.get("/settings/delivery")
    assert owner.refused("PUT", "/settings/delivery", json={"value": value}) == (400, param)
    assert owner.get("/settings/delivery") == before
    assert (
        owner.refused("GET", "/settings/weather")[0]
        == 404
        == owner.refused("PUT", "/settings/weather", json={"value": {}})[0]
    )


def test_delivery_is_tested_stage_by_stage(owner: Browser) -> None:
    owner.must("PUT", "/settings/delivery", json={"value": {"resolvers": [resolver(enabled=True, tries=1)]}})
    try:
        tried = owner.post("/settings/delivery/test")
        assert not tried["ok"]
        [step] = [each for each in tried["steps"] if "ours" in each["step"]]
        assert not step["ok"] and step["message"]
    finally:
        owner.must("PUT", "/settings/delivery", json={"value": {}})
    assert owner.post("/settings/delivery/test")["ok"]


def test_changes_are_streamed(owner: Browser, gateway: GatewayProcess, key: Any, farm: Any) -> None:
    with owner.http.stream("GET", "/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        news = events(stream)
        assert next(news)[0] == "hello"
        task = make(gateway, key["secret"], prompt="live")
        states: list[str] = []
        while not states or states[-1] != "completed":
            name, row = next(news)
            if name == "task" and row["id"] == task:
                assert row.keys() == {"id", "state", "progress", "generating", "account_id"}
                states.append(row["state"])
        owner.post(f"/accounts/{farm['id']}/disable")
        owner.post(f"/accounts/{farm['id']}/enable")
        owner.must("PATCH", f"/accounts/{farm['id']}", json={"weight": 3})
        assert next(row["ids"] for name, row in news if name == "accounts") == [farm["id"]]


def events(stream: httpx2.Response) -> Any:
    name = ""
    for line in stream.iter_lines():
        if line.startswith("event:"):
            name = line.removeprefix("event:").strip()
        elif line.startswith("data:"):
            yield name, json.loads(line.removeprefix("data:"))


def test_labels_are_switched_on_and_nothing_is_asked_that_can_not_be_done(owner: Browser) -> None:
    path = "/settings/labels"
    assert owner.get(path)["value"]["enabled"] is False
    asked = {"enabled": True, "c2pa": True}
    assert owner.refused("PUT", path, json={"value": asked}) == (400, "c2pa")  # no certificate is set
    for value, param in (
        ({"enabled": True, "implicit": False}, "c2pa"),
        ({"seconds": 1}, "seconds"),
        ({"text": "no label"}, "text"),
        ({"producer": " "}, "producer"),
    ):
        assert owner.refused("PUT", path, json={"value": value}) == (400, param)
    assert owner.get(path)["default"]
    try:
        written = owner.must("PUT", path, json={"value": {"enabled": True, "visible": True}})
        assert written["value"]["visible"] and written["schema"]["properties"]["text"]["enum"]
    finally:
        owner.must("PUT", path, json={"value": {}})
