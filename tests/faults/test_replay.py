"""kill -9 in the middle of a batch of replays: the same call goes on, and no task is made or paid for twice. What each leaves
behind stands in ``app/tasks/replay.py``."""

from typing import Any

import httpx2
import pytest

from tests.faults.test_books import NOTHING, TOKEN, WISH, House, _books, house
from tests.faults.test_kill import PRICE
from tests.serving import until

pytestmark = pytest.mark.slow
__all__ = ["house"]
COUNT = 3


def replay(house: House) -> Any:
    address, body = (
        f"{house.gateway.url}/admin/api/tasks/replay",
        {"batch": "b", "filter": {"model": "sora-2"}},
    )
    headers = {"authorization": f"Bearer {TOKEN}"}
    return httpx2.post(address, json=body, headers=headers, timeout=60).json()


def ended(client: httpx2.Client) -> list[str]:
    return [each["status"] for each in client.get("/v1/videos").json()["data"]]


@pytest.mark.parametrize(
    ("moment", "house"), [("before", "sqlite"), ("after", "postgres")], indirect=["house"]
)
def test_a_batch_goes_on_after_a_crash_and_makes_each_once(house: House, moment: str) -> None:
    house.upstream.script(final="failed", error={"code": "moderation_blocked", "message": "no"})
    with house.doom(""), house.gateway.client() as client:
        for number in range(COUNT):
            client.post("/v1/videos", json=WISH | {"prompt": f"boat {number}"})
        until(lambda: ended(client) == ["failed"] * COUNT)
    house.upstream.script(final="completed")
    with house.doom(f"reserve:{moment}"):
        with pytest.raises(httpx2.TransportError):
            replay(house)
        left = house.died()
    assert (left.tasks, left.reserved) == ((COUNT, NOTHING) if moment == "before" else (COUNT + 1, PRICE))
    with house.doom(""), house.gateway.client() as client:
        first, again = replay(house), replay(house)
        assert first["replayed"] + first["repeated"] == COUNT and not first["refused"]
        assert (again["replayed"], again["repeated"]) == (0, COUNT)
        until(lambda: sorted(ended(client)) == ["completed"] * COUNT + ["failed"] * COUNT)
    books = house.gateway.prepare(_books)
    assert sorted(books.kinds) == ["release"] * COUNT + ["reserve"] * 2 * COUNT + ["settle"] * COUNT
    assert (books.reserved, books.spent, books.tasks) == (NOTHING, COUNT * PRICE, 2 * COUNT)
