"""One and two serving processes on PostgreSQL. Both cores serve and load at once, so two can't be twice as fast here."""

import time

from bench.figures import Figure
from bench.load import Measured
from bench.processes import LOAD_CORE, SERVER_CORE
from bench.stage import Gateway, Stage, chat, create, lookup

COUNTS = (1, 2)
CONNECTIONS = 32
READY_SECONDS = 120.0


def measure(stage: Stage) -> list[Figure]:
    if "postgresql" not in stage.stores:
        return []
    rates: dict[str, dict[int, list[float]]] = {}
    with stage.open_upstream() as upstream:
        # By turns: what else the machine does meanwhile would be taken for the second process.
        for count in COUNTS * stage.plan.runs:
            for what, run in _measure_processes(stage, upstream, count).items():
                rates.setdefault(what, {}).setdefault(count, []).append(run.rate)
    return [
        Figure(
            f"{what}, {count} process{'es' if count > 1 else ''} on both cores",
            "postgresql",
            found[count],
            "/s",
            None,
            found[1] if count > 1 else (),
            "one",
        )
        for what, found in rates.items()
        for count in COUNTS
    ]


def _measure_processes(stage: Stage, upstream: int, count: int) -> dict[str, Measured]:
    """A store of its own for each, so that none has the tasks of the other."""
    cores = (LOAD_CORE, SERVER_CORE)
    with (
        stage.new_store("postgresql", upstream) as store,
        stage.open_gateway(store, cores=cores, arguments=("--processes", str(count))) as gateway,
    ):
        _wait_for_all(gateway, count)
        stage.measure(gateway, create("bench-video"), connections=1)
        requests = {
            "relay c32": chat(),
            "GET /v1/videos/{id}": lookup(store.newest_task()),
            "POST /v1/videos": create("bench-film"),
        }
        return {
            what: stage.measure(gateway, request, connections=CONNECTIONS)
            for what, request in requests.items()
        }


def _wait_for_all(gateway: Gateway, count: int) -> None:
    log, end = gateway.store.folder / "gateway.log", time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        if log.read_text().count('"serve.started"') >= count:
            return
        time.sleep(0.1)
    raise SystemExit(f"{count} processes did not come to serve:\n{log.read_text()[-2000:]}")
