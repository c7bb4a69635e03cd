"""A film that is joined in the panel: one row in the list, its segments in its drawer."""

from typing import Any

import pytest

from tests.admin.conftest import Browser, account, make
from tests.serving import GatewayProcess
from tests.upstream import FakeUpstream


@pytest.fixture
def joined(owner: Browser, upstream: FakeUpstream, gateway: GatewayProcess, key: Any) -> Any:
    upstream.script(film_as_asked=True)
    options = {"capabilities": {"seconds": [4, 8]}, "poll_cap_seconds": 0.1}
    maker = account("maker", upstream, models={"long": "long-up"}, options=options)
    owner.post("/accounts", status=201, json=maker)
    route = {"candidates": [{"account": "maker", "lengths": "join"}]}
    owner.must("PUT", "/routes/long", json=route)
    yield owner.ended(make(gateway, key["secret"], model="long", prompt="One. Two.", seconds="12"))
    upstream.reset()


def test_segments_stand_under_their_film(owner: Browser, joined: Any) -> None:
    assert joined["state"] == "completed", joined["error"]
    assert joined["account"] is None
    assert [(each["prompt"], each["state"]) for each in joined["segments"]] == [
        ("One.", "completed"),
        ("Two.", "completed"),
    ]
    assert all(each["account"]["name"] == "maker" for each in joined["segments"])
    listed = [row["id"] for row in owner.get("/tasks?model=long")["data"]]
    assert listed == [joined["id"]]
    first = joined["segments"][0]["id"]
    assert [row["id"] for row in owner.get(f"/tasks?q={first}")["data"]] == [first]
    assert owner.get(f"/tasks/{first}")["segments"] == []
