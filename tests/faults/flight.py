"""One server with twenty tasks in flight, and what became of them after a fault."""

import time
from typing import Any

from app.components import Components
from tests.faults.ledger import Ledger, Tally
from tests.serving import GatewayProcess, until
from tests.upstream import FakeUpstream

TASKS = 20
LATENCY = 0.05


def hold_films(upstream: FakeUpstream) -> None:
    """No film is finished from now on, however long the machine takes."""
    upstream.script(statuses=["in_progress"], latency=LATENCY)


def finish_films(upstream: FakeUpstream) -> None:
    upstream.script(latency=LATENCY)


def begin(gateway: GatewayProcess, upstream: FakeUpstream) -> Ledger:
    """Until ``finish``, or ``finish_films``, all of them stay in flight."""
    hold_films(upstream)
    gateway.add_upstream(upstream.url, slots=TASKS)
    gateway.start()
    ledger = Ledger()
    with gateway.client() as client:
        ledger.ask_more(client, TASKS)
        ledger.until_made(client)
    return ledger


def finish(gateway: GatewayProcess, upstream: FakeUpstream, ledger: Ledger) -> Tally:
    finish_films(upstream)
    began = time.monotonic()
    with gateway.client() as client:
        until(lambda: client.get("/readyz").status_code == 200)
        ledger.finish(client)
    recovery = time.monotonic() - began
    gateway.stop()
    slots: int = gateway.prepare(_slots)
    return ledger.tally(upstream.counters(), runs=1, in_flight=TASKS, slots=slots, recovery=recovery)


async def _slots(components: Components) -> Any:
    return (await components.repository.open_counts())["slots"]


def all_completed(tally: Tally, ledger: Ledger) -> bool:
    """Nothing lost, sent twice or stuck, and no task that nobody knows of."""
    return tally.good and all(one.status == "completed" for one in ledger.asked)
