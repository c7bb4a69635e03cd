"""kill -9 around each commit that touches a project's money: both sums agree with the rows, and nothing counts twice. What
each leaves behind stands in ``app/keys/projects.py`` and ``app/usage/reserving.py``."""

from decimal import Decimal
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from app.components import Components
from app.db.tables import spending
from app.keys.projects import ProjectRepository
from app.usage.balance import find_differences
from tests.faults.test_books import NOTHING, ONCE, TOKEN, WISH, House, house
from tests.faults.test_kill import PRICE
from tests.serving import until

pytestmark = pytest.mark.slow
__all__ = ["house"]
STORES = pytest.mark.parametrize("house", ["sqlite", "postgres"], indirect=True)
TIMES = pytest.mark.parametrize("moment", ["before", "after"])
BY_TOKEN = {"authorization": f"Bearer {TOKEN}"}


async def _found(components: Components) -> tuple[str, str]:
    """A prepaid project and the secret of its key."""
    projects = ProjectRepository(components.database, components.vault, components.keys)
    made = await projects.create({"name": "films", "budget_total": str(PRICE)})
    return made.id, await components.keys.create("mate", project="films")


async def _left(components: Components) -> tuple[Decimal, Decimal, Decimal]:
    """What the project has reserved, spent and been paid. The sums are what the rows add up to."""
    projects = ProjectRepository(components.database, components.vault, components.keys)
    [project] = await projects.list()
    paid = await projects.credits(project.id)
    assert sum((each.amount for each in paid), NOTHING) == project.credited
    async with components.database.read() as connection:
        assert await find_differences(connection) == []
        total = spending.c.key_id == project.id, spending.c.period == "total"
        row = (await connection.execute(sa.select(spending).where(*total))).first()
    return (row.reserved, row.spent, project.credited) if row else (NOTHING, NOTHING, project.credited)


@TIMES
@STORES
def test_a_payment_is_written_and_counted_together_or_not_at_all(house: House, moment: str) -> None:
    project, _ = house.gateway.prepare(_found)
    body = {"amount": "5", "reference": "order-1"}

    def pay() -> Any:
        address = f"{house.gateway.url}/admin/api/projects/{project}/credit"
        return httpx2.post(address, json=body, headers=BY_TOKEN, timeout=60)

    with house.doom(f"projects:{moment}"):
        with pytest.raises(httpx2.TransportError):
            pay()
        house.died()
    assert house.gateway.prepare(_left)[2] == (Decimal(5) if moment == "after" else NOTHING)
    with house.doom(""):
        assert pay().json()["repeated"] == (moment == "after")
        assert pay().json()["repeated"]
    assert house.gateway.prepare(_left)[2] == Decimal(5)


@TIMES
@pytest.mark.parametrize(
    ("kind", "house"), [("reserve", "sqlite"), ("settle", "postgres")], indirect=["house"]
)
def test_a_task_is_in_both_sums_or_in_none(house: House, kind: str, moment: str) -> None:
    _, secret = house.gateway.prepare(_found)
    with house.doom(f"{kind}:{moment}"), house.gateway.client(key=secret) as client:
        try:
            client.post("/v1/videos", json=WISH, headers=ONCE)
        except httpx2.TransportError:
            assert kind == "reserve"
        house.died()
    expected = {
        ("reserve", "before"): (NOTHING, NOTHING),
        ("reserve", "after"): (PRICE, NOTHING),
        ("settle", "before"): (PRICE, NOTHING),
        ("settle", "after"): (NOTHING, PRICE),
    }
    assert house.gateway.prepare(_left)[:2] == expected[kind, moment]
    with house.doom(""), house.gateway.client(key=secret) as client:
        made = client.post("/v1/videos", json=WISH, headers=ONCE)
        assert made.status_code == 200, made.text
        until(lambda: client.get(f"/v1/videos/{made.json()['id']}").json()["status"] == "completed")
        assert client.post("/v1/videos", json=WISH).status_code == 429
    assert house.gateway.prepare(_left)[:2] == (NOTHING, PRICE)
    assert house.upstream.counters().jobs == 1
