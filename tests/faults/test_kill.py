"""kill -9 of the server at random moments: every task ends, nothing is bought or billed twice, nothing is stuck."""

import os
import random
import statistics
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import httpx2
import pytest
import sqlalchemy as sa

from app.catalog.price import ModelPrice
from app.components import Components
from app.db.tables import ledger, tasks, usage
from app.usage.balance import find_differences
from tests.faults.ledger import Ledger, Tally, table
from tests.serving import GatewayProcess
from tests.upstream import FakeUpstream

IN_FLIGHT = 20
KILLS = int(os.environ.get("FILMGATE_TEST_KILLS", "50"))
PRICE = Decimal("0.15")
Print = Callable[[str], None]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Print:
    def shown(text: str) -> None:
        with capsys.disabled():
            print(text)

    return shown


def kill_and_restart(
    gateway: GatewayProcess, upstream: FakeUpstream, ledger: Ledger, *, runs: int, seed: int
) -> Tally:
    chance = random.Random(seed)
    restarts: list[float] = []
    for _ in range(runs):
        killer = threading.Timer(chance.uniform(0.02, 0.7), gateway.kill)
        with gateway.client() as client:
            killer.start()
            ledger.keep_busy(client, IN_FLIGHT)
        killer.join()
        began = time.monotonic()
        gateway.start()
        restarts.append(time.monotonic() - began)
    began = time.monotonic()
    with gateway.client() as client:
        ledger.finish(client)
    recovery = time.monotonic() - began
    gateway.stop()
    slots = gateway.prepare(_slots)
    wrong = gateway.prepare(wrong_bills)
    assert wrong == [], wrong
    return ledger.tally(
        upstream.counters(),
        runs=runs,
        in_flight=IN_FLIGHT,
        slots=slots,
        recovery=recovery,
        restart=statistics.median(restarts),
        billed_wrong=len(wrong),
    )


async def _slots(components: Components) -> int:
    return (await components.repository.open_counts())["slots"]


async def _price(components: Components) -> None:
    await components.money.prices.set_price("sora-2", ModelPrice(per_call=PRICE))


async def wrong_bills(components: Components) -> list[str]:
    """Every task is reserved once, and counted once; only what was made is paid, only what is unknown stays held."""
    async with components.database.read() as connection:
        wrong = await find_differences(connection)
        entries = (await connection.execute(sa.select(ledger))).all()
        ended = (await connection.execute(sa.select(tasks))).all()
        used = (await connection.execute(sa.select(usage.c.task_id))).scalars().all()
    expected = {"completed": ["reserve", "settle"], "failed": ["release", "reserve"]}
    for task in ended:
        kinds = sorted(entry.kind for entry in entries if entry.task_id == task.id)
        unknown = task.error_code == "submission_unknown"
        if kinds != (["reserve"] if unknown else expected[task.state]):
            wrong.append(f"{task.id} {task.state} {task.error_code}: {kinds}")
        if used.count(task.id) != (task.state in {"completed", "failed"}):
            wrong.append(f"{task.id} {task.state}: {used.count(task.id)} usage rows")
        if task.cost != {"completed": PRICE, "failed": None if unknown else 0}[task.state]:
            wrong.append(f"{task.id} {task.state}: cost {task.cost}")
    return wrong


@pytest.mark.slow
@pytest.mark.timeout(300 + 15 * KILLS)  # starts of a server, on a machine that does more than this
@pytest.mark.parametrize(("runs", "idempotency"), [(KILLS, False), (8, True)])
def test_kill_at_random_moments(tmp_path: Path, say: Print, *, runs: int, idempotency: bool) -> None:
    ledger = Ledger()
    with FakeUpstream(process=True) as upstream, GatewayProcess(tmp_path, FILMGATE_STUDIO="off") as gateway:
        # Slow answers make the moment between "sent" and "recorded" long enough to be hit.
        upstream.script(job_seconds=1.5, latency=0.06, honour_idempotency=idempotency)
        gateway.stop()
        gateway.add_upstream(upstream.url, slots=IN_FLIGHT, idempotency=idempotency)
        gateway.prepare(_price)
        gateway.start()
        tally = kill_and_restart(gateway, upstream, ledger, runs=runs, seed=727)
    say(table(f"kill -9, upstream idempotency {'on' if idempotency else 'off'}", tally))
    assert tally.good, tally
    if idempotency:
        assert tally.submission_unknown == 0


@pytest.mark.slow
def test_a_request_answered_before_the_kill_is_a_task_after_it(tmp_path: Path) -> None:
    with FakeUpstream(process=True) as upstream, GatewayProcess(tmp_path, FILMGATE_STUDIO="off") as gateway:
        gateway.stop()
        gateway.add_upstream(upstream.url)
        gateway.start()
        with gateway.client() as client:
            made = client.post("/v1/videos", json={"model": "sora-2", "prompt": "x"}).json()
        gateway.kill()
        gateway.start()
        with gateway.client() as client:
            assert client.get(f"/v1/videos/{made['id']}").status_code == 200
            with pytest.raises(httpx2.HTTPError):
                client.get("/v1/videos/video_" + "0" * 32).raise_for_status()
