"""kill -9 around a pause and around a task that waits for one: held work is neither lost, sent nor bought twice. What each leaves
behind stands in ``app/catalog/pauses.py`` and ``app/tasks/queueing.py``."""

from typing import Any

import httpx2
import pytest

from tests.faults.test_books import NOTHING, ONCE, TOKEN, WISH, Books, House, _books, house
from tests.faults.test_kill import PRICE
from tests.serving import until

pytestmark = pytest.mark.slow
__all__ = ["house"]
BY_TOKEN = {"authorization": f"Bearer {TOKEN}"}
MODEL = {"side": "model", "name": "sora-2"}


def ask(house: House, method: str, path: str, **body: Any) -> Any:
    address = f"{house.gateway.url}/admin/api/{path}"
    return httpx2.request(method, address, json=body or None, headers=BY_TOKEN, timeout=60).json()


@pytest.mark.parametrize(
    ("moment", "house"), [("before", "sqlite"), ("after", "postgres")], indirect=["house"]
)
def test_what_is_held_back_survives_and_is_made_once(house: House, moment: str) -> None:
    with house.doom(f"pauses:{moment}"):
        with pytest.raises(httpx2.TransportError):
            ask(house, "POST", "pauses", **MODEL)
        house.died()
    with house.doom("reserve:after"), house.gateway.client() as client:
        assert [each["name"] for each in ask(house, "GET", "pauses")["data"]] == (
            ["sora-2"] if moment == "after" else []
        )
        ask(house, "POST", "pauses", **MODEL)
        with pytest.raises(httpx2.TransportError):
            client.post("/v1/videos", json=WISH | {"priority": -1}, headers=ONCE)
        assert house.died() == Books(["reserve"], PRICE, NOTHING, tasks=1, used=0)
    with house.doom(""), house.gateway.client() as client:
        made = client.post("/v1/videos", json=WISH | {"priority": -1}, headers=ONCE).json()
        assert made["status"] == "queued"
        assert house.upstream.counters().submissions == {}
        assert ask(house, "POST", "pauses/end", **MODEL)["data"] == []
        until(lambda: client.get(f"/v1/videos/{made['id']}").json()["status"] == "completed")
    assert house.gateway.prepare(_books) == Books(["reserve", "settle"], NOTHING, PRICE, tasks=1, used=1)
    assert house.upstream.counters().jobs == 1
