"""kill -9 at every crash point of the books, one by one: nothing is charged twice, and nothing stays reserved for a
task that has ended. What each leaves behind stands in ``app/tasks/billing.py`` and ``app/usage/recorder.py``."""

import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from app.catalog.price import ModelPrice
from app.components import Components
from app.db.tables import ledger, receipts, spending, tasks, usage
from app.providers.base import Operation
from app.usage.balance import find_differences
from tests.faults.ledger import Ledger
from tests.faults.test_kill import PRICE, wrong_bills
from tests.serving import GatewayProcess, until
from tests.upstream import FakeUpstream

pytestmark = pytest.mark.slow
WISH = {"model": "sora-2", "prompt": "a paper boat"}
ONCE = {"Idempotency-Key": "once"}
TOKEN = "an-admin-token-of-a-test"
NOTHING = Decimal(0)


@dataclass(frozen=True)
class Books:
    """What the store holds while nobody runs: kinds of ledger rows, the sums, tasks, usage rows."""

    kinds: list[str]
    reserved: Decimal
    spent: Decimal
    tasks: int
    used: int


@dataclass
class House:
    gateway: GatewayProcess
    upstream: FakeUpstream

    def doom(self, moment: str) -> GatewayProcess:
        """The gateway that dies then, whatever it is; ``""`` lets it live."""
        self.gateway.environment["MORTAL"] = moment
        return self.gateway

    def died(self) -> Books:
        """Waits for it. The sums are what the rows add up to, as the crash left them."""
        process = self.gateway.process
        assert process is not None
        until(lambda: process.poll() is not None)
        self.gateway.kill()
        return self.gateway.prepare(_books)

    def finish(self, asked: Ledger) -> None:
        """Start it again, let every task end, and look at all bills."""
        with self.doom(""), self.gateway.client() as client:
            asked.finish(client)
            assert asked.open == []
        assert self.gateway.prepare(wrong_bills) == []


async def _books(components: Components) -> Books:
    async with components.database.read() as connection:
        assert await find_differences(connection) == []
        kinds = (await connection.execute(sa.select(ledger.c.kind).order_by(ledger.c.id))).scalars().all()
        sums = (await connection.execute(sa.select(spending).where(spending.c.period == "total"))).all()
        made = await connection.execute(sa.select(sa.func.count()).select_from(tasks))
        used = await connection.execute(sa.select(sa.func.count()).select_from(usage))
        return Books(
            kinds=list(kinds),
            reserved=sum((row.reserved for row in sums), NOTHING),
            spent=sum((row.spent for row in sums), NOTHING),
            tasks=int(made.scalar_one()),
            used=int(used.scalar_one()),
        )


async def _price(components: Components) -> None:
    for name in ("sora-2", "bot"):
        await components.money.prices.set_price(name, ModelPrice(per_call=PRICE))


@pytest.fixture(params=["sqlite"])
def house(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[House]:
    given = {"FILMGATE_STUDIO": "off", "FILMGATE_ADMIN_TOKEN": TOKEN}
    if request.param == "postgres":
        given["FILMGATE_DATABASE_URL"] = request.getfixturevalue("postgres_url")
    gateway = GatewayProcess(tmp_path, **given)
    gateway.module = "tests.faults.mortal"
    with FakeUpstream() as upstream:
        gateway.add_upstream(upstream.url)
        gateway.prepare(_price)
        try:
            yield House(gateway, upstream)
        finally:
            gateway.kill()


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("house", ["sqlite", "postgres"], indirect=True)
def test_a_task_and_its_reservation_are_written_together_or_not_at_all(house: House, moment: str) -> None:
    with house.doom(f"reserve:{moment}"), house.gateway.client() as client:
        with pytest.raises(httpx2.TransportError):
            client.post("/v1/videos", json=WISH, headers=ONCE)
        left = house.died()
    if moment == "before":
        assert left == Books([], NOTHING, NOTHING, tasks=0, used=0)
    else:
        assert left == Books(["reserve"], PRICE, NOTHING, tasks=1, used=0)
    with house.doom(""), house.gateway.client() as client:
        made = client.post("/v1/videos", json=WISH, headers=ONCE)
        assert made.status_code == 200
        until(lambda: client.get(f"/v1/videos/{made.json()['id']}").json()["status"] == "completed")
    assert house.gateway.prepare(_books) == Books(["reserve", "settle"], NOTHING, PRICE, tasks=1, used=1)
    assert house.upstream.counters().jobs == 1


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("house", ["sqlite", "postgres"], indirect=True)
def test_a_task_is_completed_and_paid_for_together(house: House, moment: str) -> None:
    asked = Ledger()
    with house.doom(f"settle:{moment}"), house.gateway.client() as client:
        asked.ask_more(client, 1)
        left = house.died()
    if moment == "before":
        assert left == Books(["reserve"], PRICE, NOTHING, tasks=1, used=0)
    else:
        assert left == Books(["reserve", "settle"], NOTHING, PRICE, tasks=1, used=1)
    house.finish(asked)
    assert house.gateway.prepare(_books) == Books(["reserve", "settle"], NOTHING, PRICE, tasks=1, used=1)
    assert house.upstream.counters().jobs == 1


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_task_fails_and_its_money_is_given_back_together(house: House, moment: str) -> None:
    house.upstream.script(final="failed", error={"code": "moderation_blocked", "message": "no"})
    asked = Ledger()
    with house.doom(f"release:{moment}"), house.gateway.client() as client:
        asked.ask_more(client, 1)
        left = house.died()
    assert left.reserved == (PRICE if moment == "before" else NOTHING)
    house.finish(asked)
    assert house.gateway.prepare(_books) == Books(["reserve", "release"], NOTHING, NOTHING, tasks=1, used=1)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_cancel_that_the_vendor_refused_is_charged_once(house: House, moment: str) -> None:
    house.upstream.script(statuses=["in_progress"] * 300)
    house.upstream.fault("delete", status=409, times=None)
    asked = Ledger()
    with house.doom(f"settle:{moment}"), house.gateway.client() as client:
        asked.ask_more(client, 1)
        path = f"/v1/videos/{asked.asked[0].task_id}"
        until(lambda: client.get(path).json()["status"] == "in_progress")
        with pytest.raises(httpx2.TransportError):
            client.delete(path)
        left = house.died()
    charged = Books(["reserve", "settle"], NOTHING, PRICE, tasks=1, used=1)
    assert left == (Books(["reserve"], PRICE, NOTHING, tasks=1, used=0) if moment == "before" else charged)
    with house.doom(""), house.gateway.client(key=TOKEN) as client:
        until(lambda: client.get("/admin/api/tasks?state=cancelled").json()["data"])
    assert house.gateway.prepare(_books) == charged


@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_end_without_a_word_holds_the_money_until_the_operator_decides(house: House, moment: str) -> None:
    house.upstream.script(statuses=["in_progress", "expired"])
    asked, held = Ledger(), Books(["reserve"], PRICE, NOTHING, tasks=1, used=1)
    with house.doom(f"held:{moment}"), house.gateway.client() as client:
        asked.ask_more(client, 1)
        assert house.died() == (replace(held, used=0) if moment == "before" else held)
    with house.doom(""), house.gateway.client() as client:
        asked.finish(client)
        assert [(one.status, one.code) for one in asked.asked] == [("failed", "expired")]
        admin = {"Authorization": f"Bearer {TOKEN}"}
        [row] = client.get("/admin/api/tasks?state=held", headers=admin).json()["data"]
        assert (row["money"], row["cost"]) == ("held", None)
        assert client.get("/admin/api/overview", headers=admin).json()["held"]["tasks"] == 1
    assert house.gateway.prepare(_books) == held


async def _record_late_answer(components: Components) -> None:
    """As a worker does that was frozen while another one ended the task."""
    async with components.database.write() as connection:
        [task] = (await connection.execute(sa.select(tasks))).all()
        assert (task.error_code, task.money) == ("submission_unknown", "held")
        operation = Operation(id="video_00000001").model_dump_json()
        row = {"task_id": task.id, "epoch": task.epoch, "account_id": task.account_id, "at": time.time()}
        await connection.execute(sa.insert(receipts), {**row, "operation": operation})


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("house", ["sqlite", "postgres"], indirect=True)
def test_a_late_receipt_brings_the_film_and_is_paid_for_once(house: House, moment: str) -> None:
    house.upstream.fault("create", do="reset", accepts=True)
    asked = Ledger()
    with house.doom(""), house.gateway.client() as client:
        asked.ask_more(client, 1)
        asked.finish(client)
    house.gateway.prepare(_record_late_answer)
    with house.doom(f"adopted:{moment}"):
        # Until it is adopted it counts as failed.
        assert house.died() == Books(["reserve"], PRICE, NOTHING, tasks=1, used=int(moment == "before"))
    with house.doom(""), house.gateway.client() as client:
        path = f"/v1/videos/{asked.asked[0].task_id}"
        until(lambda: client.get(path).json()["status"] == "completed")
    assert house.gateway.prepare(_books) == Books(["reserve", "settle"], NOTHING, PRICE, tasks=1, used=1)
    assert house.upstream.counters().jobs == 1


@pytest.mark.parametrize("moment", ["before", "after"])
def test_what_the_operator_settles_is_settled_once(house: House, moment: str) -> None:
    house.upstream.fault("create", do="reset", accepts=True)
    asked = Ledger()
    with house.doom(f"settle:{moment}"), house.gateway.client() as client:
        asked.ask_more(client, 1)
        asked.finish(client)
        [task] = asked.asked
        assert (task.status, task.code) == ("failed", "submission_unknown")
        path, wish = f"/admin/api/tasks/{task.task_id}/settle", {"outcome": "spent", "amount": "0.11"}
        with pytest.raises(httpx2.TransportError):
            client.post(path, json=wish, headers={"Authorization": f"Bearer {TOKEN}"})
        left = house.died()
    assert (left.reserved, left.spent) == (
        (PRICE, NOTHING) if moment == "before" else (NOTHING, Decimal("0.11"))
    )
    with house.doom(""), house.gateway.client(key=TOKEN) as client:
        said = [client.post(path, json=wish).status_code for _ in range(2)]
    assert said == ([200, 400] if moment == "before" else [400, 400])
    settled = Books(["reserve", "settle"], NOTHING, Decimal("0.11"), tasks=1, used=1)
    assert house.gateway.prepare(_books) == settled


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_relayed_call_is_written_and_paid_for_together_or_is_free(house: House, moment: str) -> None:
    with house.doom(f"usage:{moment}"), house.gateway.client() as client:
        body: dict[str, Any] = {"model": "bot", "messages": [{"role": "user", "content": "hi"}]}
        assert client.post("/v1/chat/completions", json=body).status_code == 200
        left = house.died()
    expected = (0, NOTHING) if moment == "before" else (1, PRICE)
    assert (left.used, left.spent, left.reserved) == (*expected, NOTHING)


def test_killed_at_random_while_tasks_settle_the_books_are_right_at_every_start(house: House) -> None:
    asked, chance = Ledger(), random.Random(15)
    for _ in range(4):
        house.doom("").start()
        with house.gateway.client() as client:
            killer = threading.Timer(chance.uniform(0.1, 0.8), house.gateway.kill)
            killer.start()
            asked.keep_busy(client, 30)
        killer.join()
        left = house.gateway.prepare(_books)
        ends = left.kinds.count("settle") + left.kinds.count("release")
        unknown = (left.kinds.count("reserve") - ends) * PRICE
        assert (left.reserved, left.spent) == (unknown, left.kinds.count("settle") * PRICE)
    house.finish(asked)
