"""kill -9 at every crash point of a task that goes on elsewhere: never bought twice, one reservation, nothing left held.
What each leaves behind stands in ``app/tasks/attempts.py``."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from app.catalog.price import read_price
from app.catalog.route_documents import read_route
from app.components import Components
from app.db.operator_tables import attempts
from app.db.tables import ledger, slots, tasks
from tests.faults.ledger import Ledger
from tests.faults.test_books import NOTHING, TOKEN, Books, House, _books
from tests.serving import GatewayProcess, until
from tests.upstream import FakeUpstream

pytestmark = pytest.mark.slow
PRICE, CREDITS = Decimal("0.15"), Decimal("0.04")
BROKEN = {"code": "server_error", "message": "The machine fell over."}
MODERATED = {"code": "moderation_blocked", "message": "Not this one."}
TIMES = pytest.mark.parametrize("moment", ["before", "after"])
STORES = pytest.mark.parametrize("house", ["sqlite", "postgres"], indirect=True)
EACH_ONCE = pytest.mark.parametrize(
    ("house", "moment"), [("sqlite", "before"), ("postgres", "after")], indirect=["house"]
)
"""Crash points of every task, which ``test_books.py`` tries in all four."""


async def _route(components: Components) -> None:
    price = read_price({"per_call": str(PRICE), "per_unit": {"credits": "0.01"}})
    await components.money.prices.set_price("sora-2", price)
    candidates = [{"account": "first"}, {"account": "second"}]
    retry = {"failed": 2, "moderated": 1}
    document = {"model": "sora-2", "candidates": candidates, "retry": retry}
    await components.catalog.routes.put(read_route(document))


@pytest.fixture
def second() -> Iterator[FakeUpstream]:
    with FakeUpstream() as upstream:
        yield upstream


@pytest.fixture
def house(tmp_path: Path, request: pytest.FixtureRequest, second: FakeUpstream) -> Iterator[House]:
    given = {"FILMGATE_STUDIO": "off", "FILMGATE_ADMIN_TOKEN": TOKEN}
    if request.param == "postgres":
        given["FILMGATE_DATABASE_URL"] = request.getfixturevalue("postgres_url")
    gateway = GatewayProcess(tmp_path, **given)
    gateway.module = "tests.faults.mortal"
    with FakeUpstream() as first:
        gateway.add_upstream(first.url, name="first")
        gateway.add_upstream(second.url, name="second", slots=1, idempotency=True)
        gateway.prepare(_route)
        first.script(final="failed", error=BROKEN)
        try:
            yield House(gateway, first)
        finally:
            gateway.kill()


async def _left(components: Components) -> dict[str, Any]:
    """What the crash left of the one task."""
    async with components.database.read() as connection:
        [task] = (await connection.execute(sa.select(tasks))).all()
        rows = (await connection.execute(sa.select(attempts.c.number, attempts.c.verdict))).all()
        held = (await connection.execute(sa.select(sa.func.count()).select_from(slots))).scalar_one()
    return {
        "state": task.state,
        "attempt": task.attempt,
        "ended": [tuple(row) for row in rows],
        "slots": held,
        "money": task.money,
        "cost": task.cost,
    }


async def _kinds(components: Components) -> list[str]:
    async with components.database.read() as connection:
        return list((await connection.execute(sa.select(ledger.c.kind).order_by(ledger.c.id))).scalars())


def finish(house: House, asked: Ledger) -> None:
    with house.doom(""), house.gateway.client() as client:
        asked.finish(client)
    assert asked.open == []


def went_well(house: House, second: FakeUpstream, asked: Ledger, *, jobs: tuple[int, int] = (1, 1)) -> None:
    [one] = asked.asked
    assert (one.status, one.code) == ("completed", "")
    assert (house.upstream.counters().jobs, second.counters().jobs) == jobs
    left = house.gateway.prepare(_left)
    assert (left["state"], left["attempt"], left["slots"], left["money"]) == ("completed", 2, 0, "settled")


@TIMES
@STORES
def test_an_attempt_ends_is_paid_once_and_its_task_waits_again_together(
    house: House, second: FakeUpstream, moment: str
) -> None:
    house.upstream.script(final="failed", error=BROKEN, failed_usage={"credits": 4})
    asked = Ledger()
    with house.doom(f"went_on:{moment}"), house.gateway.client() as client:
        asked.ask_more(client, 1)
        left = house.died()
    charged = Books(["reserve", "attempt"], PRICE, CREDITS, tasks=1, used=1)
    assert left == (Books(["reserve"], PRICE, NOTHING, tasks=1, used=0) if moment == "before" else charged)
    rows = house.gateway.prepare(_left)
    if moment == "before":
        assert (rows["state"], rows["attempt"], rows["ended"], rows["slots"]) == ("running", 1, [], 1)
    else:
        assert (rows["attempt"], rows["ended"]) == (2, [(1, "failed")])
    finish(house, asked)
    went_well(house, second, asked)
    whole = Books(["reserve", "attempt", "settle"], NOTHING, PRICE + CREDITS, tasks=1, used=2)
    assert house.gateway.prepare(_books) == whole
    assert house.gateway.prepare(_left)["cost"] == PRICE + CREDITS


@TIMES
@STORES
def test_a_refusal_that_died_with_its_process_is_not_sent_again(
    house: House, second: FakeUpstream, moment: str
) -> None:
    house.upstream.fault("create", status=400, body={"error": MODERATED}, times=None)
    asked = Ledger()
    with house.doom(f"went_on:{moment}"), house.gateway.client() as client:
        asked.ask_more(client, 1)
        assert house.died() == Books(["reserve"], PRICE, NOTHING, tasks=1, used=0)
    finish(house, asked)
    assert house.upstream.counters().requests["create"] == 1
    if moment == "after":
        went_well(house, second, asked, jobs=(0, 1))
        return
    # The vendor's word was never written, and this vendor can't be asked for it.
    assert (asked.asked[0].code, second.counters().jobs) == ("submission_unknown", 0)
    assert house.gateway.prepare(_books) == Books(["reserve"], PRICE, NOTHING, tasks=1, used=1)


@TIMES
@STORES
def test_the_next_attempt_is_admitted_and_dispatched_together(
    house: House, second: FakeUpstream, moment: str
) -> None:
    """The second slot: the first one was the first attempt's."""
    asked = Ledger()
    with house.doom(f"second_slot:{moment}"), house.gateway.client() as client:
        asked.ask_more(client, 1)
        assert house.died() == Books(["reserve"], PRICE, NOTHING, tasks=1, used=0)
    left = house.gateway.prepare(_left)
    assert (left["attempt"], left["slots"]) == (2, int(moment == "after"))
    finish(house, asked)
    went_well(house, second, asked)


@STORES
def test_killed_while_the_next_vendor_answers_it_is_found_again_and_not_bought_twice(
    house: House, second: FakeUpstream
) -> None:
    """The vendor keeps keys, so the next run asks it with the same one: that of the second attempt."""
    second.script(honour_idempotency=True)
    second.fault("create", do="hang", accepts=True)
    asked = Ledger()
    with house.doom(""), house.gateway.client() as client:
        asked.ask_more(client, 1)
        until(lambda: second.counters().jobs)
        house.gateway.kill()
    assert house.gateway.prepare(_left)["state"] == "submitting"
    assert house.gateway.prepare(_books) == Books(["reserve"], PRICE, NOTHING, tasks=1, used=0)
    finish(house, asked)
    went_well(house, second, asked)
    [key] = second.counters().accepted
    assert key.endswith("-2")


@EACH_ONCE
def test_the_last_attempt_ends_and_settles_together(house: House, second: FakeUpstream, moment: str) -> None:
    asked = Ledger()
    with house.doom(f"settle:{moment}"), house.gateway.client() as client:
        asked.ask_more(client, 1)
        house.died()
    left = house.gateway.prepare(_left)
    assert (left["attempt"], left["ended"]) == (2, [(1, "failed")])
    assert left["state"] == ("storing" if moment == "before" else "completed")
    finish(house, asked)
    went_well(house, second, asked)
    assert house.gateway.prepare(_kinds) == ["reserve", "settle"]


@EACH_ONCE
def test_a_cancel_between_attempts_releases_once(house: House, second: FakeUpstream, moment: str) -> None:
    """The second account's one slot is taken by another film, so the task waits between its attempts."""
    second.script(statuses=["in_progress"])
    asked = Ledger()
    with house.doom(f"release:{moment}"), house.gateway.client() as client:
        asked.ask_more(client, 1)
        until(lambda: second.counters().jobs)
        asked.ask_more(client, 1)
        path = f"/v1/videos/{asked.asked[1].task_id}"
        until(lambda: client.get(path).json().get("attempt") == 2)
        with pytest.raises(httpx2.TransportError):
            client.delete(path)
        left = house.died()
    assert left.reserved == (2 * PRICE if moment == "before" else PRICE)
    with house.doom(""), house.gateway.client() as client:
        if moment == "before":
            assert client.delete(path).status_code == 200
        with house.gateway.client(key=TOKEN) as panel:
            until(lambda: panel.get("/admin/api/tasks?state=cancelled").json()["data"])
    kinds = ["reserve", "reserve", "release"]
    assert house.gateway.prepare(_books) == Books(kinds, PRICE, NOTHING, tasks=2, used=0)
    assert (house.upstream.counters().jobs, second.counters().jobs) == (2, 1)
